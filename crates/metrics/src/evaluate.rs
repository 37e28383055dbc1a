//! Answers questions from a page: finds the families, selects and combines series, turns counters into rates and
//! histograms into means.

use crate::absent::Absent;
use crate::dialect::{Combine, Definition, Engine, Term, definition};
use crate::memory::{MAX_SERIES, Memory, Snapshot};
use crate::query::{MetricQuery, Statistic};
use promtext::{Family, Histogram, Kind, Labels, Page, PageTooLarge, Selection};
use std::collections::BTreeMap;

/// Reads a page of one replica at `now` (seconds on any clock that does not go back). Without an engine, the page tells
/// which it is. One answer per question, in order.
pub fn read(
    page: &[u8],
    engine: Option<Engine>,
    queries: &[MetricQuery],
    memory: &mut Memory,
    now: f64,
) -> Vec<Result<f64, Absent>> {
    let engine = engine.unwrap_or_else(|| Engine::detect(page));
    let candidates: Vec<Vec<Candidate>> = queries.iter().map(|query| candidates(query, engine)).collect();
    let families = candidates.iter().flatten().flat_map(|candidate| candidate.terms.iter().flatten());
    let wanted = Selection::new(families.map(|alternative| alternative.family.as_str()));
    let page = match Page::read(page, &wanted) {
        Ok(page) => page,
        Err(PageTooLarge { bytes }) => return queries.iter().map(|_| Err(Absent::PageTooLarge { bytes })).collect(),
    };
    if page.sample_lines() == 0 {
        return queries.iter().map(|_| Err(Absent::NotAPage)).collect();
    }
    let answer = |(query, candidates): (&MetricQuery, &Vec<Candidate>)| {
        let chosen = choose(&page, candidates).ok_or(Absent::NotOffered { engine })?;
        Asked { page: &page, query, candidate: chosen, now }.answer(memory)
    };
    queries.iter().zip(&candidates).map(answer).collect()
}

/// One way to answer a question: terms that add up, each with alternatives.
struct Candidate {
    terms: Vec<Vec<Alternative>>,
    combine: Combine,
    scale: f64,
    statistic: Option<Statistic>,
    usage: bool,
}

struct Alternative {
    family: String,
    label: Option<(&'static str, &'static str)>,
}

