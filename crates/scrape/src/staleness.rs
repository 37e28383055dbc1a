//! How old what the replicas said is: fresh, stale or absent. Must not read a clock, nor know where values come from.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value is fresh while it is not older than this many scrape intervals: two scrapes may fail, and nothing changes.
pub const FRESH_INTERVALS: f64 = 3.0;

/// Readings that a board holds: a thousand replicas with dozens of values. More are refused, and said to be absent.
pub const MAX_READINGS: usize = 1 << 16;

/// A difference of dates as seconds since 1970 is off by less than this; it decides nothing.
const TIME_ERROR_S: f64 = 1e-6;

/// A reason is shown in a line, in bytes.
const MAX_REASON_BYTES: usize = 256;

/// What is known of one value of one replica.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The last good value, not older than [`FRESH_INTERVALS`].
    Fresh(f64),
    /// The last good value, older than that.
    Stale {
        /// The value.
        value: f64,
        /// How old it is, in seconds; infinite where that cannot be told.
        age: f64,
    },
    /// There is none.
    Absent(Absence),
}

/// Why there is no value. Absent is never 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absence {
    /// Nothing has been recorded yet.
    #[error("not read yet")]
    NotRead,
    /// It was tried, and never went well.
    #[error("{0}")]
    Failed(Arc<str>),
    /// The board holds as much as it may.
    #[error("too many readings are held: {MAX_READINGS}")]
    Full,
}

#[derive(Debug, Clone)]
struct Reading {
    /// The last good value and its time.
    good: Option<(f64, f64)>,
    /// Why the latest try failed, if it did.
    failure: Option<Arc<str>>,
}

/// The last good value of each replica and key, with its time. Times are in seconds, from any epoch.
#[derive(Debug, Clone)]
pub struct Board<K> {
    fresh_for: f64,
    count: usize,
    replicas: BTreeMap<String, BTreeMap<K, Reading>>,
}

impl<K: Ord> Board<K> {
    /// A board for values that are read every `scrape_interval` seconds.
    #[must_use]
    pub fn new(scrape_interval: f64) -> Self {
        Self { fresh_for: scrape_interval * FRESH_INTERVALS, count: 0, replicas: BTreeMap::new() }
    }

    /// Values are read every `scrape_interval` seconds from now on.
    pub fn set_interval(&mut self, scrape_interval: f64) {
        self.fresh_for = scrape_interval * FRESH_INTERVALS;
    }

    /// A good value, read at `now`. What is not finite is no good value, and counts as a failure.
    pub fn record(&mut self, replica: &str, key: K, now: f64, value: f64) {
        if !value.is_finite() || !now.is_finite() {
            self.fail(replica, key, "the value is no finite number");
        } else if let Some(reading) = self.entry(replica, key) {
            *reading = Reading { good: Some((value, now)), failure: None };
        }
    }

    /// A try that failed: the last good value stays, and ages.
    pub fn fail(&mut self, replica: &str, key: K, reason: &str) {
        let reason = Arc::from(&reason[..reason.floor_char_boundary(MAX_REASON_BYTES)]);
        if let Some(reading) = self.entry(replica, key) {
            reading.failure = Some(reason);
        }
    }

    /// What is known at `now`.
    pub fn read<Q: Ord + ?Sized>(&self, replica: &str, key: &Q, now: f64) -> Answer
    where
        K: Borrow<Q>,
    {
        let Some(reading) = self.find(replica, key) else {
            return Answer::Absent(if self.count < MAX_READINGS { Absence::NotRead } else { Absence::Full });
        };
        let Some((value, at)) = reading.good else {
            return Answer::Absent(reading.failure.clone().map_or(Absence::NotRead, Absence::Failed));
        };
        // A clock that was set back makes a value of the future, which is as doubtful as one of the past.
        let age = (now - at).abs();
        if age <= self.fresh_for + TIME_ERROR_S {
            Answer::Fresh(value)
        } else {
            Answer::Stale { value, age: if age.is_nan() { f64::INFINITY } else { age } }
        }
    }

    /// Why the latest try failed, also where an older value still counts; none where it went well.
    pub fn failure<Q: Ord + ?Sized>(&self, replica: &str, key: &Q) -> Option<&str>
    where
        K: Borrow<Q>,
    {
        self.find(replica, key)?.failure.as_deref()
    }

    /// Forgets the replicas for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.replicas.retain(|replica, _| keep(replica));
        self.count = self.replicas.values().map(BTreeMap::len).sum();
    }

    /// Readings held, good or failed.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn find<Q: Ord + ?Sized>(&self, replica: &str, key: &Q) -> Option<&Reading>
    where
        K: Borrow<Q>,
    {
        self.replicas.get(replica)?.get(key)
    }

    /// The reading, new where there is room.
    fn entry(&mut self, replica: &str, key: K) -> Option<&mut Reading> {
        if self.find(replica, &key).is_none() {
            if self.count >= MAX_READINGS {
                return None;
            }
            self.count += 1;
        }
        // Not `entry`, which would make a new name each time.
        if !self.replicas.contains_key(replica) {
            self.replicas.insert(replica.to_owned(), BTreeMap::new());
        }
        let readings = self.replicas.get_mut(replica)?;
        Some(readings.entry(key).or_insert(Reading { good: None, failure: None }))
    }
}
