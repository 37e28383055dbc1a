//! One autoscaler's settings in plain types: annotations read, defaults that the manifest owns put in, dead keys
//! applied. What is `Option` here is absent in the manifest, and its default belongs to the strategy or the controller.
//! Must not know YAML, Kubernetes objects or how anything is decided.

use crate::diagnostics::Diagnostic;
use crate::v1alpha1::{
    Coordination, DescribedObject, Forecast, GpuProfile, Mode, PolicyType, ProtocolType, ScalingStrategy, SecretKeyRef,
    SelectPolicy, Slo, Statistic, TargetType, Tls,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that one `PodAutoscaler` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedAutoscaler {
    /// Its name.
    pub name: String,
    /// Its namespace, where the manifest says one.
    pub namespace: Option<String>,
    /// How it decides.
    pub strategy: ScalingStrategy,
    /// What it scales.
    pub target: Target,
    /// Bounds where no schedule is active.
    pub bounds: Bounds,
    /// IANA name of the schedules' time zone; UTC where there is none.
    pub timezone: String,
    /// Bounds by the calendar; no two overlap.
    pub schedules: Vec<ResolvedSchedule>,
    /// What it decides from; at least one, with distinct keys.
    pub sources: Vec<ResolvedSource>,
    /// The stable window.
    pub observe_window: Duration,
    /// The panic window, not longer than the stable one.
    pub panic_window: Duration,
    /// KPA's threshold, where an annotation gives one (AIBrix's default is 2).
    pub panic_threshold: Option<f64>,
    /// Largest growth of one decision as a factor of 1 or more, where an annotation gives one (AIBrix's default is 2).
    pub max_scale_up_rate: Option<f64>,
    /// Largest shrinkage of one decision as a divisor of 1 or more, where an annotation gives one (default 2).
    pub max_scale_down_rate: Option<f64>,
    /// The band above the target: `behavior.scaleUp.tolerance`, else (but under HPA) the annotation.
    pub tolerance_up: Option<f64>,
    /// The band below the target: `behavior.scaleDown.tolerance`, else (but under HPA) the annotation.
    pub tolerance_down: Option<f64>,
    /// `scale-up-cooldown-window`, for whoever wants the annotation itself; `rules_up` has it in place.
    pub cooldown_up: Option<Duration>,
    /// `scale-down-cooldown-window`, likewise.
    pub cooldown_down: Option<Duration>,
    /// Stabilization and limits of growth.
    pub rules_up: Rules,
    /// Stabilization and limits of shrinkage.
    pub rules_down: Rules,
    /// Where the rules come from.
    pub rules_from: RulesFrom,
    /// Whether anybody acts on decisions.
    pub mode: Mode,
    /// What to run when metrics are gone for long.
    pub fallback: Option<ResolvedFallback>,
    /// The total that must be exceeded to leave zero replicas.
    pub activation: Option<f64>,
    /// What a human has switched off.
    pub pause: Pause,
    /// How long zero must have been wanted; none where the manifest says nothing.
    pub zero_grace: Duration,
    /// How long a replica may be starting before it no longer counts as on its way.
    pub pending_deadline: Duration,
    /// Service levels, for Optimizer and Hybrid.
    pub slo: Option<Slo>,
    /// How load is foreseen, for Optimizer and Hybrid.
    pub forecast: Option<Forecast>,
    /// GPU profiles, for Optimizer and Hybrid.
    pub profiles: Vec<GpuProfile>,
    /// Whether requests are routed to targets by their size, for Optimizer and Hybrid; none where the manifest says nothing.
    pub routes_by_size: Option<bool>,
    /// Its role among the targets that serve one model together; none under HPA, which decides alone.
    pub coordination: Option<Coordination>,
    /// Warnings and notes about the object, to be reported as events.
    pub findings: Vec<Diagnostic>,
}

/// What is scaled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// API version, empty where the manifest says none.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name, in the autoscaler's namespace.
    pub name: String,
    /// The role of a `StormService`.
    pub role: Option<String>,
    /// With a role: scale the whole `StormService` and not the role (`storm-service-mode: replica`).
    pub whole_storm_service: bool,
}

/// Fewest and most replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Fewest.
    pub min: u32,
    /// Most; above 0 and at least `min`.
    pub max: u32,
}

