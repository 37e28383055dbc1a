//! One cell of a comparison, as it is printed.

use crate::world::Outcome;
use serde::Serialize;

/// One policy on one trace. Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// The trace's name.
    pub trace: String,
    /// The engine's name.
    pub engine: String,
    /// Median start-up.
    pub cold_start: f64,
    /// The seed.
    pub seed: u64,
    /// The policy's name.
    pub policy: String,
    /// The policy's knob; 1 is its default.
    pub knob: f64,
    /// Whether it was made in hindsight.
    pub reference: bool,
    /// Requests that arrived after the warm-up.
    pub requests: u64,
    /// Share of them that kept the SLO.
    pub attainment: f64,
    /// What it has to be: 0.99, or what is attainable where that is less.
    pub target: f64,
    /// The attainment with capacity beyond need.
    pub attainable_max: f64,
    /// What was paid.
    pub gpu_hours: f64,
    /// The same of the oracle.
    pub oracle_gpu_hours: f64,
    /// The oracle's attainment.
    pub oracle_attainment: f64,
    /// GPU-hours ÷ the oracle's × (1 + 25 × missing attainment); none where the SLO cannot be reached with any capacity.
    pub score: Option<f64>,
    /// GPU-hours of the late oracle.
    pub late_oracle_gpu_hours: f64,
    /// The late oracle's score.
    pub late_oracle_score: Option<f64>,
    /// Median time to first token.
    pub ttft_p50: f64,
    /// 99th percentile of it.
    pub ttft_p99: f64,
    /// Median of the mean times per output token.
    pub tpot_p50: f64,
    /// 99th percentile of them.
    pub tpot_p99: f64,
    /// Changes of direction within ten minutes, in an hour.
    pub reversals_per_hour: f64,
    /// Requests cut by a scale-down.
    pub aborted: u64,
    /// Most replicas at a time.
    pub peak_replicas: u32,
    /// Seconds that the simulation took.
    pub wall_seconds: f64,
}

impl Cell {
    /// Takes over what a run came to.
    pub(super) fn take(&mut self, outcome: &Outcome) {
        self.requests = outcome.fates.requests;
        self.attainment = outcome.fates.attainment();
        self.gpu_hours = outcome.gpu_hours;
        self.ttft_p50 = outcome.ttft.p50;
        self.ttft_p99 = outcome.ttft.p99;
        self.tpot_p50 = outcome.tpot.p50;
        self.tpot_p99 = outcome.tpot.p99;
        self.reversals_per_hour = outcome.reversals_per_hour;
        self.aborted = outcome.fates.aborted;
        self.peak_replicas = outcome.peak_replicas;
        self.wall_seconds = outcome.wall;
    }

    /// Whether it is scored and keeps its target.
    #[must_use]
    pub fn at_target(&self) -> bool {
        self.score.is_some() && self.attainment >= self.target
    }
}
