//! From the typed object to plain settings. Validates first, so what comes out obeys every rule.

mod rules;
mod sources;

use crate::annotations;
use crate::diagnostics::{Diagnostic, any_error};
use crate::quantity;
use crate::resolved::{Bounds, Pause, ResolvedAutoscaler, ResolvedFallback, ResolvedSchedule, Target};
use crate::v1alpha1::{
    DEFAULT_OBSERVE_WINDOW_SECONDS, DEFAULT_PANIC_WINDOW_SECONDS, PodAutoscaler, PodAutoscalerSpec, ScalingRules,
    ScalingStrategy, Schedule,
};
use crate::validate::{self, effective_min, schedules, tolerance};
use std::time::Duration;

/// How long a replica may be starting where `pending-deadline` is absent: longer than a large model takes to load.
pub const DEFAULT_PENDING_DEADLINE: Duration = Duration::from_secs(30 * 60);
/// Knative's grace before zero where `scale-to-zero-grace` is absent: the cooldown window does that job already.
pub const DEFAULT_ZERO_GRACE: Duration = Duration::ZERO;

/// The settings of an object, or every finding about it where one of them is an error.
pub fn resolve(object: &PodAutoscaler) -> Result<ResolvedAutoscaler, Vec<Diagnostic>> {
    let findings = validate::validate(object);
    if any_error(&findings) {
        return Err(findings);
    }
    let (spec, settings) = (&object.spec, annotations::read(object).settings);
    let rules = rules::rules(spec, &settings);
    let seconds = |own: Option<i64>, legacy: Option<i64>, default: i64| {
        Duration::from_secs(own.or(legacy).unwrap_or(default).unsigned_abs())
    };
    // AIBrix leaves tolerances out of the HPA objects it writes, so the annotations do not reach HPA here either.
    let annotated = |value: Option<f64>| value.filter(|_| spec.scaling_strategy != ScalingStrategy::Hpa);
    let behavior = spec.behavior.as_ref();
    let stated = |rules: Option<&Option<ScalingRules>>| rules.and_then(Option::as_ref).and_then(tolerance);
    Ok(ResolvedAutoscaler {
        name: object.metadata.name.clone().unwrap_or_default(),
        namespace: object.metadata.namespace.clone(),
        strategy: spec.scaling_strategy,
        target: target(spec, settings.storm_service_replicas),
        bounds: Bounds { min: count(effective_min(spec, spec.min())), max: count(spec.max_replicas) },
        timezone: timezone(spec),
        schedules: spec.schedules.iter().flatten().filter_map(|one| schedule(one, spec)).collect(),
        sources: sources::sources(spec),
        observe_window: seconds(
            spec.observe_window_seconds,
            settings.observe_window_seconds,
            DEFAULT_OBSERVE_WINDOW_SECONDS,
        ),
        panic_window: seconds(spec.panic_window_seconds, settings.panic_window_seconds, DEFAULT_PANIC_WINDOW_SECONDS),
        panic_threshold: settings.panic_threshold,
        max_scale_up_rate: settings.max_scale_up_rate,
        max_scale_down_rate: settings.max_scale_down_rate,
        tolerance_up: stated(behavior.map(|b| &b.scale_up)).or(annotated(settings.up_tolerance)),
        tolerance_down: stated(behavior.map(|b| &b.scale_down)).or(annotated(settings.down_tolerance)),
        cooldown_up: settings.up_cooldown,
        cooldown_down: settings.down_cooldown,
        rules_up: rules.up,
        rules_down: rules.down,
        rules_from: rules.from,
        mode: spec.mode.unwrap_or_default(),
        fallback: spec.fallback.map(|fallback| ResolvedFallback {
            after: Duration::from_secs(count(fallback.after_seconds).into()),
            replicas: count(fallback.replicas),
        }),
        activation: spec.activation.as_ref().and_then(quantity::of),
        pause: Pause { all: settings.paused, scale_out: settings.paused_scale_out, scale_in: settings.paused_scale_in },
        zero_grace: settings.zero_grace.unwrap_or(DEFAULT_ZERO_GRACE),
        pending_deadline: settings.pending_deadline.unwrap_or(DEFAULT_PENDING_DEADLINE),
        slo: spec.slo.clone(),
        forecast: spec.forecast.clone(),
        profiles: spec.profiles.clone().unwrap_or_default(),
        routes_by_size: spec.routes_by_size,
        coordination: spec.coordination.clone().filter(|_| spec.scaling_strategy != ScalingStrategy::Hpa),
        findings,
    })
}

/// A count that validation has found not to be negative.
fn count(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn target(spec: &PodAutoscalerSpec, whole_storm_service: bool) -> Target {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let reference = &spec.scale_target_ref;
    Target {
        api_version: text(&reference.api_version),
        kind: text(&reference.kind),
        name: text(&reference.name),
        role: spec.role_name().map(str::to_owned),
        whole_storm_service,
    }
}

fn timezone(spec: &PodAutoscalerSpec) -> String {
    let name = spec.schedules.iter().flatten().next().map_or("UTC", schedules::zone_name);
    // Go's name for the machine's own zone, which in AIBrix's container is UTC.
    if name == "Local" { "UTC".to_owned() } else { name.to_owned() }
}

fn schedule(schedule: &Schedule, spec: &PodAutoscalerSpec) -> Option<ResolvedSchedule> {
    Some(ResolvedSchedule {
        name: schedule.name.clone(),
        days: schedules::weekdays(schedule)?,
        start: schedules::minute(&schedule.start_time)?,
        end: schedules::minute(&schedule.end_time)?,
        min: schedule.min_replicas.map(|min| count(effective_min(spec, min))),
        max: schedule.max_replicas.map(count),
    })
}
