//! The target, the bounds and the windows: AIBrix's rules, with its defaults put in.

use crate::diagnostics::Diagnostic;
use crate::v1alpha1::{
    DEFAULT_OBSERVE_WINDOW_SECONDS, DEFAULT_PANIC_WINDOW_SECONDS, MetricSource, MetricSourceType, PodAutoscalerSpec,
    ScalingStrategy, TargetType,
};

/// Longest window in seconds (AIBrix's and Kubernetes' limit).
const MAX_WINDOW_SECONDS: i64 = 3600;

/// The kind whose roles `subTargetSelector` names.
pub(crate) const STORM_SERVICE: &str = "StormService";

pub(super) fn target(spec: &PodAutoscalerSpec, found: &mut Vec<Diagnostic>) {
    let target = &spec.scale_target_ref;
    for (field, value) in [("kind", &target.kind), ("name", &target.name)] {
        if value.as_deref().unwrap_or_default().is_empty() {
            found.push(Diagnostic::error(format!("spec.scaleTargetRef.{field}"), "is required and must not be empty"));
        }
    }
    if target.api_version.as_deref().unwrap_or_default().is_empty() {
        let message = "absent means the core group, in which nothing can be scaled on Kubernetes";
        found.push(Diagnostic::warning("spec.scaleTargetRef.apiVersion", message).allowed("apps/v1 for a Deployment"));
    }
    if target.namespace.is_some() {
        let message = "is ignored: the target is in the autoscaler's own namespace";
        found.push(Diagnostic::warning("spec.scaleTargetRef.namespace", message));
    }
    let Some(role) = spec.role_name() else { return };
    let path = "spec.subTargetSelector.roleName";
    if spec.scaling_strategy == ScalingStrategy::Hpa {
        found.push(
            Diagnostic::error(path, "is not possible with scalingStrategy HPA").allowed("KPA, APA, Optimizer, Hybrid"),
        );
    }
    if target.kind.as_deref().is_some_and(|kind| !kind.is_empty() && kind != STORM_SERVICE) {
        found.push(Diagnostic::warning(path, format!("role {role:?} is ignored: only a {STORM_SERVICE} has roles")));
    }
}

/// The minimum that holds where the manifest writes `min`. Kubernetes' HPA reaches zero only with an external or an
/// object metric; AIBrix leaves a 0 out of the HPA that it writes, and what is absent there is 1.
pub(crate) fn effective_min(spec: &PodAutoscalerSpec, min: i32) -> i32 {
    let zero = spec.scaling_strategy != ScalingStrategy::Hpa || spec.sources().iter().any(fleet_wide);
    if zero { min } else { min.max(1) }
}

/// Whether a source has a value where there is no pod.
fn fleet_wide(source: &MetricSource) -> bool {
    match source.metric_source_type {
        MetricSourceType::Pod | MetricSourceType::Resource => false,
        MetricSourceType::Custom => source.target_type == Some(TargetType::Value),
        MetricSourceType::External
        | MetricSourceType::Domain
        | MetricSourceType::Object
        | MetricSourceType::Prometheus => true,
    }
}

/// Says that a 0 does not hold.
pub(super) fn zero(spec: &PodAutoscalerSpec, path: &str, min: Option<i32>, found: &mut Vec<Diagnostic>) {
    if min == Some(0) && effective_min(spec, 0) != 0 && !spec.sources().is_empty() {
        let message = "0 is read as 1: under HPA only an external or object metric can bring replicas back from zero";
        found.push(Diagnostic::note(path, message));
    }
}

pub(super) fn bounds(spec: &PodAutoscalerSpec, found: &mut Vec<Diagnostic>) {
    let (min, max) = (spec.min(), spec.max_replicas);
    if min < 0 {
        found.push(
            Diagnostic::error("spec.minReplicas", format!("must not be negative, is {min}")).allowed("0 or more"),
        );
    }
    if max <= 0 {
        found.push(Diagnostic::error("spec.maxReplicas", format!("must be above 0, is {max}")).allowed("1 or more"));
    } else if min > max {
        // Both ends are named, as AIBrix's webhook does: either may be the one that is wrong.
        let message = format!("minReplicas {min} is above maxReplicas {max}");
        found.push(Diagnostic::error("spec.minReplicas", message.clone()).allowed(format!("0 to {max}")));
        found.push(Diagnostic::error("spec.maxReplicas", message).allowed(format!("{min} or more")));
    }
    zero(spec, "spec.minReplicas", spec.min_replicas, found);
}

pub(super) fn windows(spec: &PodAutoscalerSpec, found: &mut Vec<Diagnostic>) {
    let named = [
        ("observeWindowSeconds", spec.observe_window_seconds, DEFAULT_OBSERVE_WINDOW_SECONDS),
        ("panicWindowSeconds", spec.panic_window_seconds, DEFAULT_PANIC_WINDOW_SECONDS),
    ];
    for (field, value, _) in named {
        if let Some(seconds) = value.filter(|seconds| !(1..=MAX_WINDOW_SECONDS).contains(seconds)) {
            found.push(
                Diagnostic::error(format!("spec.{field}"), format!("{seconds} is out of range"))
                    .allowed(format!("1 to {MAX_WINDOW_SECONDS}")),
            );
        }
    }
    let [observe, panic] = named.map(|(_, value, default)| value.unwrap_or(default));
    if panic > observe && spec.panic_window_seconds.is_some() {
        let message = format!("the panic window is {panic} s, longer than the observe window of {observe} s");
        found.push(Diagnostic::error("spec.panicWindowSeconds", message).allowed(format!("1 to {observe}")));
    } else if panic > observe {
        // At the field that the manifest has; the one to mend may be the other.
        let message = format!("{observe} s is shorter than the panic window, which is {panic} s by default");
        let allowed = format!("{panic} or more, or a panicWindowSeconds of 1 to {observe}");
        found.push(Diagnostic::error("spec.observeWindowSeconds", message).allowed(allowed));
    }
    if matches!(spec.scaling_strategy, ScalingStrategy::Hpa | ScalingStrategy::Optimizer) {
        for (field, _, _) in named.iter().filter(|(_, value, _)| value.is_some()) {
            let message = format!("has no effect with scalingStrategy {}", spec.scaling_strategy.as_str());
            found.push(Diagnostic::note(format!("spec.{field}"), message));
        }
    }
}
