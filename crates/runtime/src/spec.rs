//! From a `PodAutoscaler` to what the core is told: the manifest's settings, the controllers' flags, and the defaults of
//! the strategies. Must not validate; `autoscaler_api` does that, and reads the annotations.

use crate::decide::input::{Algorithm, HpaSettings, KpaSettings, Settings};
use autoscaler_api::local::DEPLOYMENT_KIND;
use autoscaler_api::resolved::{ResolvedAutoscaler, ResolvedSource, Resource, Rules, RulesFrom, SourceKind as ApiKind};
use autoscaler_api::v1alpha1::{Mode as ApiMode, PolicyType, ScalingStrategy, SelectPolicy, TargetType as ApiType};
use autoscaler_api::{Diagnostic, PodAutoscaler, resolve};
use autoscaler_core::Span;
use autoscaler_core::schedule::{Schedule, Schedules};
use autoscaler_core::spec::{
    Apa, Behavior, Bounds, Coordination, Fallback, Gaps, Hpa, Kpa, Mode, OlderRule, Pause, Planned, Policy, PolicyKind,
    ScalingRules, Select, Source, SourceKind, Spec, Strategy, TargetType, Tolerance,
};
use autoscaler_core::window::buckets::Averaging;
use serde_json::{Value, json};
use std::time::Duration;

/// Why an object is no autoscaler: every reason, each beginning with its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError(pub Vec<String>);

/// AIBrix's rates: double and halve.
const RATE: f64 = 2.0;
/// AIBrix's tolerance, and Kubernetes': 10 %.
const TOLERANCE: f64 = 0.1;
/// AIBrix's panic threshold, read as Knative reads it.
const PANIC_THRESHOLD: f64 = 2.0;
/// Kubernetes' scale-down stabilization.
const DOWNSCALE_STABILIZATION: Span = Span::secs(300);
/// A plan of this age says little about the load of now: three of Dynamo's planning intervals (180 s).
const PLAN_MAX_AGE: Span = Span::secs(540);

/// Reads an object from hand-written JSON, with what a person should know about it. `apiVersion`, `kind`, `metadata` and
/// the target may be left out, since nothing is scaled.
pub fn read(value: &Value) -> Result<(PodAutoscaler, Vec<Diagnostic>), Vec<Diagnostic>> {
    let text = completed(value).to_string();
    let mut manifest = autoscaler_api::read("", &text);
    let valid = manifest.is_valid();
    let said = manifest.findings.into_iter().map(|finding| finding.diagnostic);
    let said: Vec<Diagnostic> = said.filter(|diagnostic| valid || diagnostic.is_error()).collect();
    match manifest.autoscalers.pop() {
        Some(object) if valid => Ok((object, said)),
        _ if said.is_empty() => Err(vec![Diagnostic::error("kind", "is no PodAutoscaler")]),
        _ => Err(said),
    }
}

fn completed(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
        object.entry("apiVersion").or_insert_with(|| "autoscaling.aibrix.ai/v1alpha1".into());
        object.entry("kind").or_insert_with(|| "PodAutoscaler".into());
        let metadata = object.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.entry("name").or_insert_with(|| "autoscaler".into());
        }
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            let target =
                spec.entry("scaleTargetRef").or_insert_with(|| json!({ "kind": "Deployment", "name": "target" }));
            // The file that holds the group is not at hand, and not needed.
            if target.get("kind").is_some_and(|kind| kind == DEPLOYMENT_KIND) {
                target["kind"] = "Deployment".into();
            }
        }
    }
    value
}

/// What the core is told about an object.
pub fn to_spec(object: &PodAutoscaler, settings: &Settings) -> Result<Spec, SpecError> {
    let resolved =
        resolve(object).map_err(|found| SpecError(found.iter().map(ToString::to_string).collect::<Vec<_>>()))?;
    of_resolved(&resolved, settings)
}

/// What the core is told in a world that reads metrics itself: a gap in the metrics is then a gap, and not a time without load.
pub fn in_world(given: &ResolvedAutoscaler, settings: &Settings) -> Result<Spec, SpecError> {
    let mut spec = of_resolved(given, settings)?;
    hold_gaps(&mut spec);
    Ok(spec)
}