fn candidates(query: &MetricQuery, engine: Engine) -> Vec<Candidate> {
    match definition(&query.name, engine) {
        // An engine's own name, or that of anything else that prints a page.
        None => vec![Candidate {
            terms: vec![vec![Alternative { family: query.name.clone(), label: None }]],
            combine: combine_of(&query.name),
            scale: 1.0,
            statistic: None,
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
}

impl Alternative {
    /// `family` or `family{label=value}`.
    fn parse(text: &'static str) -> Self {
        let split = text.split_once('{').and_then(|(family, rest)| {
            let (label, value) = rest.strip_suffix('}')?.split_once('=')?;
            Some((family, (label, value)))
        });
        match split {
            Some((family, label)) => Self { family: family.to_owned(), label: Some(label) },
            None => Self { family: text.to_owned(), label: None },
        }
    }
}

/// How series of a name that no table knows become one value: shares are averaged, everything else adds up.
fn combine_of(name: &str) -> Combine {
    let share = ["_perc", "_percent", "_ratio", "_usage", "_utilization", "_util", "_rate"];
    if name.ends_with("_info") {
        Combine::Max
    } else if share.iter().any(|ending| name.ends_with(ending)) {
        Combine::Mean
    } else {
        Combine::Sum
    }
}

/// The candidate whose first term is on the page; without any the first, whose absence is then told.
fn choose<'c>(page: &Page<'_>, candidates: &'c [Candidate]) -> Option<&'c Candidate> {
    let on_page = |candidate: &&Candidate| {
        candidate.terms.first().is_some_and(|term| term.iter().any(|one| page.family(&one.family).is_some()))
    };
    candidates.iter().find(on_page).or_else(|| candidates.first())
}

struct Asked<'q, 'p> {
    page: &'q Page<'p>,
    query: &'q MetricQuery,
    candidate: &'q Candidate,
    now: f64,
}

impl Asked<'_, '_> {
    fn answer(&self, memory: &mut Memory) -> Result<f64, Absent> {
        let mut total = 0.0;
        for term in &self.candidate.terms {
            total += self.term(term, memory)?;
        }
        let mut value = total * self.candidate.scale;
        if self.candidate.usage && value > PERCENT_FROM {
            value /= 100.0;
        }
        Ok(value)
    }

    fn term(&self, alternatives: &[Alternative], memory: &mut Memory) -> Result<f64, Absent> {
        let named = |one: &Alternative| self.page.family(&one.family).is_some_and(|family| family.has_samples());
        let declared = |one: &Alternative| self.page.family(&one.family).is_some();
        let found =
            alternatives.iter().find(|one| named(one)).or_else(|| alternatives.iter().find(|one| declared(one)));
        let missing = || alternatives.first().map_or_else(String::new, |one| one.family.clone());
        let alternative = found.ok_or_else(|| Absent::FamilyMissing { family: missing() })?;
        let name = alternative.family.clone();
        let family =
            self.page.family(&alternative.family).ok_or_else(|| Absent::FamilyMissing { family: name.clone() })?;
        if !family.has_samples() {
            return Err(Absent::NoSamples { family: name });
        }
        let statistic = self.query.statistic.or(self.candidate.statistic);
        if family.kind() == Kind::Histogram {
            return self.histogram(&family, alternative, statistic.unwrap_or(Statistic::Mean), memory);
        }
        let default = if family.kind() == Kind::Counter { Statistic::Rate } else { Statistic::Value };
        match statistic.unwrap_or(default) {
            Statistic::Value => self.value(&family, alternative),
            Statistic::Rate => self.rate(&family, alternative, memory),
            statistic => Err(Absent::Unsupported { family: name, statistic, allowed: "value, rate" }),
        }
    }

    fn value(&self, family: &Family<'_, '_>, alternative: &Alternative) -> Result<f64, Absent> {
        let name = || alternative.family.clone();
        let mut values = Vec::new();
        for sample in family.values().filter(|sample| self.matches(sample.labels, alternative)) {
            // An engine's loads, shares and times are never negative; one such value spoils a sum unseen.
            if !sample.value.is_finite() || sample.value < 0.0 {
                return Err(Absent::Unusable { family: name() });
            }
            values.push(sample.value);
        }
        if values.is_empty() {
            return Err(Absent::NoSeriesMatches { family: name() });
        }
        let sum: f64 = values.iter().sum();
        Ok(match self.candidate.combine {
            Combine::Sum => sum,
            Combine::Mean => sum / values.len() as f64,
            Combine::Max => values.iter().copied().fold(0.0, f64::max),
        })
    }

    fn rate(&self, family: &Family<'_, '_>, alternative: &Alternative, memory: &mut Memory) -> Result<f64, Absent> {
        let name = || alternative.family.clone();
        let mut counters = BTreeMap::new();
        for sample in family.values().filter(|sample| self.matches(sample.labels, alternative)) {
            if !sample.value.is_finite() || sample.value < 0.0 {
                return Err(Absent::Unusable { family: name() });
            }
            counters.insert(sample.labels.key_without(&[]), sample.value);
            if counters.len() > MAX_SERIES {
                return Err(Absent::TooManySeries { family: name() });
            }
        }
        if counters.is_empty() {
            return Err(Absent::NoSeriesMatches { family: name() });
        }
        let snapshot = Snapshot::Counters(counters.clone());
        let earlier = memory.exchange(self.query, &alternative.family, self.now, snapshot.clone());
        let Some((then, Snapshot::Counters(before))) = earlier else {
            return Err(Absent::NeedsSecondScrape { family: name() });
        };
        let mut growth = 0.0;
        for (series, value) in &counters {
            // A series that is new began at zero: engines print a reason for finishing on its first use.
            let from = before.get(series).copied().unwrap_or(0.0);
            if *value < from {
                memory.restart(self.query, &alternative.family, self.now, snapshot);
                return Err(Absent::CounterReset { family: name() });
            }
            growth += value - from;
        }
        Ok(growth / (self.now - then))
    }

    fn histogram(
        &self,
        family: &Family<'_, '_>,
        alternative: &Alternative,
        statistic: Statistic,
        memory: &mut Memory,
    ) -> Result<f64, Absent> {
        let name = || alternative.family.clone();
        let series = family.histograms();
        let matching = series.iter().filter(|(sample, _)| self.matches(sample.labels, alternative));
        let all = matching.map(|(_, histogram)| histogram.clone()).reduce(|a, b| a.plus(&b));
        let all = all.ok_or_else(|| Absent::NoSeriesMatches { family: name() })?;
        let snapshot = Snapshot::Histogram(all.clone());
        let earlier = memory.exchange(self.query, &alternative.family, self.now, snapshot.clone());
        let Some((then, Snapshot::Histogram(before))) = earlier else {
            return Err(Absent::NeedsSecondScrape { family: name() });
        };
        let Ok(growth) = all.since(&before) else {
            memory.restart(self.query, &alternative.family, self.now, snapshot);
            return Err(Absent::CounterReset { family: name() });
        };
        summarise(&growth, statistic, self.now - then, &alternative.family)
    }

    fn matches(&self, labels: Labels<'_>, alternative: &Alternative) -> bool {
        let has = |name: &str, value: &str| labels.get(name).is_some_and(|found| found == value);
        alternative.label.is_none_or(|(name, value)| has(name, value))
            && self.query.labels.iter().all(|(name, value)| has(name, value))
    }
}

/// A share above this is in percent: 1 is full, and rounding does not reach half as much again.
const PERCENT_FROM: f64 = 1.5;

fn summarise(growth: &Histogram, statistic: Statistic, seconds: f64, family: &str) -> Result<f64, Absent> {
    let family = || family.to_owned();
    let none = || Absent::NoNewObservations { family: family() };
    match statistic {
        Statistic::Rate => growth.count().map(|count| count / seconds).ok_or_else(none),
        Statistic::Mean => growth.mean().ok_or_else(none),
        Statistic::Percentile(percent) => growth.quantile(f64::from(percent) / 100.0).ok_or_else(none),
        Statistic::Value => {
            Err(Absent::Unsupported { family: family(), statistic, allowed: "rate, mean, p50, p90, p95, p99" })
        }
    }
}
