//! `behavior`: the limits of Kubernetes' autoscaling/v2.

use crate::diagnostics::Diagnostic;
use crate::quantity;
use crate::v1alpha1::{PodAutoscalerSpec, ScalingRules};

/// Longest stabilization in seconds (kubernetes `pkg/apis/autoscaling/validation`).
const MAX_STABILIZATION_SECONDS: i32 = 3600;
/// Longest period of a policy in seconds (the same).
const MAX_PERIOD_SECONDS: i32 = 1800;

pub(super) fn behavior(spec: &PodAutoscalerSpec, found: &mut Vec<Diagnostic>) {
    let Some(behavior) = &spec.behavior else { return };
    for (name, rules) in [("scaleUp", &behavior.scale_up), ("scaleDown", &behavior.scale_down)] {
        if let Some(rules) = rules {
            direction(rules, &format!("spec.behavior.{name}"), found);
        }
    }
}

fn direction(rules: &ScalingRules, path: &str, found: &mut Vec<Diagnostic>) {
    let mut within = |field: String, value: i32, least: i32, most: i32| {
        if !(least..=most).contains(&value) {
            let allowed = if most == i32::MAX { format!("{least} or more") } else { format!("{least} to {most}") };
            found.push(
                Diagnostic::error(format!("{path}.{field}"), format!("{value} is out of range")).allowed(allowed),
            );
        }
    };
    if let Some(seconds) = rules.stabilization_window_seconds {
        within("stabilizationWindowSeconds".into(), seconds, 0, MAX_STABILIZATION_SECONDS);
    }
    for (index, policy) in rules.policies.iter().flatten().enumerate() {
        within(format!("policies[{index}].value"), policy.value, 1, i32::MAX);
        within(format!("policies[{index}].periodSeconds"), policy.period_seconds, 1, MAX_PERIOD_SECONDS);
    }
    if rules.policies.as_ref().is_some_and(Vec::is_empty) {
        let allowed = "at least one entry, or leave it out";
        found.push(Diagnostic::error(format!("{path}.policies"), "must not be empty").allowed(allowed));
    }
    if rules.tolerance.is_some() && tolerance(rules).is_none() {
        let allowed = "a fraction of 0 or more, such as \"0.05\"";
        found.push(Diagnostic::error(format!("{path}.tolerance"), "is not a tolerance").allowed(allowed));
    }
}

/// The tolerance of one direction, if it has a usable one.
pub(crate) fn tolerance(rules: &ScalingRules) -> Option<f64> {
    rules.tolerance.as_ref().and_then(quantity::of).filter(|fraction| *fraction >= 0.0)
}
