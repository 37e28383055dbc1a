//! What is looked for on a page to answer a question: candidates from the table, or a family by its own name. Reads no
//! page.

use crate::dialect::{Combine, Definition, Engine, Term, definition};
use crate::query::{MetricQuery, Statistic};

/// One way to answer a question: terms that add up, each with alternatives.
pub(crate) struct Candidate {
    pub(crate) terms: Vec<Vec<Alternative>>,
    pub(crate) combine: Combine,
    pub(crate) scale: f64,
    pub(crate) statistic: Option<Statistic>,
    pub(crate) usage: bool,
}

/// One family that can answer, in the table's writing: `family{label=value} per other / 100`.
pub(crate) struct Alternative {
    /// The whole text: the same family with another label is another thing to remember.
    pub(crate) text: String,
    pub(crate) family: String,
    pub(crate) label: Option<(&'static str, &'static str)>,
    /// The counter that counts what the family sums up.
    pub(crate) per: Option<&'static str>,
    /// From the family's unit to the table's.
    pub(crate) divisor: f64,
}

/// Typed counter by its engine, and none: the most tokens that were ever in a context.
const HIGH_WATER_MARKS: [&str; 1] = ["llamacpp:n_tokens_max"];

pub(crate) fn candidates(query: &MetricQuery, engine: Engine) -> Vec<Candidate> {
    match definition(&query.name, engine) {
        // An engine's own name, or that of anything else that prints a page.
        None => vec![Candidate {
            terms: vec![vec![Alternative {
                text: query.name.clone(),
                family: query.name.clone(),
                label: None,
                per: None,
                divisor: 1.0,
            }]],
            combine: combine_of(&query.name),
            scale: 1.0,
            statistic: HIGH_WATER_MARKS.contains(&query.name.as_str()).then_some(Statistic::Value),
            usage: false,
        }],
        Some(definitions) => definitions.iter().map(Candidate::of).collect(),
    }
}

impl Candidate {
    fn of(definition: &Definition) -> Self {
        let term = |term: &Term| term.iter().map(|text| Alternative::parse(text)).collect();
        Self {
            terms: definition.terms.iter().map(term).collect(),
            combine: definition.combine,
            scale: definition.scale,
            statistic: definition.statistic,
            usage: definition.usage,
        }
    }

    /// Every family that the candidate may need.
    pub(crate) fn families(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().flatten().flat_map(|one| std::iter::once(one.family.as_str()).chain(one.per))
    }
}

impl Alternative {
    fn parse(text: &'static str) -> Self {
        let (rest, divisor) = match text.split_once(" / ") {
            Some((rest, divisor)) => (rest, divisor.parse().unwrap_or(f64::NAN)),
            None => (text, 1.0),
        };
        let (rest, per) = rest.split_once(" per ").map_or((rest, None), |(rest, per)| (rest, Some(per)));
        let split = rest.split_once('{').and_then(|(family, rest)| {
            let (label, value) = rest.strip_suffix('}')?.split_once('=')?;
            Some((family, (label, value)))
        });
        let (family, label) = split.map_or((rest, None), |(family, label)| (family, Some(label)));
        Self { text: text.to_owned(), family: family.to_owned(), label, per, divisor }
    }
}

/// How series of a name that no table knows become one value: shares are averaged, of infos and high-water marks the
/// highest counts, everything else adds up.
fn combine_of(name: &str) -> Combine {
    let share = ["_perc", "_percent", "_ratio", "_usage", "_utilization", "_util", "_rate"];
    let lower = name.to_ascii_lowercase();
    if lower.ends_with("_info") || HIGH_WATER_MARKS.contains(&name) {
        Combine::Max
    } else if share.iter().any(|ending| lower.ends_with(ending)) {
        Combine::Mean
    } else {
        Combine::Sum
    }
}
