//! A plan, and what it rests on.

use std::collections::BTreeMap;

/// Replicas for each target, dated.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// When its inputs were taken, on the world's clock.
    pub made_at: f64,
    /// By target.
    pub replicas: BTreeMap<String, u32>,
    /// One line for people, by target.
    pub why: BTreeMap<String, String>,
    /// The figures.
    pub detail: Detail,
}

/// What a plan rests on. Loads are in replicas' full use of the first target: replica-seconds a second.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detail {
    /// The load of now.
    pub now: f64,
    /// The level that the outlook goes by.
    pub level: f64,
    /// Which level that is.
    pub by: &'static str,
    /// Seconds that were looked ahead.
    pub horizon: f64,
    /// The share of requests that may be planned to miss.
    pub allowed: f64,
    /// The share that is expected to miss under the plan.
    pub expected: f64,
    /// By how much the load weighs more than the engine's model says.
    pub scale: f64,
    /// The share that kept the SLO of late; none before any ended.
    pub attainment: Option<f64>,
    /// Cost of the plan an hour.
    pub cost: f64,
    /// The event that is under way or expected, by name.
    pub event: Option<String>,
}