/// Takes the seconds between two samples for an outage of the metrics, which is not an outage of the load.
pub fn hold_gaps(spec: &mut Spec) {
    if let Strategy::Kpa(kpa) = &mut spec.strategy {
        kpa.gaps = Gaps::Hold;
    }
}

/// What the core is told about settings that were resolved.
pub fn of_resolved(given: &ResolvedAutoscaler, settings: &Settings) -> Result<Spec, SpecError> {
    let schedules = schedules(given).map_err(|error| SpecError(vec![format!("spec.schedules: {error}")]))?;
    let grace = settings.kpa.as_ref().and_then(|kpa| kpa.scale_to_zero_grace_seconds);
    Ok(Spec {
        name: given.name.clone(),
        strategy: strategy(given, settings),
        sources: given.sources.iter().map(source).collect(),
        bounds: Bounds { min: given.bounds.min, max: given.bounds.max },
        schedules,
        tolerance: tolerance(given, settings),
        behavior: behavior(given, settings),
        mode: if given.mode == ApiMode::Recommend { Mode::Recommend } else { Mode::Apply },
        fallback: given.fallback.map(|fallback| Fallback { after: span(fallback.after), replicas: fallback.replicas }),
        activation: given.activation,
        pause: Pause { all: given.pause.all, up: given.pause.scale_out, down: given.pause.scale_in },
        zero_grace: grace.map_or(span(given.zero_grace), Span::from_secs),
        pending_deadline: span(given.pending_deadline),
        coordination: coordination(given),
    })
}

fn schedules(given: &ResolvedAutoscaler) -> Result<Schedules, autoscaler_core::schedule::UnknownZone> {
    let entry = |one: &autoscaler_api::resolved::ResolvedSchedule| Schedule {
        name: one.name.clone(),
        days: one.days,
        start: one.start,
        end: one.end,
        min: one.min,
        max: one.max,
    };
    Schedules::new(&given.timezone, given.schedules.iter().map(entry).collect())
}

fn source(given: &ResolvedSource) -> Source {
    let kind = match &given.kind {
        ApiKind::Pod(_) => SourceKind::Pods,
        ApiKind::Resource(Resource::Cpu) => SourceKind::Resource("cpu".to_owned()),
        ApiKind::Resource(Resource::Memory) => SourceKind::Resource("memory".to_owned()),
        ApiKind::Custom => SourceKind::Custom,
        ApiKind::External | ApiKind::Endpoint { .. } | ApiKind::Prometheus { .. } => SourceKind::External,
        ApiKind::Object(_) => SourceKind::Object,
    };
    let target_type = match given.target_type {
        ApiType::Utilization => TargetType::Utilization,
        ApiType::AverageValue => TargetType::AverageValue,
        ApiType::Value => TargetType::Value,
    };
    Source { key: given.key.clone(), kind, target: given.target, target_type }
}

fn strategy(given: &ResolvedAutoscaler, settings: &Settings) -> Strategy {
    let planned = Planned { max_age: PLAN_MAX_AGE };
    let apa = || Apa {
        window: span(given.observe_window),
        max_scale_up_rate: given.max_scale_up_rate.unwrap_or(RATE),
        max_scale_down_rate: given.max_scale_down_rate.unwrap_or(RATE),
    };
    match given.strategy {
        ScalingStrategy::Hpa => Strategy::Hpa(hpa(given, &settings.hpa)),
        ScalingStrategy::Kpa => Strategy::Kpa(kpa(given, settings.kpa.as_ref())),
        ScalingStrategy::Apa => Strategy::Apa(apa()),
        ScalingStrategy::Optimizer => Strategy::Optimizer(planned),
        ScalingStrategy::Hybrid => Strategy::Hybrid(planned, apa()),
    }
}

fn hpa(given: &ResolvedAutoscaler, flags: &HpaSettings) -> Hpa {
    let older = flags.scale_up_limit_factor.is_some() || flags.scale_up_limit_minimum.is_some();
    let without_behavior = given.rules_from == RulesFrom::Kubernetes;
    Hpa {
        cpu_initialization: Span::from_secs(flags.cpu_initialization_seconds.unwrap_or(300.0)),
        initial_readiness: Span::from_secs(flags.initial_readiness_seconds.unwrap_or(30.0)),
        older_rule: (older && without_behavior).then(|| OlderRule {
            factor: flags.scale_up_limit_factor.unwrap_or(2.0),
            minimum: flags.scale_up_limit_minimum.unwrap_or(4.0),
            window: downscale_stabilization(flags),
        }),
    }
}

