//! `status`: AIBrix's fields, then the generation that was seen, current metric values and the last decision's trail.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the controller last saw and did.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodAutoscalerStatus {
    /// When replicas were last changed, or a change last failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scale_time: Option<Time>,
    /// Replicas that are wanted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub desired_scale: i32,
    /// Replicas that there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub actual_scale: i32,
    /// The state of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<Condition>>,
    /// The latest scaling decisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    pub scaling_history: Option<Vec<ScalingDecision>>,
    /// The bounds in force now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_bounds: Option<ScheduledBounds>,
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The values decided from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub current_metrics: Option<Vec<CurrentMetric>>,
    /// The last decision and how it came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_decision: Option<LastDecision>,
    /// Current values and targets in short, as `kubectl get` shows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub targets: Option<String>,
    /// How long replicas took from being asked for to being ready, as measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<StartupTimes>,
}

/// Start-up times of the latest replicas, in whole seconds.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartupTimes {
    /// How many were measured.
    pub count: i32,
    /// The median.
    pub p50_seconds: i64,
    /// The ninetieth percentile.
    pub p90_seconds: i64,
    /// The longest.
    pub max_seconds: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &i32) -> bool {
    *count == 0
}

/// One entry of the scaling history.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingDecision {
    /// When.
    pub timestamp: Time,
    /// Replicas before.
    pub previous_scale: i32,
    /// Replicas after.
    pub new_scale: i32,
    /// Why.
    pub reason: String,
    /// Whether it was carried out.
    pub success: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Bounds in force, and where they come from.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledBounds {
    /// The active schedule, absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_schedule: Option<String>,
    /// Fewest replicas now.
    pub effective_min_replicas: i32,
    /// Most replicas now.
    pub effective_max_replicas: i32,
}

/// A metric as it was read for the last decision.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrentMetric {
    /// The source's name or targetMetric.
    pub name: String,
    /// The value, as a decimal; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The target.
    pub target: String,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The last decision.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastDecision {
    /// When.
    pub time: Time,
    /// Replicas wanted.
    pub desired: i32,
    /// The strategy's own answer, before bounds; absent where it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<i32>,
    /// The rule that settled it.
    pub reason: String,
    /// Each stage that changed the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub trail: Option<Vec<TrailEntry>>,
}

/// One stage of a decision.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrailEntry {
    /// The stage.
    pub stage: String,
    /// The rule that bound.
    pub rule: String,
    /// The answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i32>,
    /// The answer after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i32>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
