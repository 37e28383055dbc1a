//! Answers questions from a page: finds the families, and hands each to what its kind needs.

use crate::absent::Absent;
use crate::dialect::Engine;
use crate::distribution;
use crate::memory::{Key, Memory, NoGrowth, Point, Snapshot};
use crate::plan::{Alternative, Candidate, candidates};
use crate::query::{MetricQuery, Statistic};
use crate::series::{Series, highest, matches, that_count};
use promtext::{Family, Kind, Labels, Page, PageTooLarge, Selection};

/// Reads a page of one replica that came at `now` (seconds on any clock). Without an engine, the page tells which it is.
/// One answer per question, in order.
pub fn read(
    page: &[u8],
    engine: Option<Engine>,
    queries: &[MetricQuery],
    memory: &mut Memory,
    now: f64,
) -> Vec<Result<f64, Absent>> {
    let engine = engine.unwrap_or_else(|| Engine::detect(page));
    let candidates: Vec<Vec<Candidate>> = queries.iter().map(|query| candidates(query, engine)).collect();
    let wanted = Selection::new(candidates.iter().flatten().flat_map(Candidate::families));
    let page = match Page::read(page, &wanted) {
        Ok(page) => page,
        Err(PageTooLarge { bytes }) => return queries.iter().map(|_| Err(Absent::PageTooLarge { bytes })).collect(),
    };
    if page.sample_lines() == 0 && page.declaration_lines() == 0 {
        return queries.iter().map(|_| Err(Absent::NotAPage)).collect();
    }
    let answer = |(query, candidates): (&MetricQuery, &Vec<Candidate>)| {
        let candidate = choose(&page, candidates).ok_or(Absent::NotOffered { engine })?;
        Asked { page: &page, query, candidate, now }.answer(memory)
    };
    queries.iter().zip(&candidates).map(answer).collect()
}

/// The candidate whose first term is on the page; without any the first, whose absence is then told.
fn choose<'c>(page: &Page<'_>, candidates: &'c [Candidate]) -> Option<&'c Candidate> {
    let on_page = |candidate: &&Candidate| {
        candidate.terms.first().is_some_and(|term| term.iter().any(|one| page.family(&one.family).is_some()))
    };
    candidates.iter().find(on_page).or_else(|| candidates.first())
}

/// A usage above this is in percent: 1 is full, and rounding does not reach half as much again.
const PERCENT_FROM: f64 = 1.5;

/// One question to one page, with the way in which it is answered.
pub(crate) struct Asked<'q, 'p> {
    pub(crate) page: &'q Page<'p>,
    pub(crate) query: &'q MetricQuery,
    pub(crate) candidate: &'q Candidate,
    pub(crate) now: f64,
}

impl Asked<'_, '_> {
    fn answer(&self, memory: &mut Memory) -> Result<f64, Absent> {
        // All of them before one fails: each has to remember what it saw.
        let terms: Vec<_> = self.candidate.terms.iter().map(|term| self.term(term, memory)).collect();
        let total = terms.into_iter().sum::<Result<f64, Absent>>()?;
        let name = || self.candidate.families().next().unwrap_or_default().to_owned();
        if total.is_finite() { Ok(total) } else { Err(Absent::Unusable { family: name() }) }
    }

    fn term(&self, alternatives: &[Alternative], memory: &mut Memory) -> Result<f64, Absent> {
        let family = |one: &Alternative, with_lines: bool| {
            let family = self.page.family(&one.family);
            family.is_some_and(|family| !with_lines || family.has_samples() || family.unread().is_some())
        };
        let found = alternatives.iter().find(|one| family(one, true));
        let found = found.or_else(|| alternatives.iter().find(|one| family(one, false)));
        let missing = || alternatives.first().map_or_else(String::new, |one| one.family.clone());
        let one = found.ok_or_else(|| Absent::FamilyMissing { family: missing() })?;
        let family = self.family(&one.family)?;
        let statistic = self.query.statistic.or(self.candidate.statistic);
        if one.per.is_some() {
            return distribution::of_counters(self, &family, one, statistic.unwrap_or(Statistic::Mean), memory);
        }
        let (kind, empty) = (family.kind(), !family.has_samples());
        let default = match kind {
            Kind::Histogram | Kind::Summary => Statistic::Mean,
            Kind::Counter => Statistic::Rate,
            _ => Statistic::Value,
        };
        let statistic = statistic.unwrap_or(default);
        if empty {
            if kind != Kind::Gauge && statistic != Statistic::Value {
                // Declared and without samples, a counter is at zero: vLLM's V0 prints it so before the first request.
                let _ = memory.grow(self.key(one), self.now, Snapshot::new());
            }
            return Err(Absent::NoSamples { family: one.family.clone() });
        }
        match (kind, statistic) {
            (Kind::Histogram, _) => distribution::of_histogram(self, &family, one, statistic, memory),
            (Kind::Summary, _) => distribution::of_summary(self, &family, one, statistic, memory),
            (_, Statistic::Value) => self.value(&family, one, memory),
            (_, Statistic::Rate) => self.rate(&family, one, memory),
            (_, statistic) => {
                Err(Absent::Unsupported { family: one.family.clone(), statistic, allowed: "value, rate" })
            }
        }
    }

