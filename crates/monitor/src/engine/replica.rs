//! One replica: what happened between two readings, and what is told of it while none comes. Knows no other replica.

use super::joint::{joint, lengths};
use super::reading::Reading;
use crate::batch::{MAX_RATE, Size, owed};
use promtext::Histogram;

/// Most sizes that wait to be told; beyond it they are told as their mean.
const MAX_SIZES: usize = 16_384;

/// What happened since the last batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct News {
    pub(super) arrivals: f64,
    pub(super) sizes: Vec<(Size, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Replica {
    pub(super) at: f64,
    pub(super) last: Reading,
    /// Nothing if no page came since the last batch.
    news: Option<News>,
    /// Arrivals a second between the last two readings.
    rate: f64,
    /// Arrivals that were told for it without a page.
    lent: f64,
    /// Arrivals that came out negative.
    owed: f64,
}

impl Replica {
    /// A replica that is seen for the first time. What it did before is not known to be new, unless it began since `told`,
    /// the end of the last batch: by its own word, or as it has finished nothing yet while others were told of before.
    pub(super) fn new(reading: Reading, at: f64, told: Option<f64>) -> Self {
        let began_since = told.is_some_and(|told| match reading.started.filter(|started| *started <= at) {
            Some(started) => told < started,
            // Of a caller whose clock does not count Unix seconds, starts lie in the future.
            None => reading.completed == Some(0.0),
        });
        let news = if began_since { since_start(&reading) } else { News::default() };
        Self { at, last: reading, news: told.map(|_| news), rate: 0.0, lent: 0.0, owed: 0.0 }
    }

    /// Takes a later reading.
    pub(super) fn read(&mut self, reading: Reading, at: f64) {
        let seconds = at - self.at;
        let mut news = match growth(&self.last, &reading) {
            Some(growth) => self.grown(&reading, &growth),
            // It began anew. All that it counts is new if it says so itself; else the traffic is taken to have gone on.
            None if reading.started.is_some_and(|started| self.at < started && started <= at) => {
                self.owed = 0.0;
                since_start(&reading)
            }
            None => {
                self.owed = 0.0;
                News { arrivals: self.rate * seconds, sizes: Vec::new() }
            }
        };
        news.arrivals = news.arrivals.min(MAX_RATE * seconds);
        self.rate = news.arrivals / seconds;
        // What was told for it already is not told again.
        let taken = self.lent.min(news.arrivals);
        self.lent = 0.0;
        news.arrivals -= taken;
        (self.at, self.last) = (at, reading);
        let waiting = self.news.get_or_insert_default();
        waiting.arrivals += news.arrivals;
        waiting.sizes.append(&mut news.sizes);
        if waiting.sizes.len() > MAX_SIZES {
            waiting.sizes = mean(&waiting.sizes);
        }
    }

    fn grown(&mut self, reading: &Reading, growth: &Reading) -> News {
        let done = growth.completed.unwrap_or(0.0);
        let unfinished = || Some(reading.unfinished()? - self.last.unfinished()?);
        let arrivals = growth.arrived.unwrap_or_else(|| done + unfinished().unwrap_or(0.0)) - self.owed;
        self.owed = owed(arrivals, done);
        News { arrivals: arrivals.max(0.0), sizes: sizes(growth) }
    }

    /// What came before the first span is not told.
    pub(super) fn forget_news(&mut self) {
        self.news = None;
    }

    /// Whether a page came since the last batch.
    pub(super) fn has_news(&self) -> bool {
        self.news.is_some()
    }

    /// What is told of it for a span: its news, or, if no page came, that the last rate goes on.
    pub(super) fn tell(&mut self, seconds: f64) -> News {
        self.news.take().unwrap_or_else(|| {
            let arrivals = self.rate * seconds;
            self.lent += arrivals;
            News { arrivals, sizes: Vec::new() }
        })
    }
}

/// All that a process counts, which began within the span.
fn since_start(reading: &Reading) -> News {
    let arrivals =
        reading.arrived.unwrap_or_else(|| reading.completed.unwrap_or(0.0) + reading.unfinished().unwrap_or(0.0));
    News { arrivals, sizes: sizes(reading) }
}

/// What was counted between two readings; nothing where the process began anew: by its own word (starts a second apart
/// are two, since a start is printed as it was rounded), or as something fell.
fn growth(before: &Reading, now: &Reading) -> Option<Reading> {
    if before.started.zip(now.started).is_some_and(|(before, now)| (now - before).abs() > 1.0) {
        return None;
    }
    let counter = |before: Option<f64>, now: Option<f64>| match (before, now) {
        (Some(before), Some(now)) if now < before => None,
        (Some(before), Some(now)) => Some(Some(now - before)),
        _ => Some(None),
    };
    let histogram = |before: &Option<Histogram>, now: &Option<Histogram>| match (before, now) {
        // Declared and not used yet.
        (Some(before), Some(now)) if *before == Histogram::default() => Some(Some(now.clone())),
        (Some(before), Some(now)) => now.since(before).ok().map(Some),
        _ => Some(None),
    };
    Some(Reading {
        arrived: counter(before.arrived, now.arrived)?,
        completed: counter(before.completed, now.completed)?,
        inputs: histogram(&before.inputs, &now.inputs)?,
        outputs: histogram(&before.outputs, &now.outputs)?,
        input_tokens: counter(before.input_tokens, now.input_tokens)?,
        output_tokens: counter(before.output_tokens, now.output_tokens)?,
        ..Reading::default()
    })
}

/// Sizes of the requests that were finished: by histograms where there are any, else their mean by the counters of tokens.
fn sizes(growth: &Reading) -> Vec<(Size, f64)> {
    let count = |histogram: &Option<Histogram>| histogram.as_ref().and_then(Histogram::count);
    let counted = count(&growth.inputs).or(count(&growth.outputs));
    let Some(requests) = growth.completed.or(counted).filter(|requests| *requests > 0.0) else {
        return Vec::new();
    };
    let side = |histogram: &Option<Histogram>, tokens: Option<f64>| {
        let found = histogram.as_ref().map(lengths).unwrap_or_default();
        if found.is_empty() {
            tokens.map(|tokens| vec![(tokens / requests, requests)]).unwrap_or_default()
        } else {
            found
        }
    };
    let inputs = side(&growth.inputs, growth.input_tokens);
    let outputs = side(&growth.outputs, growth.output_tokens);
    joint(&inputs, &outputs, requests)
}

/// The mean for all.
fn mean(sizes: &[(Size, f64)]) -> Vec<(Size, f64)> {
    let sum = |of: fn(&Size) -> f64| sizes.iter().map(|(size, count)| of(size) * count).sum::<f64>();
    let count: f64 = sizes.iter().map(|(_, count)| count).sum();
    vec![(Size { input: sum(|size| size.input) / count, output: sum(|size| size.output) / count }, count)]
}
