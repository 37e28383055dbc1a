//! Fallback, activation, service levels, forecast, profiles and coordination: the optional parts that AIBrix does not have.

use super::bounds::effective_min;
use crate::diagnostics::{Diagnostic, quote};
use crate::quantity;
use crate::v1alpha1::{Forecast, GpuProfile, Mode, PodAutoscalerSpec, ScalingStrategy, Slo};
use std::collections::BTreeSet;

/// Longest time until a fallback, in seconds: a day.
const MAX_FALLBACK_SECONDS: i32 = 86_400;

pub(super) fn additions(spec: &PodAutoscalerSpec, found: &mut Vec<Diagnostic>) {
    fallback(spec, found);
    activation(spec, found);
    if let Some(slo) = &spec.slo {
        service_levels(slo, found);
    }
    if let Some(of) = &spec.forecast {
        forecast(of, found);
    }
    profiles(spec.profiles.as_deref().unwrap_or_default(), found);
    coordination(spec, found);
    let parts = [
        ("slo", spec.slo.is_some()),
        ("forecast", spec.forecast.is_some()),
        ("profiles", spec.profiles.is_some()),
        ("routesBySize", spec.routes_by_size.is_some()),
    ];
    for (field, _) in parts.iter().filter(|(_, set)| *set && !spec.scaling_strategy.plans()) {
        let message = format!("has no effect with scalingStrategy {}", spec.scaling_strategy.as_str());
        found.push(Diagnostic::warning(format!("spec.{field}"), message).allowed("Optimizer, Hybrid"));
    }
}

fn coordination(spec: &PodAutoscalerSpec, found: &mut Vec<Diagnostic>) {
    let Some(coordination) = &spec.coordination else { return };
    if coordination.group.is_empty() {
        found.push(
            Diagnostic::error("spec.coordination.group", "must not be empty").allowed("a name of 1 to 253 characters"),
        );
    }
    if spec.scaling_strategy == ScalingStrategy::Hpa {
        let message = "has no effect with scalingStrategy HPA, whose targets are scaled by an object of their own";
        found.push(Diagnostic::warning("spec.coordination", message).allowed("KPA, APA, Optimizer, Hybrid"));
    } else if spec.mode == Some(Mode::Recommend) {
        let message = "with mode Recommend nobody acts on it, so it limits no other role";
        found.push(Diagnostic::note("spec.coordination", message));
    }
}

fn fallback(spec: &PodAutoscalerSpec, found: &mut Vec<Diagnostic>) {
    let Some(fallback) = &spec.fallback else { return };
    if !(1..=MAX_FALLBACK_SECONDS).contains(&fallback.after_seconds) {
        let message = format!("{} is out of range", fallback.after_seconds);
        found.push(
            Diagnostic::error("spec.fallback.afterSeconds", message).allowed(format!("1 to {MAX_FALLBACK_SECONDS}")),
        );
    }
    let (replicas, path) = (fallback.replicas, "spec.fallback.replicas");
    if replicas < 0 {
        found.push(Diagnostic::error(path, format!("must not be negative, is {replicas}")).allowed("0 or more"));
    } else if replicas < effective_min(spec, spec.min()) || replicas > spec.max_replicas {
        let message = format!("{replicas} is outside the bounds, which hold nevertheless");
        let allowed = format!("{} to {}", effective_min(spec, spec.min()), spec.max_replicas);
        found.push(Diagnostic::warning(path, message).allowed(allowed));
    }
}

fn activation(spec: &PodAutoscalerSpec, found: &mut Vec<Diagnostic>) {
    let Some(value) = &spec.activation else { return };
    if !quantity::of(value).is_some_and(|value| value >= 0.0) {
        let allowed = "0 or more, a whole number or a decimal in a string";
        found.push(Diagnostic::error("spec.activation", "is not a threshold").allowed(allowed));
    } else if effective_min(spec, spec.min()) > 0 && spec.schedules.is_none() {
        let message = "has no effect: minReplicas is above 0, so the target never leaves zero by itself";
        found.push(Diagnostic::note("spec.activation", message));
    }
}

