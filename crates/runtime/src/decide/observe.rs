//! From the wire form of an observation to the core's. Defaults are filled in here; nonsense becomes an absent reading.

use super::input::{PlanInput, Pod, QuantityInput, Target, Values};
use crate::quantity;
use autoscaler_core::observe::{Pod as CorePod, TargetObservation, long_before};
use autoscaler_core::{Phase, Plan, Reading, Span, Timestamp, Why};
use std::collections::BTreeMap;

/// The clock of an input: its zero.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The time that zero seconds stand for.
    pub epoch: Timestamp,
}

impl Clock {
    /// The time at `seconds` on this clock.
    #[must_use]
    pub fn at(self, seconds: f64) -> Timestamp {
        self.epoch + Span::from_secs(seconds)
    }
}

/// One target; the error names the field.
pub fn target(clock: Clock, now: Timestamp, input: &Target) -> Result<TargetObservation, String> {
    let pods = match &input.pods {
        None => None,
        Some(pods) => {
            let mut found = Vec::with_capacity(pods.len());
            for (index, pod) in pods.iter().enumerate() {
                found.push(self::pod(clock, now, pod).map_err(|error| format!("pods[{index}].{error}"))?);
            }
            unique(&found)?;
            Some(found)
        }
    };
    let external = input.external.iter().map(|(key, values)| (key.clone(), readings(values))).collect();
    Ok(TargetObservation {
        replicas: input.replicas,
        status_replicas: input.status_replicas,
        pods,
        external,
        held: input.held.filter(|held| held.is_finite() && *held >= 0.0),
    })
}

fn unique(pods: &[CorePod]) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    match pods.iter().find(|pod| !seen.insert(&pod.name)) {
        Some(pod) => Err(format!("pods: the name {:?} stands for two pods", pod.name)),
        None => Ok(()),
    }
}

fn pod(clock: Clock, now: Timestamp, input: &Pod) -> Result<CorePod, String> {
    let time = |given: Option<Option<f64>>| match given {
        None => Some(long_before(now)),
        Some(seconds) => seconds.map(|seconds| clock.at(seconds)),
    };
    Ok(CorePod {
        name: input.name.clone(),
        phase: input.phase.unwrap_or(Phase::Running),
        ready: input.ready.unwrap_or(Some(true)),
        deleting: input.deleting,
        started_at: time(input.started_at),
        ready_at: time(input.ready_at),
        metrics: input.metrics.iter().map(|(key, value)| (key.clone(), reading(*value))).collect(),
        usage: quantities("usage", &input.usage)?,
        usage_at: input.usage_at.map_or(now, |seconds| clock.at(seconds)),
        usage_window: Span::from_secs(input.usage_window.unwrap_or(60.0)),
        requests: quantities("requests", &input.requests)?,
    })
}

fn quantities(field: &str, given: &BTreeMap<String, QuantityInput>) -> Result<BTreeMap<String, i64>, String> {
    let mut found = BTreeMap::new();
    for (resource, quantity) in given {
        let milli = match quantity {
            QuantityInput::None => continue,
            QuantityInput::Text(text) => {
                quantity::milli(text).map_err(|error| format!("{field}.{resource}: {error}"))?
            }
            QuantityInput::Number(value) => {
                quantity::from_number(*value).ok_or_else(|| format!("{field}.{resource}: {value} is not finite"))?
            }
        };
        found.insert(resource.clone(), milli);
    }
    Ok(found)
}

fn readings(values: &Values) -> Vec<Reading> {
    match values {
        Values::Many(values) => values.iter().map(|value| reading(*value)).collect(),
        Values::One(None) => Vec::new(),
        Values::One(value) => vec![reading(*value)],
    }
}

fn reading(value: Option<f64>) -> Reading {
    value.map_or(Reading::Absent(Why::NotRead), Reading::load)
}

/// The wire form of a plan: a tick that has it decides as the core did that was given it.
#[must_use]
pub fn wire_plan(clock: Clock, plan: &Plan) -> PlanInput {
    PlanInput {
        made_at: Some(plan.made_at.since(clock.epoch).as_secs()),
        replicas: plan.replicas.clone(),
        why: plan.why.clone(),
    }
}

/// The wire form of what a world saw: [`target`] turns it back. What is not fresh is left out, since it decides nothing.
#[must_use]
pub fn wire(clock: Clock, seen: &TargetObservation) -> Target {
    let seconds = |at: Timestamp| at.since(clock.epoch).as_secs();
    let value = |reading: &Reading| match reading {
        Reading::Fresh(value) => Some(*value),
        Reading::Stale { .. } | Reading::Absent(_) => None,
    };
    let quantities = |given: &BTreeMap<String, i64>| {
        given.iter().map(|(name, milli)| (name.clone(), QuantityInput::Text(format!("{milli}m")))).collect()
    };
    let pod = |pod: &CorePod| Pod {
        name: pod.name.clone(),
        phase: (pod.phase != Phase::Running).then_some(pod.phase),
        ready: (pod.ready != Some(true)).then_some(pod.ready),
        deleting: pod.deleting,
        started_at: Some(pod.started_at.map(seconds)),
        ready_at: Some(pod.ready_at.map(seconds)),
        metrics: pod.metrics.iter().map(|(key, reading)| (key.clone(), value(reading))).collect(),
        usage: quantities(&pod.usage),
        usage_at: (!pod.usage.is_empty()).then(|| seconds(pod.usage_at)),
        usage_window: (!pod.usage.is_empty()).then(|| pod.usage_window.as_secs()),
        requests: quantities(&pod.requests),
    };
    Target {
        replicas: seen.replicas,
        status_replicas: seen.status_replicas,
        pods: seen.pods.as_ref().map(|pods| pods.iter().map(pod).collect()),
        external: seen
            .external
            .iter()
            .map(|(key, readings)| (key.clone(), Values::Many(readings.iter().map(value).collect())))
            .collect(),
        held: seen.held,
    }
}
