//! The replica counts of the recent past, for rates that refer to what ran a while ago. A count that was decided and not
//! carried out is withdrawn, so that a world that does not follow cannot make the limits run away.

use crate::stage::log::LONGEST;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The counts that are remembered at most; more are changes several times a second, of which the oldest are forgotten.
const MAX_ENTRIES: usize = 256;

/// Replica counts by time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CountLog {
    // (since when, replicas, whether it was decided and not seen yet), ascending by time.
    entries: VecDeque<(Timestamp, u32, bool)>,
}

impl CountLog {
    /// What a told history says of the counts before `first_tick`, given the count at it and changes by age, oldest first.
    #[must_use]
    pub fn with_history(first_tick: Timestamp, replicas: u32, changes: &[(Span, i64)]) -> Self {
        let clamp = |count: i64| u32::try_from(count.max(0)).unwrap_or(u32::MAX);
        let added = changes.iter().fold(0, |sum: i64, &(_, delta)| sum.saturating_add(delta));
        let mut count = i64::from(replicas).saturating_sub(added);
        let mut log = Self::default();
        log.push(first_tick - LONGEST, clamp(count), false);
        for &(age, delta) in changes {
            count = count.saturating_add(delta);
            log.push(first_tick - age, clamp(count), false);
        }
        log
    }

    /// Takes the count that was seen.
    pub fn observe(&mut self, now: Timestamp, replicas: u32) {
        if self.entries.back().is_some_and(|&(_, count, decided)| decided && count != replicas) {
            self.entries.pop_back();
        }
        match self.entries.back_mut() {
            Some((_, count, decided)) if *count == replicas => *decided = false,
            _ => self.push(now, replicas, false),
        }
    }

    /// Takes the count that was decided, which the next observation confirms or withdraws.
    pub fn decide(&mut self, now: Timestamp, replicas: u32) {
        self.push(now, replicas, true);
    }

    /// The count at `span` before `now`, or the earliest known.
    #[must_use]
    pub fn before(&self, now: Timestamp, span: Span) -> Option<u32> {
        let then = now - span;
        let at = self.entries.iter().rev().find(|&&(since, ..)| since <= then).or(self.entries.front());
        at.map(|&(_, count, _)| count)
    }

    /// Forgets what is further back than `span`, but for the count that held then.
    pub fn prune(&mut self, now: Timestamp, span: Span) {
        let then = now - span;
        while self.entries.get(1).is_some_and(|&(since, ..)| since <= then) {
            self.entries.pop_front();
        }
    }

    fn push(&mut self, at: Timestamp, replicas: u32, decided: bool) {
        self.entries.push_back((at, replicas, decided));
        if self.entries.len() > MAX_ENTRIES {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Span = Span::secs(10);

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1_000_000)
    }

    #[test]
    fn a_change_counts_once_it_is_a_whole_period_old() {
        let mut log = CountLog::default();
        log.observe(at(0), 3);
        log.decide(at(0), 6);
        log.observe(at(5), 6);
        assert_eq!(log.before(at(9), PERIOD), Some(3));
        assert_eq!(log.before(at(10), PERIOD), Some(6));
    }

    #[test]
    fn what_was_decided_and_not_done_is_withdrawn() {
        let mut log = CountLog::default();
        for second in [0, 5, 10, 15, 20] {
            log.observe(at(second), 3);
            assert_eq!(log.before(at(second), PERIOD), Some(3), "at {second} s");
            log.decide(at(second), 6);
        }
    }

    #[test]
    fn a_told_history_says_what_ran_before() {
        let log = CountLog::with_history(at(100), 8, &[(Span::secs(30), 3), (Span::secs(4), 2)]);
        assert_eq!(log.before(at(100), Span::secs(60)), Some(3));
        assert_eq!(log.before(at(100), PERIOD), Some(6));
        assert_eq!(log.before(at(100), Span::secs(2)), Some(8));
    }

    #[test]
    fn pruning_keeps_the_count_that_held_at_the_edge() {
        let mut log = CountLog::default();
        for second in 0..40_u32 {
            log.observe(at(i64::from(second)), second);
            log.prune(at(i64::from(second)), PERIOD);
        }
        assert_eq!(log.entries.len(), 11);
        assert_eq!(log.before(at(39), PERIOD), Some(29));
    }
}
