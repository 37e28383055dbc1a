//! What is answered, as JSON has it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How good an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Nothing is cheaper.
    Optimal,
    /// All that can be served is; something may be cheaper, but no more so than the bound says.
    Feasible,
    /// Caps or budget do not allow all that types could serve; what is answered serves as much of it as was found.
    Infeasible,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// How good it is.
    pub status: Status,
    /// What the replicas cost.
    pub cost: f64,
    /// The same with the cost of changes: what was made as small as possible.
    pub objective: f64,
    /// No answer has a smaller objective. For an infeasible problem, of what is answered only.
    pub bound: f64,
    /// Objective less bound, as a share of the objective.
    pub gap: f64,
    /// Replicas by type; every type is named.
    pub replicas: BTreeMap<String, u32>,
    /// Who serves what.
    pub routing: Vec<Route>,
    /// What nobody serves.
    pub unserved: Vec<Unserved>,
    /// Seconds that it took.
    pub seconds: f64,
    /// Why, where that was asked for ([`crate::explain`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasons: Option<Vec<Reason>>,
}

/// A share of a size that a type serves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    /// The size, by its place in the problem.
    pub load: usize,
    /// The type.
    pub gpu: String,
    /// The share, 0 to 1.
    pub share: f64,
}

/// A share of a size that nobody serves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unserved {
    /// The size, by its place in the problem.
    pub load: usize,
    /// The share, 0 to 1.
    pub share: f64,
    /// Why.
    pub reason: &'static str,
    /// The size's model, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Why a size goes where it goes, and what would change that. Costs are per request a second and unit of time, at the prices of the
/// linear relaxation: as if replicas could be divided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// The size, by its place in the problem.
    pub load: usize,
    /// The types that serve it.
    pub gpus: Vec<String>,
    /// Why these.
    pub why: Why,
    /// More requests a second of this size that the plan's replicas carry with all else left where it is; beyond it, something moves
    /// or a replica is added. Shared with all other sizes. May be divided between types.
    pub room: f64,
    /// The type whose requests of this size cost least; none, as the costs below, where not everything can be served.
    pub cheapest: Option<String>,
    /// What one more request a second of this size costs, its reserve included.
    pub marginal_cost: Option<f64>,
    /// The next best type; none where no other can serve the size.
    pub next: Option<Next>,
}

/// The grounds of a routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// No other type can serve the size.
    OnlyType,
    /// Nowhere does a request of the size cost less.
    Cheapest,
    /// Another type is cheaper by the request; but replicas are whole, and those of the plan come to less together.
    WholeReplicas,
    /// Not everything can be served; this is where there was room.
    Limits,
    /// Nobody serves it.
    NotServed,
}

/// The next best type of a size, and what would make it as good as the cheapest while all other prices stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// The type.
    pub gpu: String,
    /// What one more request a second of the size costs there.
    pub marginal_cost: f64,
    /// A replica's cost at which it is as good; none where no price is low enough, since there are no more replicas to be had.
    pub tips_at_cost: Option<f64>,
    /// Requests a second that a replica would have to sustain instead; none where the cheapest is free.
    pub tips_at_capacity: Option<f64>,
}
