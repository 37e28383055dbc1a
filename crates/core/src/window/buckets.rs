//! Knative's windows of one-second buckets (knative serving `pkg/autoscaler/aggregation/bucketing.go`).
//!
//! Samples of one second add up. Seconds without a write after the last one shorten the divisor; seconds without a
//! write between two samples count as zero.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How a window is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Averaging {
    /// Every second weighs the same.
    Linear,
    /// Recent seconds weigh more: Knative's `weightedExponential`.
    WeightedExponential,
}

/// The longest window: AIBrix's and Kubernetes' upper bound of one hour.
pub const MAX_SECONDS: usize = 3600;

/// The smallest smoothing coefficient (knative `bucketing.go`, `minExponent`).
const MIN_COEFFICIENT: f64 = 0.2;
/// The share of the weight that must lie inside the window (knative `bucketing.go`, `weightPrecision`).
const WEIGHT_PRECISION: f64 = 0.9999;
/// Averages are cut to this many decimal places (knative `bucketing.go`, `precision`).
const PRECISION: f64 = 1e6;

/// The largest sample; a window of them sums up to a finite number.
const LARGEST: f64 = 1e300;
/// Seconds beyond any clock, and far enough from the ends of the integers to calculate with.
const FARTHEST: i64 = i64::MAX / 1_000_000;
/// Where what leaves the window exceeds what stays by this factor, the running total has lost the digits of the rest.
const CANCELLATION: f64 = 1e6;

/// A ring of one-second buckets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Buckets {
    seconds: Vec<f64>,
    first_write: Option<i64>,
    last_write: Option<i64>,
    total: f64,
    #[serde(default)]
    last_value: f64,
}

impl Buckets {
    /// An empty window of `seconds`, at least one and at most [`MAX_SECONDS`].
    #[must_use]
    pub fn new(seconds: usize) -> Self {
        let len = seconds.clamp(1, MAX_SECONDS);
        Self { seconds: vec![0.0; len], first_write: None, last_write: None, total: 0.0, last_value: 0.0 }
    }

    /// Whether a restored window has a usable shape.
    #[must_use]
    pub fn fits(&self, seconds: usize) -> bool {
        self.seconds.len() == seconds.clamp(1, MAX_SECONDS)
            && self.total.is_finite()
            && self.seconds.iter().all(|bucket| bucket.is_finite())
            && match (self.first_write, self.last_write) {
                (None, None) => true,
                (Some(first), Some(last)) => first <= last && first > -FARTHEST && last < FARTHEST,
                _ => false,
            }
    }

    /// Whether nothing was written for more than a window; with `at_edge` for exactly one window, too.
    #[must_use]
    pub fn is_silent(&self, now: Timestamp, at_edge: bool) -> bool {
        let silence = self.silence(now);
        silence > self.length() || (at_edge && silence >= self.length())
    }

    /// Adds a sample. One that is older than the window is dropped.
    pub fn record(&mut self, now: Timestamp, value: f64) {
        if !value.is_finite() {
            return;
        }
        let value = value.min(LARGEST);
        let second = now.second();
        if let Some(last) = self.last_write
            && second.saturating_add(self.length()) <= last
        {
            return;
        }
        if self.first_write.is_none_or(|first| second < first) {
            self.first_write = Some(second);
        }
        if self.last_write.is_none_or(|last| second > last) {
            self.advance_to(second);
        }
        let index = self.index(second);
        self.seconds[index] += value;
        self.total += value;
        self.last_value = self.seconds[index];
    }

    /// Sets the value of a second, in place of what it has.
    pub fn replace(&mut self, now: Timestamp, value: f64) {
        if value.is_finite() && self.last_write == Some(now.second()) {
            let index = self.index(now.second());
            self.seconds[index] = 0.0;
            self.total = self.seconds.iter().sum();
        }
        self.record(now, value);
    }

    /// Fills the seconds between the last write and `now` with the last value, as far as the window reaches.
    pub fn hold_until(&mut self, now: Timestamp) {
        let Some(last) = self.last_write else { return };
        let value = self.last_value;
        let second = now.second();
        if second.saturating_sub(last) >= self.length() {
            return;
        }
        for gap in last + 1..second {
            self.record(Timestamp(gap.saturating_mul(1_000_000)), value);
        }
    }

    /// The average at `now`.
    #[must_use]
    pub fn average(&self, now: Timestamp, averaging: Averaging) -> f64 {
        match averaging {
            Averaging::Linear => self.linear(now),
            Averaging::WeightedExponential => self.weighted(now),
        }
    }

    fn linear(&self, now: Timestamp) -> f64 {
        let (Some(first), Some(last)) = (self.first_write, self.last_write) else { return 0.0 };
        let silent = self.silence(now);
        if silent >= self.length() {
            return 0.0;
        }
        let stale: f64 = (1..=silent).map(|step| self.seconds[self.index(last + step)]).sum();
        let written = last - first + 1;
        let divisor = written.min(self.length() - silent);
        ((self.total - stale) / divisor as f64 * PRECISION).floor() / PRECISION
    }

