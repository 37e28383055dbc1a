//! One pass over a page that keeps the wanted samples. Knows nothing of label syntax and of histograms.

use std::{fmt, ops::Range};

use crate::{
    family::{Family, Kind, belongs},
    lines::{Lines, leading_name, name_bytes, split_word, trim_blanks, without_mark},
    problem::{Affected, Problem, Problems, Reason},
    sample::Sample,
    selection::Selection,
};

/// Largest page that is read, in bytes. The largest engine pages known are below 100 kB; a page beyond this bound is
/// refused whole, since part of a page gives sums that are too small.
pub const MAX_PAGE_BYTES: usize = 16 << 20;

/// Most samples kept of one page. Wanted families of the largest pages have a few hundred.
pub const MAX_SAMPLES: usize = 100_000;

/// The page is larger than [`MAX_PAGE_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageTooLarge {
    /// Its size in bytes.
    pub bytes: usize,
}

impl fmt::Display for PageTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the metrics page has {} bytes, more than the {MAX_PAGE_BYTES} allowed", self.bytes)
    }
}

impl std::error::Error for PageTooLarge {}

/// What was wanted of a page.
#[derive(Debug, Clone, Default)]
pub struct Page<'a> {
    samples: Vec<Sample<'a>>,
    /// Neighbouring samples of one name, so that finding a family looks at names and not at samples.
    runs: Vec<Range<usize>>,
    /// Ordered by name once the page is read.
    declared: Vec<Declared<'a>>,
    problems: Problems,
    affected: Affected<'a>,
    declaration_lines: usize,
    sample_lines: usize,
    eof: bool,
}

impl<'a> Page<'a> {
    /// Reads a page. Never fails for what a page contains, only for its size.
    ///
    /// A last line without line feed is read, as Prometheus does: whether a page arrived whole is for the transport
    /// to say.
    pub fn read(bytes: &'a [u8], wanted: &Selection) -> Result<Self, PageTooLarge> {
        if bytes.len() > MAX_PAGE_BYTES {
            return Err(PageTooLarge { bytes: bytes.len() });
        }
        let mut page = Self::default();
        let mut last = LastName::default();
        for (number, line) in Lines::new(without_mark(bytes)) {
            let outcome = match line.first() {
                None => Ok(()),
                Some(b'#') => page.comment(&line[1..], wanted, number),
                Some(_) => page.sample_line(line, wanted, &mut last),
            };
            if let Err(reason) = outcome {
                page.problem(line, wanted, Problem { line: number, reason });
            }
        }
        page.settle_declarations();
        Ok(page)
    }

    /// Notes a line that was not read, and which wanted name it was of, as far as its first bytes tell.
    fn problem(&mut self, line: &'a [u8], wanted: &Selection, problem: Problem) {
        self.problems.add(problem.line, problem.reason);
        let name = match line.strip_prefix(b"#") {
            Some(comment) => name_bytes(trim_blanks(split_word(trim_blanks(comment)).1)),
            None => name_bytes(line),
        };
        let is_wanted = wanted.wants_sample(name) || wanted.wants_declaration(name);
        if let Some(name) = str::from_utf8(name).ok().filter(|name| !name.is_empty() && is_wanted) {
            self.affected.add(name, problem);
        }
    }

    fn sample_line(&mut self, line: &'a [u8], wanted: &Selection, last: &mut LastName<'a>) -> Result<(), Reason> {
        let repeats = last.begins(line);
        if !repeats {
            let name = leading_name(line).ok_or(Reason::BadName)?;
            *last = LastName { name, wanted: wanted.wants_sample(name) };
        }
        self.sample_lines += 1;
        if !last.wanted {
            return Ok(());
        }
        if self.samples.len() >= MAX_SAMPLES {
            return Err(Reason::TooManySamples);
        }
        let name = str::from_utf8(last.name).map_err(|_| Reason::BadName)?;
        self.keep(Sample::parse(name, &line[name.len()..])?);
        Ok(())
    }

    fn keep(&mut self, sample: Sample<'a>) {
        let at = self.samples.len();
        let continues = self.samples.last().is_some_and(|before| before.name == sample.name);
        self.samples.push(sample);
        match self.runs.last_mut() {
            Some(run) if continues => run.end = at + 1,
            _ => self.runs.push(at..at + 1),
        }
    }

