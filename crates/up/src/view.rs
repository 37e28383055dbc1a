//! What the page, the JSON API, the live table and the `state` lines show: one picture, renewed once a second.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, RwLock};

/// Points of history kept per autoscaler, one a second of trace time: ten minutes.
const HISTORY_POINTS: usize = 600;
/// Decisions kept that changed something.
const DECISIONS: usize = 100;
/// Problems kept: what came up long ago has been read or never will be.
const PROBLEMS: usize = 20;

/// The picture.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Trace seconds since the start.
    pub at: f64,
    /// When that was zero (RFC 3339).
    pub epoch: String,
    /// Trace seconds per second.
    pub speed: f64,
    /// The gateway's address.
    pub gateway: String,
    /// The autoscalers, by name.
    pub autoscalers: Vec<AutoscalerView>,
    /// The replicas, by group and number.
    pub replicas: Vec<ReplicaView>,
    /// Requests so far.
    pub requests: RequestsView,
    /// The latest decisions that changed something, oldest first.
    pub decisions: VecDeque<DecisionView>,
    /// Problems that a person should know of.
    pub problems: Vec<String>,
    /// The history by autoscaler, oldest first.
    #[serde(skip)]
    pub history: BTreeMap<String, VecDeque<Point>>,
}

/// One autoscaler.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalerView {
    /// Its name.
    pub name: String,
    /// Its strategy.
    pub strategy: String,
    /// The group it scales.
    pub target: String,
    /// Fewest replicas now.
    pub min: u32,
    /// Most replicas now.
    pub max: u32,
    /// Replicas wanted by the target.
    pub replicas: u32,
    /// Replicas that serve.
    pub ready: u32,
    /// Replicas on their way.
    pub pending: u32,
    /// The last decision.
    pub desired: u32,
    /// The strategy's own last answer.
    pub recommendation: Option<u32>,
    /// Whether panic mode is on.
    pub panic: bool,
    /// The last decision's reason.
    pub reason: String,
    /// Requests running on its replicas; none where no replica tells.
    pub running: Option<f64>,
    /// Requests waiting in its replicas.
    pub waiting: Option<f64>,
    /// Requests held at the gateway.
    pub held: u64,
    /// What it decides from.
    pub metrics: Vec<MetricView>,
    /// The last decision's trail.
    pub trail: Vec<autoscaler_core::Step>,
    /// Its latest plan, where it takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanView>,
}

impl AutoscalerView {
    /// Requests waiting, at the engines and at the gateway; none where no replica tells and nothing is held.
    #[must_use]
    pub fn waiting_in_all(&self) -> Option<f64> {
        match (self.waiting, self.held) {
            (None, 0) => None,
            (waiting, held) => Some(waiting.unwrap_or(0.0) + held as f64),
        }
    }

    /// What is remembered of it at `at`.
    #[must_use]
    pub fn point(&self, at: f64) -> Point {
        let Self { ready, pending, desired, running, .. } = *self;
        Point { at, ready, pending, desired, running, waiting: self.waiting_in_all() }
    }
}

/// A plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    /// Replicas that it asks for.
    pub replicas: u32,
    /// Trace seconds when its inputs were taken.
    pub made_at: f64,
    /// What they cost an hour.
    pub cost_per_hour: f64,
    /// The share of requests that kept the SLO of late; none before any ended.
    pub attainment: Option<f64>,
}

/// One metric of an autoscaler.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricView {
    /// Its key.
    pub name: String,
    /// The sum over ready replicas, or the fleet-wide value.
    pub value: Option<f64>,
    /// Why there is none.
    pub why: String,
    /// The target.
    pub target: f64,
}

/// One replica.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaView {
    /// Its id.
    pub id: String,
    /// Its group.
    pub group: String,
    /// Its state, in words.
    pub state: String,
    /// Its main port.
    pub port: Option<u16>,
    /// Its process.
    pub pid: Option<u32>,
    /// Its GPUs.
    pub gpus: Vec<String>,
    /// Requests on it.
    pub in_flight: usize,
    /// Starts after the first.
    pub restarts: u32,
    /// Whether it was started before its group's manifest was changed.
    #[serde(default)]
    pub outdated: bool,
}

/// Requests so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestsView {
    /// Ended.
    pub requests: u64,
    /// Ended otherwise than well.
    pub failed: u64,
    /// Cut by a scale-down.
    pub aborted: u64,
    /// Seconds.
    pub ttft_p50: Option<f64>,
    /// Seconds.
    pub ttft_p99: Option<f64>,
    /// Seconds.
    pub tpot_p50: Option<f64>,
}

/// One decision that changed something.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionView {
    /// Trace seconds.
    pub at: f64,
    /// Whose.
    pub autoscaler: String,
    /// Before.
    pub replicas: u32,
    /// After.
    pub desired: u32,
    /// Why.
    pub reason: String,
}

/// One point of history, and a `state` line of `up --json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Trace seconds.
    pub at: f64,
    /// Replicas that serve.
    pub ready: u32,
    /// Replicas on their way.
    pub pending: u32,
    /// Replicas wanted.
    pub desired: u32,
    /// Requests running.
    pub running: Option<f64>,
    /// Requests waiting, at the engines and at the gateway.
    pub waiting: Option<f64>,
}

/// The picture, shared. A reader that panicked cannot spoil it: it is replaced whole.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<RwLock<View>>);

impl Shared {
    /// Reads the picture.
    pub fn read<T>(&self, with: impl FnOnce(&View) -> T) -> T {
        with(&self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Changes the picture.
    pub fn write<T>(&self, with: impl FnOnce(&mut View) -> T) -> T {
        with(&mut self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl View {
    /// An autoscaler's own last answer.
    #[must_use]
    pub fn recommendation(&self, autoscaler: &str) -> Option<u32> {
        self.autoscalers.iter().find(|one| one.name == autoscaler)?.recommendation
    }

    /// Appends to an autoscaler's history.
    pub fn remember(&mut self, autoscaler: &str, point: Point) {
        let history = self.history.entry(autoscaler.to_owned()).or_default();
        history.push_back(point);
        while history.len() > HISTORY_POINTS {
            history.pop_front();
        }
    }

    /// Appends a problem.
    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
        let surplus = self.problems.len().saturating_sub(PROBLEMS);
        self.problems.drain(..surplus);
    }

    /// Appends a decision.
    pub fn decided(&mut self, decision: DecisionView) {
        self.decisions.push_back(decision);
        while self.decisions.len() > DECISIONS {
            self.decisions.pop_front();
        }
    }
}
