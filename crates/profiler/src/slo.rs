//! What a cell has to keep, and whether a run kept it.

use crate::run::{Run, Stopped};
use crate::stats::Percentile;
use serde::Serialize;

/// The SLO of a profile: limits in seconds on one statistic. A latency without a limit may be anything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slo {
    /// Time to first token.
    pub ttft: Option<f64>,
    /// Mean time per output token after the first.
    pub tpot: Option<f64>,
    /// From arrival to the last token.
    pub e2e: Option<f64>,
    /// Which statistic the limits are on.
    pub percentile: Percentile,
}

/// Share of the offered rate that has to be carried, whatever the latency: AIBrix's `aibrix_gen_profile`.
pub const CARRIED: f64 = 0.9;
/// Share of requests that may fail for a reason of their own. A percentile above it counts them as infinitely slow.
const FAILURES: f64 = 0.01;

/// As AIBrix writes it into a profile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Written {
    percentile: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    e2e: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpot: Option<f64>,
}

impl Slo {
    /// Which statistic counts. One request at a time shows what the engine can do at best, and a few of them have no 99th
    /// percentile: one hiccup would declare a size impossible, and all larger ones with it.
    fn statistic(&self, run: &Run) -> Percentile {
        if run.rate == 0.0 { Percentile::P50 } else { self.percentile }
    }

    /// The limits with their names and what a run has there. What a run has none of (the time per token of one-token answers)
    /// is kept by nature.
    fn limits(&self, run: &Run) -> impl Iterator<Item = (&'static str, f64, f64)> {
        let at = self.statistic(run);
        [
            ("TTFT", self.ttft, run.ttft.map(|stat| stat.get(at))),
            ("TPOT", self.tpot, run.tpot.map(|stat| stat.get(at))),
            ("E2E", self.e2e, run.e2e.map(|stat| stat.get(at))),
        ]
        .into_iter()
        .filter_map(|(name, limit, value)| Some((name, limit?, value?)))
    }

    /// Whether a run kept it: each statistic below its limit (not equal: AIBrix's rule), and at least [`CARRIED`] of the
    /// offered rate carried.
    #[must_use]
    pub fn kept(&self, run: &Run) -> bool {
        match run.stopped {
            Some(Stopped::Failed) => false,
            Some(Stopped::Passed) => true,
            None => self.strain(run) < 1.0,
        }
    }

    /// How near to the limit a run is: 1 at it, less within. Infinite where too many requests failed.
    #[must_use]
    pub fn strain(&self, run: &Run) -> f64 {
        // Equal to the share is enough, and 1 is too much.
        let carried = CARRIED * run.rate / run.throughput.max(f64::MIN_POSITIVE) * (1.0 - f64::EPSILON);
        self.strain_of_latency(run).max(carried)
    }

    /// As [`Slo::strain`], whatever the throughput.
    pub(crate) fn strain_of_latency(&self, run: &Run) -> f64 {
        if run.requests == 0 || run.failed as f64 > FAILURES * run.requests as f64 {
            return f64::INFINITY;
        }
        self.limits(run).map(|(_, limit, value)| value / limit).fold(0.0, f64::max)
    }

    /// The first limit that a run missed, with what it has there.
    #[must_use]
    pub fn missed(&self, run: &Run) -> Option<Missed> {
        let (name, limit, value) = self.limits(run).find(|(_, limit, value)| value >= limit)?;
        Some(Missed { name, percentile: self.statistic(run), limit, value })
    }

    pub(crate) fn written(&self) -> Written {
        Written { percentile: self.percentile.number(), e2e: self.e2e, ttft: self.ttft, tpot: self.tpot }
    }
}

/// A limit that was missed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Missed {
    /// Of which latency.
    pub name: &'static str,
    /// Which statistic.
    pub percentile: Percentile,
    /// What is allowed, seconds.
    pub limit: f64,
    /// What was, seconds.
    pub value: f64,
}

impl std::fmt::Display for Missed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} is {:.4} s, the limit {} s", self.percentile, self.name, self.value, self.limit)
    }
}

impl std::fmt::Display for Slo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let limits = [("TTFT", self.ttft), ("TPOT", self.tpot), ("E2E", self.e2e)];
        let limits: Vec<String> =
            limits.iter().filter_map(|(name, limit)| Some(format!("{name} < {} s", (*limit)?))).collect();
        if limits.is_empty() { f.write_str("no limit") } else { write!(f, "{} {}", self.percentile, limits.join(", ")) }
    }
}