/// A weekly window with its own bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedSchedule {
    /// Its name, unique.
    pub name: String,
    /// The days it applies to, Monday first.
    pub days: [bool; 7],
    /// First minute of the day, inclusive (0..1440).
    pub start: u16,
    /// End minute of the day, exclusive, after `start`.
    pub end: u16,
    /// Fewest replicas while active; none leaves the base's.
    pub min: Option<u32>,
    /// Most replicas while active; none leaves the base's.
    pub max: Option<u32>,
}

/// One metric source.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedSource {
    /// What its values are called: `name`, else `targetMetric` (with `#index` where an earlier source has that key).
    pub key: String,
    /// The metric's name.
    pub metric: String,
    /// Where values come from.
    pub kind: SourceKind,
    /// The target, finite and above 0. Resource sources: percent for Utilization, else millicores for cpu and bytes
    /// for memory (MiB of HPA manifests multiplied out). Others: the metric's own unit.
    pub target: f64,
    /// How the target is meant.
    pub target_type: TargetType,
    /// What is taken of the series, where the manifest says.
    pub statistic: Option<Statistic>,
    /// Labels that a series must carry.
    pub labels: BTreeMap<String, String>,
    /// How an https endpoint is verified.
    pub tls: Option<Tls>,
    /// A bearer token.
    pub secret: Option<SecretKeyRef>,
}

impl ResolvedSource {
    /// The target in thousandths, rounded up as Kubernetes rounds a quantity, and at least 1.
    #[allow(clippy::cast_possible_truncation, reason = "saturates, which is what is wanted")]
    pub fn target_milli(&self) -> i64 {
        let milli = self.target * 1000.0;
        // 0.3 × 1000 is a hair above 300: what is that near to a whole number is meant to be it.
        let milli = if (milli - milli.round()).abs() < 1e-6 { milli.round() } else { milli.ceil() };
        (milli as i64).max(1)
    }
}

/// Where a source's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// Each pod's own metrics endpoint.
    Pod(PodEndpoint),
    /// metrics.k8s.io.
    Resource(Resource),
    /// custom.metrics.k8s.io, for each pod.
    Custom,
    /// external.metrics.k8s.io.
    External,
    /// A metrics page outside the target, one value for the fleet.
    Endpoint {
        /// Protocol.
        protocol: ProtocolType,
        /// Host and port.
        endpoint: String,
        /// Path, with its leading slash.
        path: String,
    },
    /// custom.metrics.k8s.io, for one object.
    Object(DescribedObject),
    /// A Prometheus server.
    Prometheus {
        /// Base URL, without a trailing slash.
        url: String,
        /// The expression.
        query: String,
    },
}

impl SourceKind {
    /// Whether there is a value for each pod.
    pub fn per_pod(&self) -> bool {
        matches!(self, Self::Pod(_) | Self::Resource(_) | Self::Custom)
    }
}

/// Where a pod's metrics are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodEndpoint {
    /// Protocol.
    pub protocol: ProtocolType,
    /// Port.
    pub port: Port,
    /// Path, with its leading slash.
    pub path: String,
}

/// A port as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// By number.
    Number(u16),
    /// By name; also a number that is out of range, which nothing is called.
    Name(String),
}

/// A resource of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// CPU time.
    Cpu,
    /// Memory.
    Memory,
}

/// Where stabilization and limits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulesFrom {
    /// `spec.behavior`.
    Behavior,
    /// Rate and cooldown annotations, or AIBrix's defaults for them.
    Annotations,
    /// HPA without either: Kubernetes' v2 defaults.
    Kubernetes,
}

/// Stabilization and limits of one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The window that recommendations are stabilized over; none is the controller's own (HPA scale-down, 300 s).
    pub stabilization: Option<Duration>,
    /// Which limit binds.
    pub select: SelectPolicy,
    /// The limits; none means no limit besides the strategy's own rates.
    pub policies: Vec<RulePolicy>,
}

/// One limit of rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RulePolicy {
    /// What `value` counts.
    pub kind: PolicyType,
    /// Replicas or percent, above 0.
    pub value: u32,
    /// The span that the change is counted over.
    pub period: Duration,
}

/// What to run when metrics are gone for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedFallback {
    /// How long they must be gone.
    pub after: Duration,
    /// Replicas to run then.
    pub replicas: u32,
}

/// What a human has switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pause {
    /// Everything.
    pub all: bool,
    /// Growth.
    pub scale_out: bool,
    /// Shrinkage.
    pub scale_in: bool,
}
