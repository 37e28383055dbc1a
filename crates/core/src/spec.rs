//! What one autoscaler was asked to do, with every default filled in. Must not know manifests: the `api` crate turns
//! a `PodAutoscaler` into this.

use crate::schedule::Schedules;
use crate::time::Span;
use crate::window::buckets::Averaging;

/// One autoscaler.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Its name within the fleet.
    pub name: String,
    /// How it decides.
    pub strategy: Strategy,
    /// What it decides from; the highest answer wins.
    pub sources: Vec<Source>,
    /// Bounds where no schedule is active.
    pub bounds: Bounds,
    /// Bounds by the calendar.
    pub schedules: Schedules,
    /// The band around the target in which nothing changes.
    pub tolerance: Tolerance,
    /// Stabilization and rate policies by direction.
    pub behavior: Behavior,
    /// Whether anybody acts on the decision.
    pub mode: Mode,
    /// What to run when metrics are gone for long; none holds.
    pub fallback: Option<Fallback>,
    /// The total that must be exceeded to leave zero replicas; none is 0.
    pub activation: Option<f64>,
    /// What a human has switched off.
    pub pause: Pause,
    /// How long zero must have been recommended before it is acted on (Knative's scale-to-zero grace period).
    pub zero_grace: Span,
    /// How long a replica may be starting before it no longer counts as on its way.
    pub pending_deadline: Span,
    /// Its role among the targets that serve one model together.
    pub coordination: Option<Coordination>,
}

/// A target's role among those that serve one model together, such as prefill and decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coordination {
    /// Whom it serves with: all targets of this group.
    pub group: String,
    /// What it does; targets of the same role stand in for each other.
    pub role: String,
}

/// The five strategies.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// Kubernetes' `HorizontalPodAutoscaler` v2.
    Hpa(Hpa),
    /// Knative's stable and panic windows.
    Kpa(Kpa),
    /// AIBrix's ratio to target.
    Apa(Apa),
    /// The replicas of a plan made outside.
    Optimizer(Planned),
    /// A plan as a floor under APA's answer.
    Hybrid(Planned, Apa),
}

/// The flags of Kubernetes' HPA controller.
#[derive(Debug, Clone, PartialEq)]
pub struct Hpa {
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`, 5 minutes.
    pub cpu_initialization: Span,
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`, 30 seconds.
    pub initial_readiness: Span,
    /// Kubernetes' rule for objects without behaviour, in place of [`Spec::behavior`].
    pub older_rule: Option<OlderRule>,
}

/// Kubernetes' limits for objects without `behavior`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OlderRule {
    /// Scale-up limit as a multiple of the current replicas (2).
    pub factor: f64,
    /// Scale-up limit that always is allowed (4).
    pub minimum: f64,
    /// Scale-down stabilization (300 s).
    pub window: Span,
}

/// Knative's autoscaler settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Kpa {
    /// The stable window.
    pub stable_window: Span,
    /// The panic window.
    pub panic_window: Span,
    /// Panic starts where `ceil(panic average / target) / ready` reaches this.
    pub panic_threshold: f64,
    /// Largest growth per decision, as a multiple of the ready count.
    pub max_scale_up_rate: f64,
    /// Largest shrinkage per decision, as a divisor of the ready count.
    pub max_scale_down_rate: f64,
    /// A scale-down waits until it has been wanted this long.
    pub scale_down_delay: Span,
    /// A non-zero answer is at least this; 1 switches it off.
    pub activation_scale: u32,
    /// Linear or weighted averages.
    pub averaging: Averaging,
    /// Knative's burst capacity to keep free; none asks for no reserve and reports what is free.
    pub target_burst_capacity: Option<f64>,
    /// Capacity of one replica where it differs from the target (Knative's `total`).
    pub total: Option<f64>,
    /// The target in place of the source's, in Knative's own terms.
    pub target: Option<f64>,
    /// Ready replicas when the decider starts; none takes those of the first tick of a fresh start.
    pub initial_ready: Option<u32>,
    /// Whether a decision without a sample of its own second may scale down, and whether a window whose last write is
    /// exactly one window old counts as zero. Knative does both; otherwise such a tick holds.
    pub knative_silence: bool,
    /// What the seconds between two writes count as.
    pub gaps: Gaps,
}

/// What unwritten seconds between two samples count as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gaps {
    /// Zero, as in Knative (a recording's raw samples).
    Zero,
    /// The value before the gap: an outage of the metrics is not an outage of the load.
    Hold,
}

