//! Latencies into percentiles and attainment. Attainment counts *all* arrivals: what was dropped or failed missed it.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// What a request has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// Time to first token, seconds.
    pub ttft: f64,
    /// Mean time per output token after the first, seconds.
    pub tpot: f64,
}

impl Default for Slo {
    /// Interactive chat: 2 s and 100 ms.
    fn default() -> Self {
        Self { ttft: 2.0, tpot: 0.1 }
    }
}

impl Slo {
    /// Whether a finished request kept it. An answer of one token has no time per token.
    #[must_use]
    pub fn kept(&self, ttft: f64, tpot: Option<f64>) -> bool {
        ttft <= self.ttft && tpot.is_none_or(|tpot| tpot <= self.tpot)
    }
}

/// Percentiles of a latency in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many values.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

/// Latencies are kept in microseconds, from one to a day, to three digits. The bound is set and not grown into: a histogram
/// that starts small saturates at its first few microseconds.
const HIGHEST_MICROS: u64 = 86_400_000_000;

/// A latency's values, to three digits.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

impl Latency {
    /// No values yet.
    #[must_use]
    pub fn new() -> Option<Self> {
        // The bounds and three digits are valid, so this is always some.
        Histogram::new_with_bounds(1, HIGHEST_MICROS, 3).ok().map(Self)
    }

    /// Adds a value in seconds; one that is no number is left out.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
    pub fn record(&mut self, seconds: f64) {
        if seconds.is_finite() {
            self.0.saturating_record((seconds * 1e6).max(0.0) as u64);
        }
    }

    /// The percentiles so far.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e6;
        Percentiles {
            count: self.0.len(),
            mean: self.0.mean() / 1e6,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            max: self.0.max() as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_of_any_size_are_kept_to_three_digits() {
        for seconds in [1e-5, 0.002, 0.05, 1.5, 600.0, 80_000.0] {
            let mut latency = Latency::new().unwrap();
            latency.record(seconds);
            let seen = latency.percentiles();
            for value in [seen.mean, seen.p50, seen.p99, seen.max] {
                assert!((value - seconds).abs() <= seconds / 1000.0, "{seconds} s was kept as {value}");
            }
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut latency = Latency::new().unwrap();
        (1..=1000_u32).for_each(|millis| latency.record(f64::from(millis) / 1000.0));
        let seen = latency.percentiles();
        let near = |value: f64, wanted: f64| (value - wanted).abs() < 0.002;
        assert!(near(seen.p50, 0.5) && near(seen.p90, 0.9) && near(seen.p99, 0.99) && near(seen.max, 1.0), "{seen:?}");
    }

    #[test]
    fn what_is_no_latency_is_left_out_and_too_much_saturates() {
        let mut latency = Latency::new().unwrap();
        latency.record(f64::NAN);
        assert_eq!(latency.percentiles(), Percentiles::default());
        latency.record(-1.0);
        latency.record(1e12);
        assert_eq!(latency.percentiles().count, 2);
        assert!(latency.percentiles().max >= 86_400.0);
    }
}
