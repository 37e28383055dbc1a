//! Knative's sliding maximum, which delays scale-downs (knative serving `pkg/autoscaler/aggregation/max`).

use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Knative's decider runs every two seconds, and its delay window has buckets of that length.
const GRANULARITY_SECONDS: i64 = 2;

/// Knative's longest delay (`pkg/apis/autoscaling`, one hour), in buckets; it bounds the queue.
const MAX_BUCKETS: i64 = 3600 / GRANULARITY_SECONDS;

/// The largest of the values recorded within a span; two values of one bucket keep the larger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlidingMaximum {
    buckets: i64,
    // Descending values at ascending indices: only these can still become the maximum.
    maxima: VecDeque<(i64, u32)>,
}

impl SlidingMaximum {
    /// A window of `delay`, rounded up to whole buckets.
    #[must_use]
    pub fn new(delay: Span) -> Self {
        Self { buckets: buckets(delay), maxima: VecDeque::new() }
    }

    /// Takes a changed delay, and keeps what was recorded.
    pub fn set_delay(&mut self, delay: Span) {
        self.buckets = buckets(delay);
    }

    /// Records a value and answers the maximum.
    pub fn record(&mut self, now: Timestamp, value: u32) -> u32 {
        let index = now.second().div_euclid(GRANULARITY_SECONDS);
        while self.maxima.back().is_some_and(|&(_, last)| value > last) {
            self.maxima.pop_back();
        }
        while self.maxima.front().is_some_and(|&(first, _)| first <= index - self.buckets) {
            self.maxima.pop_front();
        }
        // An equal value of the same bucket adds nothing: one entry a bucket bounds the queue.
        if self.maxima.back().is_none_or(|&(last, _)| last != index) {
            self.maxima.push_back((index, value));
        }
        self.maxima.front().map_or(value, |&(_, maximum)| maximum)
    }
}

/// Whole buckets of a delay, rounded up.
fn buckets(delay: Span) -> i64 {
    let granularity = GRANULARITY_SECONDS * 1_000_000;
    (delay.0.clamp(0, MAX_BUCKETS * granularity) + granularity - 1).div_euclid(granularity).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_of_the_delay_wins_until_it_is_too_old() {
        let mut maximum = SlidingMaximum::new(Span::secs(6));
        let at = |second: i64| Timestamp(second * 1_000_000);
        let seen: Vec<u32> = [(0, 9), (2, 3), (3, 4), (4, 2), (6, 2), (8, 2)]
            .map(|(second, value)| maximum.record(at(second), value))
            .to_vec();
        assert_eq!(seen, [9, 9, 9, 9, 4, 2]);
    }
}
