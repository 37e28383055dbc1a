//! One run: requests of one size at one rate, and what became of them.

use crate::stats::Stat;
use serde::{Deserialize, Serialize};

/// A size of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// Prompt tokens.
    pub input: u32,
    /// Answer tokens.
    pub output: u32,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in, {} out", self.input, self.output)
    }
}

/// What is to be run next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ask {
    /// Of which size.
    pub cell: Cell,
    /// Requests a second; 0 means one at a time, the next when the last has ended.
    pub rate: f64,
    /// Which repeat of the same, from 0: each has arrivals of its own.
    pub attempt: u32,
    /// Seconds that one request takes alone, where known: how long a run needs to fill the engine.
    pub alone: Option<f64>,
}

/// Why a run ended before its last request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stopped {
    /// More requests missed the SLO than the percentile allows.
    Failed,
    /// Half of the requests were far within the SLO, and no more were under way than before.
    Passed,
}

/// A run's outcome. Latencies are of the requests after the warm-up; those of a run that failed early contain the ages of
/// requests that were still under way, which are less than what they would have become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Of which size.
    pub cell: Cell,
    /// Offered requests a second; 0 where one at a time.
    pub rate: f64,
    /// Which repeat.
    pub attempt: u32,
    /// Requests after the warm-up.
    pub requests: u64,
    /// Of them, those that failed.
    pub failed: u64,
    /// Completed requests a second, from the first end to the last.
    pub throughput: f64,
    /// Time to first token.
    pub ttft: Option<Stat>,
    /// Time per token after the first; none where answers have one token.
    pub tpot: Option<Stat>,
    /// From arrival to end.
    pub e2e: Option<Stat>,
    /// Mean prompt tokens as the engine counted them, where it said so.
    #[serde(default)]
    pub input_tokens: Option<f64>,
    /// Mean answer tokens.
    #[serde(default)]
    pub output_tokens: Option<f64>,
    /// 99th percentile of how late requests were sent, seconds: what this machine adds to a latency.
    #[serde(default)]
    pub late: f64,
    /// Why it ended early, where it did.
    #[serde(default)]
    pub stopped: Option<Stopped>,
    /// Why the engine does not take this size at all, where it says so.
    #[serde(default)]
    pub refused: Option<String>,
}

impl Run {
    /// Nothing yet of what was asked for.
    #[must_use]
    pub fn empty(ask: &Ask) -> Self {
        Self {
            cell: ask.cell,
            rate: ask.rate,
            attempt: ask.attempt,
            requests: 0,
            failed: 0,
            throughput: 0.0,
            ttft: None,
            tpot: None,
            e2e: None,
            input_tokens: None,
            output_tokens: None,
            late: 0.0,
            stopped: None,
            refused: None,
        }
    }

    /// Whether it was run for `ask`.
    #[must_use]
    pub fn answers(&self, ask: &Ask) -> bool {
        (self.cell, self.rate, self.attempt) == (ask.cell, ask.rate, ask.attempt)
    }
}

/// Completed requests a second from the times at which they ended, in any order; 0 for fewer than two. Counting from the first
/// end to the last leaves out the filling and the draining of the engine, which a short run would charge to its rate.
pub(crate) fn throughput(ends: &[f64]) -> f64 {
    let first = ends.iter().copied().fold(f64::INFINITY, f64::min);
    let last = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if ends.len() < 2 || last <= first { 0.0 } else { (ends.len() - 1) as f64 / (last - first) }
}
