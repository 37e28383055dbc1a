//! Snapshots of one replica's counters and histograms, for rates and means over the last span. Bounded; a replica that
//! is gone takes its memory along.

use crate::query::MetricQuery;
use promtext::Histogram;
use std::collections::{BTreeMap, VecDeque};

/// The span, in seconds, that rates, means and quantiles are taken over: long enough for a few answers to finish,
/// short beside any window that decides.
pub const SPAN_SECONDS: f64 = 30.0;

/// Snapshots kept per question: one a second for the span, and some.
const MAX_SNAPSHOTS: usize = 40;
/// The least time between two kept snapshots, in seconds; a faster scrape replaces the last one.
const MIN_STEP: f64 = SPAN_SECONDS / 32.0;
/// Series per question; an engine has a handful.
pub(crate) const MAX_SERIES: usize = 1024;
/// Questions per replica.
const MAX_QUESTIONS: usize = 256;

/// What was read at one time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Snapshot {
    /// Counters by series.
    Counters(BTreeMap<String, f64>),
    /// All series of a histogram together.
    Histogram(Histogram),
}

/// The memory of one replica.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    questions: BTreeMap<(MetricQuery, String), VecDeque<(f64, Snapshot)>>,
}

impl Memory {
    /// Takes a snapshot at `now` (seconds) and answers the earlier one to compare with.
    pub(crate) fn exchange(
        &mut self,
        query: &MetricQuery,
        family: &str,
        now: f64,
        snapshot: Snapshot,
    ) -> Option<(f64, Snapshot)> {
        let key = (query.clone(), family.to_owned());
        if self.questions.len() >= MAX_QUESTIONS && !self.questions.contains_key(&key) {
            return None;
        }
        let kept = self.questions.entry(key).or_default();
        // Keep one snapshot at the span's edge or beyond, so that the whole span is covered.
        while kept.get(1).is_some_and(|(at, _)| now - at >= SPAN_SECONDS) {
            kept.pop_front();
        }
        let earlier = kept.front().filter(|(at, _)| *at < now).cloned();
        match kept.back_mut() {
            Some(last) if kept_too_soon(last.0, now) && earlier.as_ref().is_none_or(|(at, _)| *at < last.0) => {
                *last = (now, snapshot);
            }
            _ => kept.push_back((now, snapshot)),
        }
        while kept.len() > MAX_SNAPSHOTS {
            kept.pop_front();
        }
        earlier
    }

    /// Forgets a question's past: its counters began anew.
    pub(crate) fn restart(&mut self, query: &MetricQuery, family: &str, now: f64, snapshot: Snapshot) {
        let key = (query.clone(), family.to_owned());
        self.questions.insert(key, VecDeque::from([(now, snapshot)]));
    }
}

fn kept_too_soon(last: f64, now: f64) -> bool {
    now - last < MIN_STEP
}
