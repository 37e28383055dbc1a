//! What an object's status says: pure, with the time as an argument. AIBrix's fields, and conditions with reasons that stay.
//!
//! | condition | `True` means |
//! |---|---|
//! | `ValidSpec` | the manifest can be acted upon |
//! | `AbleToScale` | the target was found, and its count can be written |
//! | `ScalingActive` | metrics can be read (HPA's meaning; AIBrix's was that a change is under way, which `Ready` still says) |
//! | `ScalingLimited` | a bound decides |
//! | `PlanFresh` | a fresh plan decides (`Optimizer` and `Hybrid`) |
//! | `Conflict` | somebody else scales the target; AIBrix's `MultiPodAutoscalerConflict` is `False` then, and is written too |
//! | `Ready` | able to scale, and the target has what is wanted |

use crate::planning::Standing;
use crate::pods::StartUp;
use autoscaler_api::v1alpha1::{
    CurrentMetric, LastDecision, PodAutoscalerStatus, ScalingDecision, ScheduledBounds, StartupTimes, TrailEntry,
};
use autoscaler_core::{Rule, Span, Stage, TargetDecision};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Serialize;

/// What is known of an object at the end of a turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) generation: Option<i64>,
    /// Why the manifest cannot be acted upon.
    pub(crate) invalid: Option<String>,
    /// Who has the target instead.
    pub(crate) conflict: Option<String>,
    /// Why the target cannot be scaled.
    pub(crate) unable: Option<(&'static str, String)>,
    /// What the target has.
    pub(crate) replicas: Option<u32>,
    pub(crate) decision: Option<TargetDecision>,
    pub(crate) metrics: Vec<CurrentMetric>,
    pub(crate) startup: Option<StartUp>,
    pub(crate) bounds: Option<ScheduledBounds>,
    /// How it stands to its plan, where its strategy plans.
    pub(crate) standing: Option<Standing>,
    /// What became of the decision.
    pub(crate) wrote: Wrote,
    /// Conditions of the native HPA, by names of their own.
    pub(crate) mirrored: Vec<(String, String, String, String)>,
    /// Replicas that the native HPA wants.
    pub(crate) hpa_desired: Option<i32>,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Wrote {
    /// There was nothing to write.
    #[default]
    Nothing,
    /// From a count to another.
    Scaled(u32, u32),
    /// The same, and why it failed.
    Failed(u32, u32, String),
}

/// Decisions that are listed.
const HISTORY: usize = 5;
/// The shortest time between two equal entries, as in AIBrix.
const HISTORY_QUIET_SECONDS: i64 = 5;
/// Texts are cut to this many bytes: a status is read by people.
const MAX_TEXT: usize = 256;
/// Steps of a trail that are listed.
const MAX_STEPS: usize = 16;

/// The next status. What is not known now stays as it was.
pub(crate) fn next(before: &PodAutoscalerStatus, facts: &Facts, now: &Time) -> PodAutoscalerStatus {
    let mut status = before.clone();
    status.observed_generation = facts.generation;
    if let Some(replicas) = facts.replicas {
        status.actual_scale = int(replicas);
    }
    if let Some(decision) = &facts.decision {
        status.desired_scale = int(decision.desired);
        status.last_decision = Some(last(decision, now));
    } else if let Some(desired) = facts.hpa_desired {
        status.desired_scale = desired;
    }
    if !facts.metrics.is_empty() {
        status.current_metrics = Some(facts.metrics.clone());
        status.targets = Some(cut(&targets(&facts.metrics)));
    }
    if let Some(startup) = &facts.startup {
        status.startup = Some(times(startup));
    }
    if facts.bounds.is_some() {
        status.scheduled_bounds.clone_from(&facts.bounds);
    }
    remember(&mut status, facts, now);
    status.conditions = Some(conditions(before, &status, facts, now));
    status
}

/// As `kubectl get hpa` shows them.
fn targets(metrics: &[CurrentMetric]) -> String {
    let one = |metric: &CurrentMetric| {
        format!("{}: {}/{}", metric.name, metric.value.as_deref().unwrap_or("<unknown>"), metric.target)
    };
    metrics.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn times(measured: &StartUp) -> StartupTimes {
    // A start-up of more than centuries is none.
    #[allow(clippy::cast_possible_truncation, reason = "saturates")]
    let whole = |span: Span| span.as_secs().round() as i64;
    StartupTimes {
        count: i32::try_from(measured.count).unwrap_or(i32::MAX),
        p50_seconds: whole(measured.p50),
        p90_seconds: whole(measured.p90),
        max_seconds: whole(measured.max),
    }
}

fn last(decision: &TargetDecision, now: &Time) -> LastDecision {
    let steps = decision.trail.iter().filter(|step| step.before != step.after || step.stage == Stage::Recommendation);
    let entry = |step: &autoscaler_core::Step| TrailEntry {
        stage: word(&step.stage),
        rule: word(&step.rule),
        before: step.before.map(int),
        after: step.after.map(int),
        detail: Some(cut(&step.detail)),
    };
    LastDecision {
        time: now.clone(),
        desired: int(decision.desired),
        recommendation: decision.recommendation.map(int),
        reason: cut(&decision.reason),
        trail: Some(steps.take(MAX_STEPS).map(entry).collect()),
    }
}

/// Adds to the history what is new in it.
fn remember(status: &mut PodAutoscalerStatus, facts: &Facts, now: &Time) {
    let reason = facts.decision.as_ref().map(|decision| cut(&decision.reason)).unwrap_or_default();
    let entry = match &facts.wrote {
        Wrote::Nothing => return,
        Wrote::Scaled(from, to) => (*from, *to, None),
        Wrote::Failed(from, to, why) => (*from, *to, Some(cut(why))),
    };
    let (previous, new, error) = entry;
    let entry = ScalingDecision {
        timestamp: now.clone(),
        previous_scale: int(previous),
        new_scale: int(new),
        reason,
        success: error.is_none(),
        error,
    };
    let history = status.scaling_history.get_or_insert_default();
    let known = history.last().is_some_and(|last| {
        let age = now.0.as_second() - last.timestamp.0.as_second();
        age <= HISTORY_QUIET_SECONDS
            && (last.new_scale, last.success, &last.error) == (entry.new_scale, entry.success, &entry.error)
    });
    if !known {
        history.push(entry);
        let extra = history.len().saturating_sub(HISTORY);
        history.drain(..extra);
        if matches!(facts.wrote, Wrote::Scaled(..)) {
            status.last_scale_time = Some(now.clone());
        }
    }
}

fn conditions(before: &PodAutoscalerStatus, status: &PodAutoscalerStatus, facts: &Facts, now: &Time) -> Vec<Condition> {
    let known = before.conditions.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    let mut say = |type_: &str, holds: bool, reason: &str, message: String| {
        let state = if holds { "True" } else { "False" };
        let since = known.iter().find(|one| one.type_ == type_ && one.status == state);
        found.push(Condition {
            type_: type_.to_owned(),
            status: state.to_owned(),
            reason: reason.to_owned(),
            message: cut(&message),
            last_transition_time: since.map_or_else(|| now.clone(), |one| one.last_transition_time.clone()),
            observed_generation: facts.generation,
        });
    };
    match &facts.invalid {
        Some(why) => say("ValidSpec", false, "InvalidSpec", why.clone()),
        None => say("ValidSpec", true, "AsExpected", "the manifest can be acted upon".to_owned()),
    }
    match &facts.conflict {
        Some(who) => {
            say("Conflict", true, "TargetTaken", who.clone());
            say("MultiPodAutoscalerConflict", false, "MultiPodAutoscalerConflict", who.clone());
        }
        None => say("Conflict", false, "NoConflict", "nobody else scales the target".to_owned()),
    }
    let able = match (&facts.invalid, &facts.conflict, &facts.unable, &facts.wrote) {
        (Some(_), ..) => {
            say("AbleToScale", false, "InvalidSpec", "the manifest cannot be acted upon".to_owned());
            false
        }
        (None, Some(who), ..) => {
            say("AbleToScale", false, "Conflict", who.clone());
            false
        }
        (None, None, Some((reason, why)), _) => {
            say("AbleToScale", false, reason, why.clone());
            false
        }
        (None, None, None, Wrote::Failed(_, _, why)) => {
            say("AbleToScale", false, "FailedUpdateScale", why.clone());
            false
        }
        (None, None, None, _) => {
            say("AbleToScale", true, "SucceededGetScale", "the target was found".to_owned());
            true
        }
    };
    if let Some(decision) = &facts.decision {
        let paused = decision.trail.iter().any(|step| step.rule == Rule::Paused || step.rule == Rule::ScalingDisabled);
        match (paused, decision.recommendation) {
            (true, _) => say("ScalingActive", false, "ScalingDisabled", decision.reason.clone()),
            (false, None) => say("ScalingActive", false, "FailedGetMetrics", decision.reason.clone()),
            (false, Some(_)) => say("ScalingActive", true, "ValidMetricFound", "metrics can be read".to_owned()),
        }
        let bound = decision.trail.iter().rev().find(|step| step.stage == Stage::Bounds && step.before != step.after);
        match bound {
            Some(step) => say("ScalingLimited", true, "Bounded", step.detail.clone()),
            None => {
                say("ScalingLimited", false, "DesiredWithinRange", "the desired count is within the bounds".to_owned());
            }
        }
    }
    if let Some(standing) = &facts.standing {
        say("PlanFresh", standing.fresh, standing.reason, standing.message.clone());
    }
    let (desired, actual) = (status.desired_scale, status.actual_scale);
    let ready = able && desired == actual;
    let reason = match (able, ready) {
        (false, _) => "NotAble",
        (true, false) => "ReconcilingScaleDiff",
        (true, true) => "AsExpected",
    };
    say("Ready", ready, reason, format!("desired={desired}, actual={actual}"));
    for (type_, state, reason, message) in &facts.mirrored {
        // The server asks for a message.
        let reason = if reason.is_empty() { "Unknown" } else { reason };
        let message = if message.is_empty() { reason } else { message };
        say(type_, state == "True", reason, message.to_owned());
    }
    found
}

/// Whether a status says something new: not where only times or values differ, which are written at most now and then.
pub(crate) fn differs(before: &PodAutoscalerStatus, after: &PodAutoscalerStatus) -> bool {
    let plain = |status: &PodAutoscalerStatus| {
        let mut status = status.clone();
        status.current_metrics = None;
        status.targets = None;
        // Reasons and trails carry values.
        status.last_decision = None;
        for condition in status.conditions.iter_mut().flatten() {
            if ["ScalingActive", "ScalingLimited", "PlanFresh"].contains(&condition.type_.as_str()) {
                condition.message.clear();
            }
        }
        status
    };
    plain(before) != plain(after)
}

/// A word of the core's, as the trail has it.
pub(crate) fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn int(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
