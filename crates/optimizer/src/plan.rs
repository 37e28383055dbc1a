//! A plan as it is remembered, saved and shown. Plain data.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How good a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Quality {
    /// Nothing is cheaper.
    Optimal,
    /// It carries the load; something may be cheaper, but by no more than the bound says.
    Feasible,
    /// Maximums do not allow all of the load.
    Infeasible,
    /// It was the cheapest once, still carries the load, and costs little more than the cheapest.
    Kept,
}

impl From<planner::Status> for Quality {
    fn from(status: planner::Status) -> Self {
        match status {
            planner::Status::Optimal => Self::Optimal,
            planner::Status::Feasible => Self::Feasible,
            planner::Status::Infeasible => Self::Infeasible,
        }
    }
}

/// Replicas for a load, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// When it was made or confirmed, Unix seconds.
    pub(crate) at: f64,
    pub(crate) status: Quality,
    /// What its replicas cost per unit of time.
    pub(crate) cost: f64,
    /// No plan for this load costs less.
    pub(crate) bound: f64,
    /// Seconds that the solver took.
    pub(crate) seconds: f64,
    /// Requests a second that were planned for, head-room and backlog included.
    pub(crate) rate: f64,
    /// Replicas by deployment.
    pub(crate) replicas: BTreeMap<String, u32>,
    /// Each size of requests, the dearest first.
    pub(crate) sizes: Vec<SizePlan>,
    /// Deployments that the plan leaves as they are, and why.
    pub(crate) left: BTreeMap<String, String>,
}

/// What becomes of one size of requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SizePlan {
    /// Mean prompt and answer tokens.
    pub(crate) input: f64,
    pub(crate) output: f64,
    /// Requests a second that were planned for.
    pub(crate) rate: f64,
    /// Who serves it.
    pub(crate) served: Vec<Share>,
    /// What it costs by itself: the replicas' parts that it fills, per unit of time.
    pub(crate) cost: f64,
    /// The planner's grounds and prices; `load` is the size's place in the plan. None in plans of older states.
    #[serde(default)]
    pub(crate) reason: Option<planner::Reason>,
    /// What each deployment would make of it.
    pub(crate) choices: Vec<Choice>,
    /// The same in words, or why nobody serves it.
    pub(crate) why: String,
    /// What would have to change for another answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) change: Option<String>,
    /// The share that nobody serves, 0 to 1.
    pub(crate) unserved: f64,
}

/// A share of a size that a deployment serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Share {
    pub(crate) deployment: String,
    /// 0 to 1.
    #[serde(rename = "share")]
    pub(crate) part: f64,
    /// Replicas that this fills.
    pub(crate) replicas: f64,
}

/// What a deployment would make of a size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Choice {
    pub(crate) deployment: String,
    /// Requests a second that a replica sustains; 0: none within the SLO.
    pub(crate) capacity: f64,
    /// Cost per unit of time of one request a second; none where it cannot serve it.
    pub(crate) price: Option<f64>,
}

/// One point of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Point {
    pub(crate) at: f64,
    /// Requests a second that arrived.
    pub(crate) rate: f64,
    /// Cost of what is recommended.
    pub(crate) cost: f64,
    /// No plan for this load costs less.
    pub(crate) bound: f64,
    /// Whether the plan was held for want of something.
    pub(crate) held: bool,
    pub(crate) replicas: BTreeMap<String, u32>,
}

/// Points of the history: six hours of turns.
pub(crate) const MAX_POINTS: usize = 2160;