fn service_levels(slo: &Slo, found: &mut Vec<Diagnostic>) {
    if slo.objectives.is_empty() {
        found.push(Diagnostic::error("spec.slo.objectives", "at least one objective is required"));
    }
    for (index, objective) in slo.objectives.iter().enumerate() {
        let path = format!("spec.slo.objectives[{index}]");
        share(&format!("{path}.percentile"), objective.percentile, 100.0, found);
        positive(&format!("{path}.seconds"), Some(objective.seconds), found);
    }
    share("spec.slo.attainment", slo.attainment, 1.0, found);
}

fn forecast(forecast: &Forecast, found: &mut Vec<Diagnostic>) {
    if let Some(quantile) = forecast.quantile.filter(|quantile| *quantile <= 0.0 || *quantile >= 1.0) {
        let message = format!("{quantile} is not a quantile");
        found.push(Diagnostic::error("spec.forecast.quantile", message).allowed("between 0 and 1, neither included"));
    } else if forecast.quantile.is_some() {
        let message = "has no effect: a plan provides for all that load may become, so that no more miss than \
            slo.attainment leaves free; set slo.attainment instead";
        found.push(Diagnostic::warning("spec.forecast.quantile", message));
    }
    for (field, value, least, most) in [
        ("horizonSeconds", forecast.horizon_seconds, 1, 86_400),
        ("seasonSeconds", forecast.season_seconds, 60, 2_678_400),
    ] {
        if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
            let path = format!("spec.forecast.{field}");
            found.push(
                Diagnostic::error(path, format!("{value} is out of range")).allowed(format!("{least} to {most}")),
            );
        }
    }
    let mut names = BTreeSet::new();
    for (index, event) in forecast.events.iter().flatten().enumerate() {
        let path = format!("spec.forecast.events[{index}]");
        if !names.insert(&event.name) {
            found.push(Diagnostic::error(format!("{path}.name"), format!("{} is used twice", quote(&event.name))));
        }
        let [start, end] = [("start", &event.start), ("end", &event.end)].map(|(field, text)| {
            let at = text.parse::<jiff::Timestamp>().ok();
            if at.is_none() {
                let message = format!("{} is not a time", quote(text));
                let allowed = "RFC 3339, such as 2026-01-05T09:00:00Z";
                found.push(Diagnostic::error(format!("{path}.{field}"), message).allowed(allowed));
            }
            at
        });
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            found.push(Diagnostic::error(format!("{path}.end"), "must be after start"));
        }
        positive(&format!("{path}.factor"), Some(event.factor), found);
    }
}

fn profiles(profiles: &[GpuProfile], found: &mut Vec<Diagnostic>) {
    let mut types = BTreeSet::new();
    for (index, profile) in profiles.iter().enumerate() {
        let path = format!("spec.profiles[{index}]");
        if !types.insert(&profile.gpu_type) {
            found.push(Diagnostic::error(
                format!("{path}.gpuType"),
                format!("{} is used twice", quote(&profile.gpu_type)),
            ));
        }
        positive(&format!("{path}.costPerHour"), profile.cost_per_hour, found);
        if profile.config_map_ref.is_some() == profile.file.is_some() {
            found.push(Diagnostic::error(path, "needs either configMapRef or file"));
        }
    }
}

fn positive(path: &str, value: Option<f64>, found: &mut Vec<Diagnostic>) {
    if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
        found.push(Diagnostic::error(path, format!("must be above 0, is {value}")));
    }
}

fn share(path: &str, value: Option<f64>, most: f64, found: &mut Vec<Diagnostic>) {
    if let Some(value) = value.filter(|value| !(*value > 0.0 && *value <= most)) {
        found.push(
            Diagnostic::error(path, format!("{value} is out of range")).allowed(format!("above 0, at most {most}")),
        );
    }
}
