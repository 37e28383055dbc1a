//! A run as it is plotted: a point at each tick, and every change of the wanted count with its reason.

use serde::Serialize;

/// The world at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Seconds.
    pub at: f64,
    /// Replicas wanted, after the tick.
    pub wanted: u32,
    /// Replicas that serve.
    pub ready: u32,
    /// Replicas on their way.
    pub starting: u32,
    /// Requests in batches.
    pub running: u32,
    /// Requests waiting in replicas.
    pub waiting: u32,
    /// Requests held because nothing serves.
    pub held: u32,
    /// Mean KV cache usage of the replicas that serve, 0 to 1.
    pub kv: f64,
    /// Arrivals a second since the tick before.
    pub rate: f64,
    /// Share of the requests that ended since the tick before that kept the SLO; none where none ended.
    pub attainment: Option<f64>,
}

/// A change of the wanted count.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Seconds.
    pub at: f64,
    /// Before.
    pub from: u32,
    /// After.
    pub to: u32,
    /// The policy's own words.
    pub why: String,
}

/// A run to plot.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// One a tick.
    pub points: Vec<Point>,
    /// Every change.
    pub changes: Vec<Change>,
}