    fn weighted(&self, now: Timestamp) -> f64 {
        let Some(last) = self.last_write else { return 0.0 };
        let silent = self.silence(now);
        if silent > self.length() {
            return 0.0;
        }
        let len = self.length();
        let coefficient = (1.0 - (1.0 - WEIGHT_PRECISION).powf(1.0 / len as f64)).max(MIN_COEFFICIENT);
        let mut weight = coefficient * (1.0 - coefficient).powf(silent as f64);
        let mut average = 0.0;
        for back in 0..len - silent {
            average += self.seconds[self.index(last - back)] * weight;
            weight *= 1.0 - coefficient;
        }
        average
    }

    /// Moves the end of the window to `second`, clearing the seconds that were jumped over.
    fn advance_to(&mut self, second: i64) {
        match self.last_write {
            Some(last) if second - last >= self.length() => {
                self.seconds.fill(0.0);
                self.total = 0.0;
                self.first_write = Some(second);
            }
            Some(last) => {
                let mut left = 0.0;
                for passed in last + 1..=second {
                    let index = self.index(passed);
                    left += self.seconds[index];
                    self.total -= self.seconds[index];
                    self.seconds[index] = 0.0;
                }
                if left > self.total * CANCELLATION {
                    self.total = self.seconds.iter().sum();
                }
            }
            None => {}
        }
        self.last_write = Some(second);
    }

    /// Seconds without a write; never negative, and longer than the window where nothing was ever written.
    fn silence(&self, now: Timestamp) -> i64 {
        self.last_write.map_or(i64::MAX, |last| now.second().saturating_sub(last).max(0))
    }

    fn length(&self) -> i64 {
        i64::try_from(self.seconds.len()).unwrap_or(i64::MAX)
    }

    fn index(&self, second: i64) -> usize {
        usize::try_from(second.rem_euclid(self.length())).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1_000_000)
    }

    fn filled(len: usize, samples: &[(i64, f64)]) -> Buckets {
        let mut buckets = Buckets::new(len);
        for &(second, value) in samples {
            buckets.record(at(second), value);
        }
        buckets
    }

    #[test]
    fn a_window_that_is_not_full_yet_counts_in_full() {
        let buckets = filled(60, &[(0, 10.0), (1, 20.0)]);
        assert_eq!(buckets.linear(at(1)), 15.0);
    }

    #[test]
    fn unwritten_recent_seconds_shorten_the_divisor_and_gaps_are_zeros() {
        let buckets = filled(5, &[(0, 10.0), (2, 10.0), (4, 10.0)]);
        assert_eq!(buckets.linear(at(4)), 6.0);
        assert_eq!(buckets.linear(at(6)), 6.666_666);
    }

    #[test]
    fn samples_of_one_second_add_up() {
        assert_eq!(filled(5, &[(0, 1.0), (0, 2.0)]).linear(at(0)), 3.0);
    }

    #[test]
    fn a_silent_window_restarts() {
        let mut buckets = filled(5, &[(0, 100.0)]);
        assert_eq!(buckets.linear(at(5)), 0.0);
        assert!(!buckets.is_silent(at(5), false));
        assert!(buckets.is_silent(at(5), true));
        assert!(buckets.is_silent(at(6), false));
        buckets.record(at(5), 7.0);
        assert_eq!(buckets.linear(at(5)), 7.0);
    }

    #[test]
    fn late_samples_join_their_bucket_and_older_ones_are_dropped() {
        let mut buckets = filled(5, &[(10, 4.0), (12, 4.0)]);
        buckets.record(at(9), 4.0);
        assert_eq!(buckets.linear(at(12)), 3.0);
        buckets.record(at(7), 400.0);
        assert_eq!(buckets.linear(at(12)), 3.0);
    }

    #[test]
    fn the_weighted_average_favours_recent_seconds() {
        // knative bucketing.go documents 5.544 for [10, 10, 5, 5] at a coefficient of 0.6; four buckets give 0.9.
        let average = filled(4, &[(0, 10.0), (1, 10.0), (2, 5.0), (3, 5.0)]).weighted(at(3));
        let expected = 5.0 * 0.9 + 5.0 * 0.09 + 10.0 * 0.009 + 10.0 * 0.0009;
        assert!((average - expected).abs() < 1e-9, "{average} against {expected}");
    }

    #[test]
    fn an_absurd_sample_leaves_no_trace_once_it_has_left_the_window() {
        let mut buckets = filled(3, &[(0, 1e18), (1, 5.0), (2, 5.0), (3, 5.0)]);
        assert_eq!(buckets.linear(at(3)), 5.0);
        for second in 4..8 {
            buckets.record(at(second), f64::MAX);
        }
        assert!(buckets.linear(at(7)).is_finite());
        for second in 8..12 {
            buckets.record(at(second), 5.0);
        }
        assert_eq!(buckets.linear(at(11)), 5.0);
    }

    #[test]
    fn replacing_a_second_does_not_add_to_it() {
        let mut buckets = filled(5, &[(0, 10.0), (1, 10.0)]);
        buckets.replace(at(1), 20.0);
        assert_eq!(buckets.linear(at(1)), 15.0);
    }

    #[test]
    fn holding_fills_a_gap_with_the_last_value() {
        let mut buckets = filled(60, &[(0, 10.0)]);
        buckets.hold_until(at(9));
        buckets.record(at(9), 10.0);
        assert_eq!(buckets.linear(at(9)), 10.0);
    }
}
