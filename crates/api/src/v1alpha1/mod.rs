//! `autoscaling.aibrix.ai/v1alpha1` `PodAutoscaler`: AIBrix's fields under AIBrix's names, then our optional additions.
//!
//! The types are the source of the CRD, so comments on fields are what `kubectl explain` prints. Rules that a type
//! cannot state live in [`mod@crate::validate`] and, where CEL can say them, in [`crate::crd`].

#![allow(clippy::doc_markdown, reason = "these comments are also what `kubectl explain` prints, as plain text")]
#![allow(clippy::duplicated_attributes, reason = "printer columns repeat their keys, one column a line")]

mod additions;
mod behavior;
mod schedule;
mod source;
mod status;

pub use additions::{
    ConfigMapRef, Coordination, CoordinationRole, Fallback, Forecast, ForecastEvent, GpuProfile, Mode, Objective,
    ObjectiveMetric, Slo,
};
pub use behavior::{Behavior, Policy, PolicyType, ScalingRules, SelectPolicy};
pub use schedule::Schedule;
pub use source::{
    DescribedObject, MetricSource, MetricSourceType, ProtocolType, SecretKeyRef, Statistic, TargetType, Tls,
};
pub use status::{
    CurrentMetric, LastDecision, PodAutoscalerStatus, ScalingDecision, ScheduledBounds, StartupTimes, TrailEntry,
};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The API group of AIBrix's autoscaler.
pub const GROUP: &str = "autoscaling.aibrix.ai";
/// The version of the API.
pub const VERSION: &str = "v1alpha1";
/// The kind.
pub const KIND: &str = "PodAutoscaler";

/// What is scaled, between which bounds, and from which metrics.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[kube(
    group = "autoscaling.aibrix.ai",
    version = "v1alpha1",
    kind = "PodAutoscaler",
    plural = "podautoscalers",
    singular = "podautoscaler",
    shortname = "pa",
    namespaced,
    status = "PodAutoscalerStatus",
    derive = "PartialEq",
    doc = "Scales a workload that serves a model, from metrics of its engines or of the cluster.",
    printcolumn(name = "MINPODS", type_ = "integer", json_path = ".spec.minReplicas"),
    printcolumn(name = "MAXPODS", type_ = "integer", json_path = ".spec.maxReplicas"),
    printcolumn(name = "REPLICAS", type_ = "integer", json_path = ".status.actualScale"),
    printcolumn(name = "STRATEGY", type_ = "string", json_path = ".spec.scalingStrategy"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "TARGETS", type_ = "string", json_path = ".status.targets"),
    printcolumn(name = "DESIRED", type_ = "integer", json_path = ".status.desiredScale", priority = 1),
    printcolumn(name = "TARGET", type_ = "string", json_path = ".spec.scaleTargetRef.name", priority = 1),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.lastDecision.reason", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct PodAutoscalerSpec {
    /// The workload that is scaled.
    pub scale_target_ref: ObjectReference,
    /// Narrows the target to a part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_target_selector: Option<SubTargetSelector>,
    /// Fewest replicas; 1 where absent. 0 allows scaling to zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<i32>,
    /// Most replicas, above 0 and not below minReplicas.
    pub max_replicas: i32,
    /// Bounds by the calendar. All entries share one time zone, and no two overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub schedules: Option<Vec<Schedule>>,
    /// The metrics that are decided from; the highest answer wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub metrics_sources: Option<Vec<MetricSource>>,
    /// Seconds that metrics are averaged over (the stable window); 180 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub observe_window_seconds: Option<i64>,
    /// Seconds of the panic window, not above observeWindowSeconds; 60 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub panic_window_seconds: Option<i64>,
    /// How replicas are decided.
    pub scaling_strategy: ScalingStrategy,
    /// Stabilization and rate policies by direction, as in Kubernetes' HPA v2. Wins over the annotations of the same
    /// meaning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,
    /// Apply scales the target (the default); Recommend only reports what it would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What to run when metrics have been gone for long; absent holds the replicas there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// The total that a metric must exceed for the target to leave zero replicas, apart from its target value; 0 where
    /// absent. A whole number, or a decimal as a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<IntOrString>,
    /// Service levels to meet; read by Optimizer and Hybrid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Slo>,
    /// How load is foreseen; read by Optimizer and Hybrid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// Measured GPU profiles to plan with; read by Optimizer and Hybrid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub profiles: Option<Vec<GpuProfile>>,
    /// Whether the router in front of the model sends requests to targets by their size; read by Optimizer and Hybrid. Absent or
    /// false gives every target the same mixture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes_by_size: Option<bool>,
    /// The role of this target among those that serve one model together, whose growth is matched. Not with HPA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordination: Option<Coordination>,
}

/// A part of the target.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubTargetSelector {
    /// The role of a StormService that is scaled. Not with HPA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,
}

/// How replicas are decided.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
pub enum ScalingStrategy {
    /// Kubernetes' HorizontalPodAutoscaler v2.
    #[serde(rename = "HPA")]
    Hpa,
    /// Knative's stable and panic windows.
    #[serde(rename = "KPA")]
    Kpa,
    /// Ratio to target with a tolerance for each direction.
    #[serde(rename = "APA")]
    Apa,
    /// The cheapest GPU mix within the SLO.
    Optimizer,
    /// The optimizer's plan as a floor, with reactive guards on top.
    Hybrid,
}

impl ScalingStrategy {
    /// The name as the manifest writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hpa => "HPA",
            Self::Kpa => "KPA",
            Self::Apa => "APA",
            Self::Optimizer => "Optimizer",
            Self::Hybrid => "Hybrid",
        }
    }

    /// Whether a plan of the optimizer is taken.
    pub fn plans(self) -> bool {
        matches!(self, Self::Optimizer | Self::Hybrid)
    }
}

impl PodAutoscalerSpec {
    /// AIBrix's effective minimum: 1 where the manifest says nothing.
    pub fn min(&self) -> i32 {
        self.min_replicas.unwrap_or(DEFAULT_MIN_REPLICAS)
    }

    /// The role that is scaled, none where it is empty.
    pub fn role_name(&self) -> Option<&str> {
        self.sub_target_selector.as_ref()?.role_name.as_deref().filter(|role| !role.is_empty())
    }

    /// The metric sources, none where the field is absent.
    pub fn sources(&self) -> &[MetricSource] {
        self.metrics_sources.as_deref().unwrap_or_default()
    }
}

/// Replicas at least, where `minReplicas` is absent (AIBrix's default).
pub const DEFAULT_MIN_REPLICAS: i32 = 1;
/// Seconds of the stable window where `observeWindowSeconds` is absent (AIBrix's default).
pub const DEFAULT_OBSERVE_WINDOW_SECONDS: i64 = 180;
/// Seconds of the panic window where `panicWindowSeconds` is absent (AIBrix's default).
pub const DEFAULT_PANIC_WINDOW_SECONDS: i64 = 60;
