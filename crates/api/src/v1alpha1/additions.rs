//! Optional parts of the spec that AIBrix does not have: mode, fallback, service levels, forecasts, GPU profiles.
//! An absent one leaves AIBrix's behaviour as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether anybody acts on decisions.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum Mode {
    /// The target is scaled.
    #[default]
    Apply,
    /// Decisions are only reported.
    Recommend,
}

/// What to run when metrics have been gone for long.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// Seconds without any usable metric after which it applies.
    #[schemars(range(min = 1, max = 86400))]
    pub after_seconds: i32,
    /// Replicas to run then, within the bounds.
    #[schemars(range(min = 0))]
    pub replicas: i32,
}

/// Service levels.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slo {
    /// What a request must meet, every one of them.
    #[schemars(length(min = 1, max = 8))]
    pub objectives: Vec<Objective>,
    /// The share of requests that must meet them, above 0 and at most 1; 0.99 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attainment: Option<f64>,
}

/// One latency objective.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Objective {
    /// Which latency.
    pub metric: ObjectiveMetric,
    /// The percentile that must meet it, above 0 and at most 100; absent leaves it to attainment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentile: Option<f64>,
    /// The latency in seconds, above 0.
    pub seconds: f64,
}

/// A latency of a request.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveMetric {
    /// Time to first token.
    Ttft,
    /// Time for each output token after the first.
    Tpot,
    /// End to end.
    E2e,
}

/// A target's part in a model that several targets serve together.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Coordination {
    /// The same name for all PodAutoscalers of the namespace that serve together.
    #[schemars(length(min = 1, max = 253))]
    pub group: String,
    /// What this target does.
    pub role: CoordinationRole,
}

/// What a target of disaggregated serving does.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CoordinationRole {
    /// Reads prompts.
    Prefill,
    /// Writes answers.
    Decode,
}

impl CoordinationRole {
    /// Its name in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}

/// How load is foreseen.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// Seconds to look ahead; the start-up time of a replica where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub horizon_seconds: Option<i32>,
    /// Without effect: plans provide for the whole distribution of what load may become, by slo.attainment. Between 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// Seconds of the season, 86400 for a daily one; found from history where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 2_678_400))]
    pub season_seconds: Option<i32>,
    /// Times at which load will differ for a known reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub events: Option<Vec<ForecastEvent>>,
}

/// A known change of load.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastEvent {
    /// Its name, unique within the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// When it begins, RFC 3339.
    #[schemars(length(max = 64))]
    pub start: String,
    /// When it ends, RFC 3339, after its start.
    #[schemars(length(max = 64))]
    pub end: String,
    /// What load is multiplied by meanwhile, above 0.
    pub factor: f64,
}

/// One GPU type that may serve the model, with the file of its measured profile.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuProfile {
    /// Name of the GPU type, unique within the object.
    #[schemars(length(min = 1, max = 253))]
    pub gpu_type: String,
    /// Price of one replica an hour, above 0; the profile's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_hour: Option<f64>,
    /// A ConfigMap that holds the profile; either this or file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapRef>,
    /// A file that holds the profile; either this or configMapRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub file: Option<String>,
}

/// A key of a ConfigMap in the object's namespace.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapRef {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key within it; profile.json where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}
