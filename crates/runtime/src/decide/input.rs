//! The input of `decide`: observations as people and recorders write them. Must not know how decisions are made.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A whole input.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// One `PodAutoscaler`.
    #[serde(default)]
    pub autoscaler: Option<Value>,
    /// Several.
    #[serde(default)]
    pub autoscalers: Option<Vec<Value>>,
    /// The time that the clock's zero stands for (RFC 3339).
    #[serde(default)]
    pub epoch: Option<String>,
    /// The controller's own flags.
    #[serde(default)]
    pub settings: Settings,
    /// What the autoscaler remembers.
    #[serde(default)]
    pub history: Option<History>,
    /// Capacity that the autoscalers share.
    #[serde(default)]
    pub pools: Vec<PoolInput>,
    /// The observations, in time's order.
    pub ticks: Vec<Tick>,
    /// Whether a world has recorded it: unwritten seconds are then a pause of the metrics, as they were there.
    #[serde(skip)]
    pub recorded: bool,
}

/// Flags of the controllers whose rules are followed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Kubernetes' HPA controller.
    pub hpa: HpaSettings,
    /// Knative's autoscaler. A `tolerance` of 0 means Knative's own behaviour throughout, also towards silence: a window
    /// without a sample is then a load of zero.
    pub kpa: Option<KpaSettings>,
}

/// Flags of Kubernetes' HPA controller.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HpaSettings {
    /// 0.1 where absent.
    pub tolerance: Option<f64>,
    /// 300 where absent.
    pub cpu_initialization_seconds: Option<f64>,
    /// 30 where absent.
    pub initial_readiness_seconds: Option<f64>,
    /// 300 where absent.
    pub downscale_stabilization_seconds: Option<f64>,
    /// Switches to the older rule.
    pub scale_up_limit_factor: Option<f64>,
    /// Switches to the older rule.
    pub scale_up_limit_minimum: Option<f64>,
}

/// Knative's settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KpaSettings {
    /// Target per replica.
    pub target: Option<f64>,
    /// Capacity per replica.
    pub total: Option<f64>,
    /// Burst capacity to keep free; 0 none, -1 unlimited.
    pub target_burst_capacity: Option<f64>,
    /// × of the ready count.
    pub panic_threshold: Option<f64>,
    /// × of the ready count.
    pub max_scale_up_rate: Option<f64>,
    /// Divisor of the ready count.
    pub max_scale_down_rate: Option<f64>,
    /// Seconds.
    pub stable_window_seconds: Option<f64>,
    /// Seconds.
    pub panic_window_seconds: Option<f64>,
    /// Seconds.
    pub scale_down_delay_seconds: Option<f64>,
    /// Seconds that zero must be wanted before it is acted on.
    pub scale_to_zero_grace_seconds: Option<f64>,
    /// At least this many where any.
    pub activation_scale: Option<u32>,
    /// How windows are averaged.
    pub algorithm: Option<Algorithm>,
    /// The band around the target; 0 for Knative's own behaviour.
    pub tolerance: Option<f64>,
    /// Ready replicas when the decider starts.
    pub initial_ready: Option<u32>,
}

/// How windows are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Algorithm {
    /// Every second weighs the same.
    Linear,
    /// Recent seconds weigh more.
    WeightedExponential,
}

/// What an autoscaler remembers. Ages are in seconds before the first tick.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct History {
    /// Earlier recommendations.
    pub recommendations: Vec<PastRecommendation>,
    /// Earlier changes.
    pub changes: Vec<PastChange>,
}

/// One earlier recommendation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastRecommendation {
    /// Seconds before the first tick.
    pub age: f64,
    /// The count.
    pub replicas: u32,
}

/// One earlier change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastChange {
    /// Seconds before the first tick.
    pub age: f64,
    /// Positive when replicas were added.
    pub delta: i64,
}

/// A shared pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolInput {
    /// Units that there are.
    pub units: u32,
    /// Units per replica, by autoscaler.
    pub members: BTreeMap<String, u32>,
    /// Priority by autoscaler; higher goes first, 0 where absent.
    #[serde(default)]
    pub priorities: BTreeMap<String, i32>,
}

