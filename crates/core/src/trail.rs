//! The explanation of a decision: what each stage took, what it gave, and the rule that bound it.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The stages, in the order that they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Reading the observation.
    Observe,
    /// One metric source's answer.
    Metric,
    /// The strategy's own answer.
    Recommendation,
    /// Metrics are gone.
    Fallback,
    /// Leaving zero.
    Activation,
    /// Replicas that are starting count as on their way.
    PendingGuard,
    /// Two-sided stabilization.
    Stabilization,
    /// Rate policies.
    RateLimit,
    /// Reaching zero.
    ZeroGrace,
    /// A human's switch.
    Pause,
    /// Schedules, minimum and maximum.
    Bounds,
    /// What the other roles of its group can have; once more after the shared capacity.
    Coordination,
    /// The shared capacity of a fleet.
    Capacity,
}

/// Why a stage gave what it gave. The names are stable: they label metrics and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A ratio or average above target asks for more.
    AboveTarget,
    /// A ratio or average below target asks for fewer.
    BelowTarget,
    /// Inside the tolerance, or exactly at target.
    WithinTolerance,
    /// Missing or unready pods were filled in conservatively.
    FilledIn,
    /// The fill-in turned the direction round, so nothing changes.
    DirectionFlip,
    /// Growth was bounded by a rate.
    ScaleUpLimit,
    /// Shrinkage was bounded by a rate.
    ScaleDownLimit,
    /// Panic mode began.
    PanicStarted,
    /// Panic mode holds the highest count seen in it.
    PanicHeld,
    /// Panic mode ended.
    PanicEnded,
    /// A non-zero answer was raised to the activation scale.
    ActivationScale,
    /// A scale-down waits for its delay.
    ScaleDownDelay,
    /// A value is missing or unusable.
    MetricAbsent,
    /// Some metrics failed and the rest asks for fewer.
    PartialMetrics,
    /// The decision has no sample of its own second, so it may not scale down.
    StaleWindow,
    /// The highest of several answers.
    HighestMetric,
    /// Replicas on their way count.
    ReplicasStarting,
    /// A replica is stuck and no longer counts as on its way.
    StuckReplica,
    /// The load exceeds the activation threshold.
    Activated,
    /// The load does not exceed the activation threshold.
    NotActivated,
    /// A scale-up waits for its stabilization window.
    ScaleUpStabilized,
    /// A scale-down waits for its stabilization window.
    ScaleDownStabilized,
    /// This direction is disabled.
    DirectionDisabled,
    /// Zero waits for its grace period.
    ZeroGrace,
    /// A human scaled to zero.
    ScalingDisabled,
    /// A human paused the autoscaler.
    Paused,
    /// The fallback count applies.
    Fallback,
    /// Nothing is known, so capacity is held.
    Hold,
    /// Raised to the minimum.
    TooFewReplicas,
    /// Lowered to the maximum.
    TooManyReplicas,
    /// Raised to the minimum of the active schedule.
    ScheduledMinimum,
    /// Lowered to the maximum of the active schedule.
    ScheduledMaximum,
    /// The shared capacity has no room.
    CapacityShared,
    /// The minimums alone exceed the shared capacity.
    CapacityExceeded,
    /// Another role of the group is limited, and more than matches it would be idle.
    PartnerLimited,
    /// Taken from a plan.
    FromPlan,
    /// The plan is too old.
    PlanStale,
    /// There is no plan.
    PlanAbsent,
}

/// One step of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where.
    pub stage: Stage,
    /// Why.
    pub rule: Rule,
    /// The count that came in; none where there was none yet.
    pub before: Option<u32>,
    /// The count that went out.
    pub after: Option<u32>,
    /// For people: the numbers behind it.
    pub detail: String,
}

/// What was decided for one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetDecision {
    /// When.
    pub at: Timestamp,
    /// The replicas that were wanted before.
    pub replicas: u32,
    /// The replicas that are wanted now.
    pub desired: u32,
    /// The strategy's own answer; none where it could not be formed.
    pub recommendation: Option<u32>,
    /// Whether panic mode is on.
    pub panic: bool,
    /// One line for people.
    pub reason: String,
    /// The explanation.
    pub trail: Vec<Step>,
    /// KPA's figures.
    pub kpa: Option<KpaFigures>,
    /// When the bounds may next change by the calendar.
    pub next_edge: Option<Timestamp>,
}

/// What KPA reports beside its count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KpaFigures {
    /// Average of the stable window.
    pub stable: f64,
    /// Average of the panic window.
    pub panic_average: f64,
    /// Knative's excess burst capacity.
    pub excess_burst_capacity: f64,
}

/// A trail under construction: the count so far and the steps that led to it.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    steps: Vec<Step>,
}

/// A detail is for people and dashboards; a name of a thousand characters in it helps nobody.
const MAX_DETAIL: usize = 400;

impl Trail {
    /// Appends a step.
    pub fn push(
        &mut self,
        stage: Stage,
        rule: Rule,
        before: impl Into<Option<u32>>,
        after: impl Into<Option<u32>>,
        detail: impl Into<String>,
    ) {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
            detail.truncate(end);
        }
        self.steps.push(Step { stage, rule, before: before.into(), after: after.into(), detail });
    }

    /// Appends a step where the count changed, and answers the new count.
    pub fn change(
        &mut self,
        stage: Stage,
        rule: Rule,
        before: u32,
        after: u32,
        detail: impl FnOnce() -> String,
    ) -> u32 {
        if before != after {
            self.push(stage, rule, before, after, detail());
        }
        after
    }

    /// The steps so far.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Ends the construction.
    #[must_use]
    pub fn finish(self) -> Vec<Step> {
        self.steps
    }
}