    /// A family of which every line was read. What is left of one that was not is a part, and its sum is too small.
    pub(crate) fn family<'f>(&'f self, name: &'f str) -> Result<Family<'f, 'f>, Absent> {
        let family = self.page.family(name).ok_or_else(|| Absent::FamilyMissing { family: name.to_owned() })?;
        match family.unread() {
            Some(problem) => Err(Absent::Unreadable { family: name.to_owned(), problem: problem.to_string() }),
            None => Ok(family),
        }
    }

    /// The series of a plain family that count.
    pub(crate) fn series(&self, family: &Family<'_, '_>, one: &Alternative) -> Result<Vec<Series<f64>>, Absent> {
        let matching = family.values().map(|sample| (sample.labels, sample.value));
        let series = that_count(&one.family, matching.filter(|(labels, _)| self.selects(*labels, one)));
        // An engine's loads, shares and times are never negative; one such value spoils a sum unseen.
        if series.iter().any(|series| !series.value.is_finite() || series.value < 0.0) {
            return Err(Absent::Unusable { family: one.family.clone() });
        }
        if series.is_empty() { Err(Absent::NoSeriesMatches { family: one.family.clone() }) } else { Ok(series) }
    }

    pub(crate) fn selects(&self, labels: Labels<'_>, one: &Alternative) -> bool {
        matches(labels, self.query, one)
    }

    pub(crate) fn key(&self, one: &Alternative) -> Key {
        (self.query.clone(), one.text.clone())
    }

    /// From the family's unit to the one that was asked for.
    pub(crate) fn convert(&self, value: f64, one: &Alternative) -> f64 {
        value * self.candidate.scale / one.divisor
    }

    fn value(&self, family: &Family<'_, '_>, one: &Alternative, memory: &mut Memory) -> Result<f64, Absent> {
        let series = self.series(family, one)?;
        let values = highest(series.into_iter().map(|series| (series.group, series.value)), |value| *value);
        let mut values: Vec<f64> = values.into_iter().map(|value| self.convert(value, one)).collect();
        if self.candidate.usage {
            // Judged by each series, since a mean hides the one that tells, and for good: a low one tells nothing.
            if values.iter().any(|value| *value > PERCENT_FROM) {
                memory.set_percent(&one.family);
            }
            if memory.is_percent(&one.family) {
                for value in &mut values {
                    *value /= 100.0;
                }
            }
        }
        Ok(self.candidate.combine.of(&values))
    }

    fn rate(&self, family: &Family<'_, '_>, one: &Alternative, memory: &mut Memory) -> Result<f64, Absent> {
        let series = self.series(family, one)?;
        let snapshot = series.iter().map(|series| (series.key.clone(), Point::Counter(series.value))).collect();
        let mut growth = memory.grow(self.key(one), self.now, snapshot).map_err(|why| no_growth(why, &one.family))?;
        let grown = series.into_iter().filter_map(|series| match growth.series.remove(&series.key)? {
            Point::Counter(grown) => Some((series.group, grown)),
            Point::Histogram(_) => None,
        });
        let total: f64 = highest(grown, |grown| *grown).iter().sum();
        Ok(self.convert(total / growth.seconds, one))
    }
}

/// Why there is no growth, in words for a reading.
pub(crate) fn no_growth(why: NoGrowth, family: &str) -> Absent {
    let family = family.to_owned();
    match why {
        NoGrowth::First => Absent::NeedsSecondScrape { family },
        NoGrowth::Reset => Absent::CounterReset { family },
        NoGrowth::TooLarge => Absent::TooManySeries { family },
    }
}