/// AIBrix's APA settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Apa {
    /// Samples of this window are averaged.
    pub window: Span,
    /// Largest growth within [`APA_PERIOD`], as a factor.
    pub max_scale_up_rate: f64,
    /// Largest shrinkage within [`APA_PERIOD`], as a divisor.
    pub max_scale_down_rate: f64,
}

/// The span that APA's rates refer to: AIBrix's resynchronisation period
/// (aibrix `pkg/controller/podautoscaler/podautoscaler_controller.go`).
pub const APA_PERIOD: Span = Span::secs(10);

/// How a plan is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// A plan older than this is stale.
    pub max_age: Span,
}

/// One metric source.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The key of its values in observations.
    pub key: String,
    /// Where values come from.
    pub kind: SourceKind,
    /// The target, in the metric's unit, finite and above 0 (thousandths for the resource kinds).
    pub target: f64,
    /// How the target is meant.
    pub target_type: TargetType,
}

/// Where the values of a source come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// A value per pod.
    Pods,
    /// Usage of a resource per pod: `cpu` or `memory`.
    Resource(String),
    /// One fleet-wide value.
    External,
    /// One fleet-wide value of a described object.
    Object,
    /// Values per pod, or a fleet-wide one where the observation has one.
    Custom,
}

/// How a target is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetType {
    /// Percent of the resource request.
    Utilization,
    /// Per replica.
    AverageValue,
    /// The value itself, not divided by replicas.
    Value,
}

/// Fewest and most replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Fewest.
    pub min: u32,
    /// Most; at least `min`.
    pub max: u32,
}

/// The band around ratio 1 in which nothing changes; its ends hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Above 1.
    pub up: f64,
    /// Below 1.
    pub down: f64,
}

/// Stabilization and policies for both directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Behavior {
    /// For growth.
    pub up: ScalingRules,
    /// For shrinkage.
    pub down: ScalingRules,
}

/// The rules of one direction (Kubernetes' `HPAScalingRules`).
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingRules {
    /// The window that recommendations are stabilized over.
    pub stabilization: Span,
    /// Which policy binds.
    pub select: Select,
    /// The policies; none means no limit of rate.
    pub policies: Vec<Policy>,
}

/// Which of several policies binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// One limit of rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What `value` counts.
    pub kind: PolicyKind,
    /// Replicas or percent.
    pub value: u32,
    /// The span that the change is counted over.
    pub period: Span,
}

/// What a policy's value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// Replicas.
    Pods,
    /// Percent of the replicas at the start of the period.
    Percent,
}

/// Whether anybody acts on the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The world acts.
    Apply,
    /// The world only reports.
    Recommend,
}

/// What to run when metrics are gone for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// How long they must be gone.
    pub after: Span,
    /// The replicas to run then.
    pub replicas: u32,
}

/// What a human has switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pause {
    /// Everything.
    pub all: bool,
    /// Growth.
    pub up: bool,
    /// Shrinkage.
    pub down: bool,
}

impl ScalingRules {
    /// No window and no limit.
    #[must_use]
    pub fn free(stabilization: Span) -> Self {
        Self { stabilization, select: Select::Max, policies: Vec::new() }
    }
}

impl Behavior {
    /// Kubernetes' autoscaling/v2 defaults, with the controller's scale-down stabilization
    /// (kubernetes `pkg/apis/autoscaling/v2/defaults.go`).
    #[must_use]
    pub fn kubernetes(downscale_stabilization: Span) -> Self {
        let policy = |kind, value| Policy { kind, value, period: Span::secs(15) };
        Self {
            up: ScalingRules {
                stabilization: Span::ZERO,
                select: Select::Max,
                policies: vec![policy(PolicyKind::Pods, 4), policy(PolicyKind::Percent, 100)],
            },
            down: ScalingRules {
                stabilization: downscale_stabilization,
                select: Select::Max,
                policies: vec![policy(PolicyKind::Percent, 100)],
            },
        }
    }
}

impl Behavior {
    /// The same with a scale-down window of at least `window`.
    #[must_use]
    pub fn held_down(&self, window: Span) -> Self {
        let mut held = self.clone();
        held.down.stabilization = held.down.stabilization.max(window);
        held
    }
}

impl Tolerance {
    /// The same on both sides.
    #[must_use]
    pub fn both(tolerance: f64) -> Self {
        Self { up: tolerance, down: tolerance }
    }

    /// Whether a ratio to target lies inside, ends included.
    #[must_use]
    pub fn holds(&self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

impl Bounds {
    /// The count nearest to `replicas` within the bounds.
    #[must_use]
    pub fn clamp(&self, replicas: u32) -> u32 {
        replicas.min(self.max).max(self.min)
    }
}
