//! Which families a caller wants, and whether a line's name belongs to one. Knows nothing of lines.

/// Suffixes that samples of a wanted family may add to its name.
///
/// `_created` is not among them: it is a time of birth that several exporters print as a gauge of its own next to the
/// value, and it must never be taken for the value. It is read only where it is asked for by its full name.
pub(crate) const SAMPLE_SUFFIXES: [&str; 4] = ["_bucket", "_sum", "_count", "_total"];

/// A set of wanted families.
///
/// Names match exactly, never by prefix: `vllm:num_requests_waiting` does not bring
/// `vllm:num_requests_waiting_by_reason` along. A wanted `x` also brings the samples `x_bucket`, `x_sum`, `x_count`
/// and `x_total`; a wanted counter may be named with or without `_total`.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    all: bool,
    names: NameSet,
    declarations: NameSet,
}

impl Selection {
    /// The families with these names.
    pub fn new<I>(families: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let names: Vec<Box<str>> = families.into_iter().map(|name| name.as_ref().into()).collect();
        // OpenMetrics declares `x` a counter and prints `x_total`; of a histogram's `x_sum`, `x` is declared.
        let stem = |name: &str| SAMPLE_SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).map(Box::from);
        let stems = names.iter().filter_map(|name| stem(name));
        let declarations = NameSet::new(names.iter().cloned().chain(stems).collect());
        Self { all: false, names: NameSet::new(names), declarations }
    }

    /// Every family, for tools that show a whole page.
    pub fn everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Whether samples of this name are wanted.
    pub(crate) fn wants_sample(&self, name: &[u8]) -> bool {
        self.all
            || self.names.contains(name)
            || SAMPLE_SUFFIXES
                .iter()
                .any(|suffix| name.strip_suffix(suffix.as_bytes()).is_some_and(|stem| self.names.contains(stem)))
    }

    /// Whether `TYPE` and `HELP` lines of this name are wanted.
    pub(crate) fn wants_declaration(&self, name: &[u8]) -> bool {
        self.all || self.declarations.contains(name)
    }
}

/// Names ordered by length first: most comparisons of a search then end at the length, although the names of one
/// engine all share their first bytes.
#[derive(Debug, Clone, Default)]
struct NameSet(Vec<Box<str>>);

impl NameSet {
    fn new(mut names: Vec<Box<str>>) -> Self {
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        names.dedup();
        Self(names)
    }

    fn contains(&self, name: &[u8]) -> bool {
        self.0.binary_search_by(|known| (known.len(), known.as_bytes()).cmp(&(name.len(), name))).is_ok()
    }
}
