//! What is answered, as JSON has it.

use serde::Serialize;
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
}
