//! Snapshots of one replica's counters and distributions, for rates and means over the last span. Bounded; a replica
//! that is gone takes its memory along. Knows no page and no statistic.

use crate::query::MetricQuery;
use promtext::Histogram;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The span, in seconds, that rates, means and quantiles are taken over: long enough for a few answers to finish,
/// short beside any window that decides.
pub const SPAN_SECONDS: f64 = 30.0;

/// The longest span, in seconds, where scrapes are rare or failed for a while. What came before is no rate of now; so
/// this is also the longest interval between scrapes at which there are rates.
pub const LONGEST_SPAN_SECONDS: f64 = 120.0;

/// The least time between two kept snapshots, in seconds, however fast the scrapes. With the span it bounds their
/// number: 34 a question.
const MIN_STEP: f64 = SPAN_SECONDS / 32.0;
/// The largest snapshot, in bytes of labels and buckets. Eight engines with thirty buckets each need a tenth; a page
/// with more is hostile or is not one replica's.
const MAX_SNAPSHOT_BYTES: usize = 64 << 10;
/// Questions per replica. Of more, the one that was asked least recently is forgotten.
const MAX_QUESTIONS: usize = 64;
/// What a series costs beside its labels and buckets.
const SERIES_BYTES: usize = 96;

/// One series at one time, or its growth since an earlier one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Point {
    /// A counter.
    Counter(f64),
    /// A distribution: buckets, sum, count.
    Histogram(Histogram),
}

/// All series of a family at one time, by their labels.
pub(crate) type Snapshot = BTreeMap<String, Point>;

/// What a question's memory is kept under: the question, and which of its families (and label) answers it.
pub(crate) type Key = (MetricQuery, String);

/// How much each series grew, and over how many seconds.
#[derive(Debug, PartialEq)]
pub(crate) struct Growth {
    pub(crate) seconds: f64,
    pub(crate) series: BTreeMap<String, Point>,
}

/// Why there is no growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoGrowth {
    /// There is nothing to compare with yet.
    First,
    /// Something fell or is gone: the process began anew.
    Reset,
    /// More than is remembered.
    TooLarge,
}

/// The memory of one replica's page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    questions: BTreeMap<Key, Past>,
    /// Families whose usage was once above what a share can be.
    percent: BTreeSet<String>,
}

type Dated = (f64, Arc<Snapshot>);

/// Snapshots of one question: some to take growth from, and the newest, to see a reset at once.
#[derive(Debug, Clone, PartialEq)]
struct Past {
    kept: VecDeque<Dated>,
    newest: Dated,
}

impl Memory {
    /// The growth up to `current`, seen at `now` (seconds), which is then remembered.
    pub(crate) fn grow(&mut self, key: Key, now: f64, current: Snapshot) -> Result<Growth, NoGrowth> {
        if !now.is_finite() {
            return Err(NoGrowth::First);
        }
        if bytes(&current) > MAX_SNAPSHOT_BYTES {
            self.questions.remove(&key);
            return Err(NoGrowth::TooLarge);
        }
        let current = (now, Arc::new(current));
        let Some(past) = self.questions.get_mut(&key) else {
            self.make_room();
            self.questions.insert(key, Past::beginning(current));
            return Err(NoGrowth::First);
        };
        past.grow(current)
    }

    fn make_room(&mut self) {
        if self.questions.len() >= MAX_QUESTIONS {
            let oldest = self.questions.iter().min_by(|(_, a), (_, b)| a.newest.0.total_cmp(&b.newest.0));
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| self.questions.remove(&key));
        }
    }

    /// Whether a family's usage is known to be in percent.
    pub(crate) fn is_percent(&self, family: &str) -> bool {
        self.percent.contains(family)
    }

    /// Remembers that a family's usage is in percent: a low one looks like a share.
    pub(crate) fn set_percent(&mut self, family: &str) {
        if self.percent.len() < MAX_QUESTIONS {
            self.percent.insert(family.to_owned());
        }
    }
}

impl Past {
    fn beginning(first: Dated) -> Self {
        Self { kept: VecDeque::from([first.clone()]), newest: first }
    }

    fn grow(&mut self, current: Dated) -> Result<Growth, NoGrowth> {
        let now = current.0;
        if now < self.newest.0 {
            // The clock was set back: no span to what came before is known.
            *self = Self::beginning(current);
            return Err(NoGrowth::First);
        }
        self.drop_old(now);
        let since_newest = growth(&current.1, &self.newest.1);
        let since_oldest = self.kept.front().map(|(at, oldest)| (now - at, growth(&current.1, oldest)));
        let (seconds, series) = match (since_newest, since_oldest) {
            (None, _) | (_, Some((_, None))) => {
                *self = Self::beginning(current);
                return Err(NoGrowth::Reset);
            }
            (Some(_), None) => {
                *self = Self::beginning(current);
                return Err(NoGrowth::First);
            }
            (Some(_), Some((seconds, Some(series)))) => (seconds, series),
        };
        // A faster scrape adds none: a snapshot keeps its date, so that the span to it goes on growing.
        if self.kept.back().is_none_or(|(at, _)| now - at >= MIN_STEP) {
            self.kept.push_back(current.clone());
        }
        self.newest = current;
        if seconds > 0.0 { Ok(Growth { seconds, series }) } else { Err(NoGrowth::First) }
    }

    /// Leaves one snapshot at the span's edge or beyond, so that the whole span is covered, and none that is too old.
    fn drop_old(&mut self, now: f64) {
        while self.kept.get(1).is_some_and(|(at, _)| now - at >= SPAN_SECONDS) {
            self.kept.pop_front();
        }
        while self.kept.front().is_some_and(|(at, _)| now - at > LONGEST_SPAN_SECONDS) {
            self.kept.pop_front();
        }
    }
}

/// What each series grew by; nothing where one fell or is gone. One that is new began at zero: engines print a reason
/// for finishing on its first use.
fn growth(current: &Snapshot, earlier: &Snapshot) -> Option<BTreeMap<String, Point>> {
    if earlier.keys().any(|series| !current.contains_key(series)) {
        return None;
    }
    let grown = current.iter().map(|(series, now)| {
        let grown = match (now, earlier.get(series)) {
            (now, None) => now.clone(),
            (Point::Counter(now), Some(Point::Counter(before))) if now >= before => Point::Counter(now - before),
            (Point::Histogram(now), Some(Point::Histogram(before))) => Point::Histogram(now.since(before).ok()?),
            _ => return None,
        };
        Some((series.clone(), grown))
    });
    grown.collect()
}

fn bytes(snapshot: &Snapshot) -> usize {
    let series = |(labels, point): (&String, &Point)| {
        let buckets = match point {
            Point::Counter(_) => 0,
            Point::Histogram(histogram) => size_of_val(histogram.buckets()),
        };
        SERIES_BYTES + labels.len() + buckets
    };
    snapshot.iter().map(series).sum()
}