    /// Reads what follows `#`: `TYPE` and `HELP` of wanted families, `EOF`; everything else is a comment.
    fn comment(&mut self, text: &'a [u8], wanted: &Selection, line: usize) -> Result<(), Reason> {
        let (keyword, rest) = split_word(trim_blanks(text));
        let rest = trim_blanks(rest);
        self.declaration_lines += usize::from(matches!(keyword, b"TYPE" | b"HELP"));
        match keyword {
            b"TYPE" => {
                let Some(name) = leading_name(rest).filter(|name| wanted.wants_declaration(name)) else {
                    return Ok(());
                };
                let (kind, _) = split_word(trim_blanks(&rest[name.len()..]));
                let kind = Kind::parse(kind);
                self.declare(name, kind.unwrap_or_default(), line)?;
                kind.map(|_| ()).ok_or(Reason::BadType)
            }
            b"HELP" => match leading_name(rest).filter(|name| wanted.wants_declaration(name)) {
                Some(name) => self.declare(name, Kind::Unknown, line),
                None => Ok(()),
            },
            b"EOF" => {
                self.eof = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn declare(&mut self, name: &'a [u8], kind: Kind, line: usize) -> Result<(), Reason> {
        if self.declared.len() >= MAX_SAMPLES {
            return Err(Reason::TooManySamples);
        }
        let name = str::from_utf8(name).map_err(|_| Reason::BadName)?;
        self.declared.push(Declared { name, kind, line });
        Ok(())
    }

    /// Leaves one declaration of each name: the first that says a kind.
    fn settle_declarations(&mut self) {
        let (problems, affected) = (&mut self.problems, &mut self.affected);
        self.declared.sort_by(|a, b| a.name.cmp(b.name)); // stable: lines of one name stay in order
        self.declared.dedup_by(|later, first| {
            let same = later.name == first.name;
            if same && first.kind == Kind::Unknown {
                first.kind = later.kind;
            } else if same && later.kind != Kind::Unknown && later.kind != first.kind {
                let problem = Problem { line: later.line, reason: Reason::ConflictingType };
                problems.add(problem.line, problem.reason);
                affected.add(later.name, problem);
            }
            same
        });
    }

    /// A family by its name, or by the name of its counter with or without `_total`; nothing where the page neither
    /// declares it nor has lines of it, read or not.
    pub fn family<'p>(&'p self, name: &'p str) -> Option<Family<'p, 'a>> {
        let declares = |name: &str| self.declared(name).is_some();
        let on_page = declares(name)
            || name.strip_suffix("_total").is_some_and(declares)
            || self.is_part_of_distribution(name)
            || self.run_names().any(|sample| belongs(sample, name))
            || self.unread_by_name(name).is_some();
        on_page.then(|| Family::new(self, name))
    }

    /// All kept samples in the order of the page.
    pub fn samples(&self) -> &[Sample<'a>] {
        &self.samples
    }

    /// Lines that could not be read. Lines of families that were not wanted are judged by their name alone.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// How many lines look like samples, wanted or not. None at all means that this is not a metrics page.
    pub fn sample_lines(&self) -> usize {
        self.sample_lines
    }

    /// How many lines declare a type or a help text, wanted or not.
    pub fn declaration_lines(&self) -> usize {
        self.declaration_lines
    }

    /// Whether the page has `OpenMetrics`' end mark. Lines after it are read all the same, since in the older
    /// format it is a comment.
    pub fn has_eof(&self) -> bool {
        self.eof
    }

    /// The first line of a family that was not read; what the others say is then only a part.
    pub(crate) fn unread(&self, family: &str) -> Option<Problem> {
        self.unread_by_name(family).or_else(|| self.affected.others())
    }

    fn unread_by_name(&self, family: &str) -> Option<Problem> {
        let stem = family.strip_suffix("_total");
        self.affected.first(|name| belongs(name, family) || stem == Some(name))
    }

    /// Whether the name is that of a declared histogram's or summary's sum, count or buckets.
    pub(crate) fn is_part_of_distribution(&self, name: &str) -> bool {
        ["_sum", "_count", "_bucket"].iter().any(|suffix| {
            let stem = name.strip_suffix(suffix).and_then(|stem| self.declared(stem));
            matches!(stem, Some(Kind::Histogram | Kind::Summary))
        })
    }

    pub(crate) fn declared(&self, name: &str) -> Option<Kind> {
        let at = self.declared.binary_search_by(|declared| declared.name.cmp(name)).ok()?;
        self.declared.get(at).map(|declared| declared.kind)
    }

    /// The name of each run of samples.
    pub(crate) fn run_names(&self) -> impl Iterator<Item = &'a str> {
        self.runs.iter().filter_map(|run| self.samples.get(run.start)).map(|sample| sample.name)
    }

    /// Samples whose name is `stem` followed by `suffix`.
    pub(crate) fn samples_named<'p>(
        &'p self,
        stem: &'p str,
        suffix: &'static str,
    ) -> impl Iterator<Item = &'p Sample<'a>> + use<'p, 'a> {
        self.runs
            .iter()
            .filter_map(|run| self.samples.get(run.clone()))
            .filter(move |run| run.first().is_some_and(|sample| sample.name.strip_prefix(stem) == Some(suffix)))
            .flatten()
    }
}

/// A `TYPE` or `HELP` line; the latter says no kind.
#[derive(Debug, Clone, Copy)]
struct Declared<'a> {
    name: &'a str,
    kind: Kind,
    line: usize,
}

/// The name of the line before. Buckets make long runs of lines with one name, which need one decision.
#[derive(Debug, Default)]
struct LastName<'a> {
    name: &'a [u8],
    wanted: bool,
}

impl LastName<'_> {
    fn begins(&self, line: &[u8]) -> bool {
        !self.name.is_empty()
            && line.strip_prefix(self.name).is_some_and(|rest| matches!(rest.first(), Some(b'{' | b' ' | b'\t')))
    }
}

/// The name of every sample line and of every `TYPE` line, in the order of the page, with repetitions. Looks at no
/// other part of the page; lines without a name are left out.
pub fn names(page: &[u8]) -> impl Iterator<Item = &str> {
    Lines::new(without_mark(page)).filter_map(|(_, line)| {
        let name = match line.strip_prefix(b"#") {
            Some(comment) => leading_name(trim_blanks(trim_blanks(comment).strip_prefix(b"TYPE ")?))?,
            None => leading_name(line)?,
        };
        str::from_utf8(name).ok()
    })
}
