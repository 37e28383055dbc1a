//! The two logs that stabilization and rates look back on. Bounded by their longest window, and by number.

use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The longest window that anything looks back on: Kubernetes' and AIBrix's limit of one hour.
pub const LONGEST: Span = Span::secs(3600);

/// More entries than this are merged: one a second for an hour, and some.
pub const MAX_ENTRIES: usize = 4096;

/// Recommendations by time. Merged entries keep the lowest and the highest of what they replace, at the later time,
/// so that a merge never forgets a reason to hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RecommendationLog {
    // (time, lowest, highest), ascending by time.
    entries: VecDeque<(Timestamp, u32, u32)>,
}

impl RecommendationLog {
    /// Appends a recommendation.
    pub fn push(&mut self, at: Timestamp, replicas: u32) {
        self.entries.push_back((at, replicas, replicas));
        let oldest = at - LONGEST;
        while self.entries.front().is_some_and(|&(time, ..)| time < oldest) {
            self.entries.pop_front();
        }
        if self.entries.len() > MAX_ENTRIES {
            self.merge_oldest();
        }
    }

    /// The lowest recommendation that is younger than `window`.
    #[must_use]
    pub fn lowest(&self, now: Timestamp, window: Span) -> Option<u32> {
        self.younger(now, window).map(|&(_, low, _)| low).min()
    }

    /// The highest recommendation that is younger than `window`.
    #[must_use]
    pub fn highest(&self, now: Timestamp, window: Span) -> Option<u32> {
        self.younger(now, window).map(|&(.., high)| high).max()
    }

    /// The highest recommendation of age `window` or less (Kubernetes' older rule).
    #[must_use]
    pub fn highest_inclusive(&self, now: Timestamp, window: Span) -> Option<u32> {
        self.entries.iter().filter(|&&(time, ..)| time >= now - window).map(|&(.., high)| high).max()
    }

    fn younger(&self, now: Timestamp, window: Span) -> impl Iterator<Item = &(Timestamp, u32, u32)> {
        self.entries.iter().rev().take_while(move |&&(time, ..)| time > now - window)
    }

    fn merge_oldest(&mut self) {
        if let (Some((_, low, high)), Some(next)) = (self.entries.pop_front(), self.entries.front_mut()) {
            next.1 = next.1.min(low);
            next.2 = next.2.max(high);
        }
    }
}

/// The autoscaler's own changes of the replica count.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChangeLog {
    // (time, replicas added), in the order of Kubernetes' list, where a new entry may take the place of an old one.
    entries: VecDeque<(Timestamp, i64)>,
}

impl ChangeLog {
    /// Appends a change of `delta` replicas.
    pub fn push(&mut self, at: Timestamp, delta: i64) {
        self.entries.push_back((at, delta));
        self.forget(at);
    }

    /// Takes a change as Kubernetes does (`storeScaleEvent`): it takes the place of the last entry of its direction that
    /// is older than `longest`, the longest period of that direction's policies.
    pub fn replace_outdated(&mut self, at: Timestamp, delta: i64, longest: Span) {
        let outdated = |&(time, change): &(Timestamp, i64)| (change > 0) == (delta > 0) && time < at - longest;
        match self.entries.iter().rposition(outdated) {
            Some(index) => self.entries[index] = (at, delta),
            None => self.entries.push_back((at, delta)),
        }
        self.forget(at);
    }

    /// The sum of the changes younger than `period`.
    #[must_use]
    pub fn sum(&self, now: Timestamp, period: Span) -> i64 {
        let young = self.entries.iter().filter(|&&(time, _)| time > now - period);
        young.map(|&(_, delta)| delta).fold(0, i64::saturating_add)
    }

    /// The changes with their ages at `now`, in the order that they are kept in.
    #[must_use]
    pub fn ages(&self, now: Timestamp) -> Vec<(Span, i64)> {
        self.entries.iter().map(|&(time, delta)| (now.since(time), delta)).collect()
    }

    fn forget(&mut self, now: Timestamp) {
        let oldest = now - LONGEST;
        self.entries.retain(|&(time, _)| time >= oldest);
        while self.entries.len() > MAX_ENTRIES {
            self.entries.pop_front();
        }
    }
}
