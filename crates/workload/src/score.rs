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

/// A latency's values, to three digits.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

impl Latency {
    /// No values yet.
    #[must_use]
    pub fn new() -> Option<Self> {
        // Three digits are a valid precision, so this is always some.
        Histogram::new(3).ok().map(Self)
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
