//! A decision as `decide` and `up --json` print it: one JSON line.

use autoscaler_core::{Step, TargetDecision};
use serde::Serialize;

/// One line.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Seconds on the input's clock.
    pub at: f64,
    /// The autoscaler, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaler: Option<String>,
    /// The replicas wanted before.
    pub replicas: u32,
    /// The replicas wanted now.
    pub desired: u32,
    /// The strategy's own answer.
    pub recommendation: Option<u32>,
    /// Whether panic mode is on.
    pub panic: bool,
    /// One line for people.
    pub reason: String,
    /// KPA: average of the stable window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<f64>,
    /// KPA: average of the panic window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panic_average: Option<f64>,
    /// KPA: burst capacity beyond what is kept free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excess_burst_capacity: Option<f64>,
    /// The explanation.
    pub trail: Vec<Step>,
}

impl Line {
    /// The line of a decision made at `at` seconds.
    #[must_use]
    pub fn new(at: f64, autoscaler: Option<String>, decision: TargetDecision) -> Self {
        Self {
            at,
            autoscaler,
            replicas: decision.replicas,
            desired: decision.desired,
            recommendation: decision.recommendation,
            panic: decision.panic,
            reason: decision.reason,
            stable: decision.kpa.map(|kpa| kpa.stable),
            panic_average: decision.kpa.map(|kpa| kpa.panic_average),
            excess_burst_capacity: decision.kpa.map(|kpa| kpa.excess_burst_capacity),
            trail: decision.trail,
        }
    }
}