fn downscale_stabilization(flags: &HpaSettings) -> Span {
    flags.downscale_stabilization_seconds.map_or(DOWNSCALE_STABILIZATION, Span::from_secs)
}

fn kpa(given: &ResolvedAutoscaler, knobs: Option<&KpaSettings>) -> Kpa {
    let none = KpaSettings::default();
    let knative = knobs.is_some_and(|knobs| knobs.tolerance == Some(0.0));
    let knobs = knobs.unwrap_or(&none);
    let seconds = |knob: Option<f64>, own: Duration| knob.map_or(span(own), Span::from_secs);
    Kpa {
        stable_window: seconds(knobs.stable_window_seconds, given.observe_window),
        panic_window: seconds(knobs.panic_window_seconds, given.panic_window),
        panic_threshold: knobs.panic_threshold.or(given.panic_threshold).unwrap_or(PANIC_THRESHOLD),
        max_scale_up_rate: knobs.max_scale_up_rate.or(given.max_scale_up_rate).unwrap_or(RATE),
        max_scale_down_rate: knobs.max_scale_down_rate.or(given.max_scale_down_rate).unwrap_or(RATE),
        scale_down_delay: seconds(knobs.scale_down_delay_seconds, Duration::ZERO),
        activation_scale: knobs.activation_scale.unwrap_or(1),
        averaging: match knobs.algorithm {
            Some(Algorithm::WeightedExponential) => Averaging::WeightedExponential,
            Some(Algorithm::Linear) | None => Averaging::Linear,
        },
        target_burst_capacity: knobs.target_burst_capacity,
        total: knobs.total,
        target: knobs.target,
        initial_ready: knobs.initial_ready,
        knative_silence: knative,
        // `decide` shows raw samples; worlds hold ([`in_world`]).
        gaps: Gaps::Zero,
    }
}

/// `behavior`'s, else the annotation's, else the controller's own; Knative's knob overrides the manifest.
fn tolerance(given: &ResolvedAutoscaler, settings: &Settings) -> Tolerance {
    let own = if given.strategy == ScalingStrategy::Hpa { settings.hpa.tolerance } else { None };
    let knative = if given.strategy == ScalingStrategy::Kpa { settings.kpa.as_ref() } else { None };
    let knob = knative.and_then(|kpa| kpa.tolerance);
    let pick = |said: Option<f64>| knob.or(said).or(own).unwrap_or(TOLERANCE);
    Tolerance { up: pick(given.tolerance_up), down: pick(given.tolerance_down) }
}

fn behavior(given: &ResolvedAutoscaler, settings: &Settings) -> Behavior {
    let rules = |rules: &Rules, otherwise: Span| {
        let policies = rules.policies.iter().map(|policy| Policy {
            kind: if policy.kind == PolicyType::Pods { PolicyKind::Pods } else { PolicyKind::Percent },
            value: policy.value,
            period: span(policy.period),
        });
        ScalingRules {
            stabilization: rules.stabilization.map_or(otherwise, span),
            select: match rules.select {
                SelectPolicy::Max => Select::Max,
                SelectPolicy::Min => Select::Min,
                SelectPolicy::Disabled => Select::Disabled,
            },
            policies: policies.collect(),
        }
    };
    Behavior {
        up: rules(&given.rules_up, Span::ZERO),
        down: rules(&given.rules_down, downscale_stabilization(&settings.hpa)),
    }
}

/// Groups of several namespaces are apart, also where one fleet decides them all.
fn coordination(given: &ResolvedAutoscaler) -> Option<Coordination> {
    let own = given.coordination.as_ref()?;
    let group = match given.namespace.as_deref() {
        None | Some("" | "default") => own.group.clone(),
        Some(namespace) => format!("{namespace}/{}", own.group),
    };
    Some(Coordination { group, role: own.role.as_str().to_owned() })
}

fn span(duration: Duration) -> Span {
    Span::from_secs(duration.as_secs_f64())
}