/// One tick.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tick {
    /// Seconds on the clock.
    pub at: f64,
    /// Whether to decide; false only records.
    #[serde(default = "yes")]
    pub decide: bool,
    /// The lone autoscaler's target: its `spec.replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// The lone autoscaler's target: its `status.replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_replicas: Option<u32>,
    /// The lone autoscaler's pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Vec<Pod>>,
    /// The lone autoscaler's fleet-wide values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub external: BTreeMap<String, Values>,
    /// Requests that a gateway holds for the lone autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<f64>,
    /// Several autoscalers' targets, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, Target>,
    /// The latest plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanInput>,
    /// In a recording: the capacity that was shared from then on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolInput>,
    /// In a recording: the replicas that were decided then, by autoscaler.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub decided: BTreeMap<String, u32>,
    /// In a recording: requests that ended since the tick before, as seconds of arrival, prompt tokens and answer tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<(f64, u32, u32)>,
}

/// One target at one tick.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The target's `spec.replicas`.
    pub replicas: u32,
    /// Its `status.replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_replicas: Option<u32>,
    /// Its pods; absent: every replica counts as ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Vec<Pod>>,
    /// Fleet-wide values by metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub external: BTreeMap<String, Values>,
    /// Requests that a gateway holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<f64>,
}

/// One value, several, or none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "not a value; allowed: a number, null, or a list of them")]
pub enum Values {
    /// Several values, which are summed.
    Many(Vec<Option<f64>>),
    /// One value, or none.
    One(Option<f64>),
}

/// One pod.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pod {
    /// Unique within the target.
    pub name: String,
    /// `Running` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<autoscaler_core::Phase>,
    /// True where absent; null: no such condition.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub ready: Option<Option<bool>>,
    /// False where absent.
    #[serde(default)]
    pub deleting: bool,
    /// Long ago where absent; null: has not started.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Option<f64>>,
    /// Long ago where absent; null: unknown.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Option<f64>>,
    /// Values by metric; absent or null was not read.
    #[serde(default)]
    pub metrics: BTreeMap<String, Option<f64>>,
    /// Usage by resource, as Kubernetes quantities.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<String, QuantityInput>,
    /// The tick's time where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_at: Option<f64>,
    /// 60 seconds where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_window: Option<f64>,
    /// Requests by resource, as Kubernetes quantities.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, QuantityInput>,
}

/// A quantity as text, or as a plain number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "not a quantity; allowed: text such as 250m or 1Gi, a number, or null")]
pub enum QuantityInput {
    /// `250m`, `1Gi`.
    Text(String),
    /// `2`.
    Number(f64),
    /// Not read.
    None,
}

/// A plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanInput {
    /// When its inputs were taken; the tick's time where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<f64>,
    /// Replicas by autoscaler.
    pub replicas: BTreeMap<String, u32>,
    /// What each count rests on, by autoscaler: text that the trail shows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub why: BTreeMap<String, String>,
}

impl Tick {
    /// A tick of a recording, without anything in it yet.
    #[must_use]
    pub fn recorded(at: f64, decide: bool) -> Self {
        Self {
            at,
            decide,
            replicas: None,
            status_replicas: None,
            pods: None,
            external: BTreeMap::new(),
            held: None,
            targets: BTreeMap::new(),
            plan: None,
            pools: Vec::new(),
            decided: BTreeMap::new(),
            arrivals: Vec::new(),
        }
    }

    /// The target of the lone autoscaler, where the tick describes one.
    #[must_use]
    pub fn lone_target(&self) -> Option<Target> {
        Some(Target {
            replicas: self.replicas?,
            status_replicas: self.status_replicas,
            pods: self.pods.clone(),
            external: self.external.clone(),
            held: self.held,
        })
    }
}

fn yes() -> bool {
    true
}

/// Tells an explicit null from an absent field.
#[allow(clippy::option_option, reason = "absent, null and a value are three different statements")]
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}
