//! Fixtures shared by the tests: specs with plain defaults, pods and observations in fluent form, and a fleet of one.
//! Must not know what any test expects.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every test file uses its own part, and a fixture that fails is a failed test"
)]

use autoscaler_core::fleet::Plan;
use autoscaler_core::schedule::Schedules;
use autoscaler_core::spec::{
    Apa, Behavior, Bounds, Gaps, Hpa, Kpa, Mode, Pause, Planned, ScalingRules, Source, SourceKind, Strategy,
    TargetType, Tolerance,
};
use autoscaler_core::state::History;
use autoscaler_core::window::buckets::Averaging;
use autoscaler_core::{
    Fleet, Observation, Phase, Pod, Reading, Rule, Span, Spec, Stage, TargetDecision, TargetObservation, Timestamp,
};
use std::collections::BTreeMap;

/// The name of the lone autoscaler.
pub(crate) const NAME: &str = "model";
/// The key of the metric that most tests use.
pub(crate) const LOAD: &str = "load";

pub(crate) fn at(seconds: f64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// A spec without guards, delays or limits, so that a test sees the strategy's own answer.
pub(crate) fn spec(strategy: Strategy, sources: Vec<Source>) -> Spec {
    Spec {
        name: NAME.to_owned(),
        strategy,
        sources,
        bounds: Bounds { min: 0, max: 1000 },
        schedules: Schedules::default(),
        tolerance: Tolerance::both(0.1),
        behavior: free(),
        mode: Mode::Apply,
        fallback: None,
        activation: None,
        pause: Pause::default(),
        zero_grace: Span::ZERO,
        pending_deadline: Span::secs(600),
        coordination: None,
    }
}

pub(crate) fn free() -> Behavior {
    Behavior { up: ScalingRules::free(Span::ZERO), down: ScalingRules::free(Span::ZERO) }
}

pub(crate) fn hpa() -> Strategy {
    Strategy::Hpa(Hpa { cpu_initialization: Span::secs(300), initial_readiness: Span::secs(30), older_rule: None })
}

/// Knative's defaults; the ready count at the start is told as 0 so that nothing starts in panic.
pub(crate) fn knative() -> Kpa {
    Kpa {
        stable_window: Span::secs(60),
        panic_window: Span::secs(6),
        panic_threshold: 2.0,
        max_scale_up_rate: 1000.0,
        max_scale_down_rate: 2.0,
        scale_down_delay: Span::ZERO,
        activation_scale: 1,
        averaging: Averaging::Linear,
        target_burst_capacity: Some(211.0),
        total: None,
        target: None,
        initial_ready: Some(0),
        knative_silence: true,
        gaps: Gaps::Zero,
    }
}

/// KPA as worlds run it for AIBrix's objects.
pub(crate) fn aibrix_kpa() -> Kpa {
    Kpa {
        stable_window: Span::secs(180),
        panic_window: Span::secs(60),
        max_scale_up_rate: 2.0,
        target_burst_capacity: None,
        initial_ready: None,
        knative_silence: false,
        gaps: Gaps::Hold,
        ..knative()
    }
}

pub(crate) fn apa() -> Apa {
    Apa { window: Span::secs(180), max_scale_up_rate: 2.0, max_scale_down_rate: 2.0 }
}

pub(crate) fn planned() -> Planned {
    Planned { max_age: Span::secs(120) }
}

pub(crate) fn plan(made_at: f64, replicas: &[(&str, u32)]) -> Plan {
    let replicas = replicas.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
    Plan { made_at: at(made_at), replicas, why: BTreeMap::new() }
}

pub(crate) fn source(key: &str, kind: SourceKind, target: f64, target_type: TargetType) -> Source {
    Source { key: key.to_owned(), kind, target, target_type }
}

pub(crate) fn per_pod(target: f64) -> Source {
    source(LOAD, SourceKind::Pods, target, TargetType::AverageValue)
}

pub(crate) fn external(target: f64) -> Source {
    source(LOAD, SourceKind::External, target, TargetType::AverageValue)
}

pub(crate) fn external_value(target: f64) -> Source {
    source(LOAD, SourceKind::External, target, TargetType::Value)
}

pub(crate) fn cpu_utilization(percent: f64) -> Source {
    source("cpu", SourceKind::Resource("cpu".to_owned()), percent, TargetType::Utilization)
}

/// A ready pod that reports nothing and started long before any test's time.
pub(crate) fn pod(name: &str) -> Pod {
    Pod::ready(name, at(0.0))
}

/// Changes of a pod, in seconds and in the units of the tests.
pub(crate) trait PodExt: Sized {
    fn load(self, value: f64) -> Self;
    fn metric(self, key: &str, reading: Reading) -> Self;
    fn cpu(self, usage: i64, request: i64) -> Self;
    fn request(self, request: i64) -> Self;
    fn phase(self, phase: Phase) -> Self;
    fn unready(self) -> Self;
    fn deleting(self) -> Self;
    fn started(self, seconds: f64) -> Self;
    fn changed(self, seconds: f64) -> Self;
    fn measured(self, seconds: f64, window: f64) -> Self;
    fn starting(self, since: f64) -> Self;
}

impl PodExt for Pod {
    fn load(self, value: f64) -> Self {
        self.metric(LOAD, Reading::Fresh(value))
    }
    fn metric(mut self, key: &str, reading: Reading) -> Self {
        self.metrics.insert(key.to_owned(), reading);
        self
    }
    fn cpu(mut self, usage: i64, request: i64) -> Self {
        self.usage.insert("cpu".to_owned(), usage);
        self.request(request)
    }
    fn request(mut self, request: i64) -> Self {
        self.requests.insert("cpu".to_owned(), request);
        self
    }
    fn phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }
    fn unready(mut self) -> Self {
        self.ready = Some(false);
        self
    }
    fn deleting(mut self) -> Self {
        self.deleting = true;
        self
    }
    fn started(mut self, seconds: f64) -> Self {
        self.started_at = Some(at(seconds));
        self
    }
    fn changed(mut self, seconds: f64) -> Self {
        self.ready_at = Some(at(seconds));
        self
    }
    fn measured(mut self, seconds: f64, window: f64) -> Self {
        self.usage_at = at(seconds);
        self.usage_window = Span::from_secs(window);
        self
    }
    fn starting(self, since: f64) -> Self {
        self.unready().started(since).changed(since)
    }
}

/// An observation of one target; without pods they all count as ready.
pub(crate) fn seen(replicas: u32) -> TargetObservation {
    TargetObservation { replicas, ..TargetObservation::default() }
}

/// Ready pods with these loads, and as many wanted replicas.
pub(crate) fn loads(values: &[f64]) -> TargetObservation {
    let pods: Vec<Pod> = values.iter().enumerate().map(|(i, &value)| pod(&format!("p{i}")).load(value)).collect();
    seen(u32::try_from(pods.len()).unwrap()).pods(pods)
}

pub(crate) trait SeenExt: Sized {
    fn pods(self, pods: Vec<Pod>) -> Self;
    fn external(self, key: &str, values: &[f64]) -> Self;
    fn total(self, value: f64) -> Self;
    fn absent(self, key: &str) -> Self;
    fn status(self, replicas: u32) -> Self;
    fn held(self, requests: f64) -> Self;
}

impl SeenExt for TargetObservation {
    fn pods(mut self, pods: Vec<Pod>) -> Self {
        self.pods = Some(pods);
        self
    }
    fn external(mut self, key: &str, values: &[f64]) -> Self {
        self.external.insert(key.to_owned(), values.iter().map(|&value| Reading::load(value)).collect());
        self
    }
    fn total(self, value: f64) -> Self {
        self.external(LOAD, &[value])
    }
    fn absent(mut self, key: &str) -> Self {
        let why = autoscaler_core::Why::Failed("refused".to_owned());
        self.external.insert(key.to_owned(), vec![Reading::Absent(why)]);
        self
    }
    fn status(mut self, replicas: u32) -> Self {
        self.status_replicas = Some(replicas);
        self
    }
    fn held(mut self, requests: f64) -> Self {
        self.held = Some(requests);
        self
    }
}

/// A fleet of one.
pub(crate) struct Lone {
    pub(crate) fleet: Fleet,
    pub(crate) plan: Option<Plan>,
}

impl Lone {
    pub(crate) fn new(spec: Spec) -> Self {
        Self { fleet: Fleet::new(vec![spec], Vec::new()), plan: None }
    }

    /// One whose controller ran before and remembers this: ages in seconds before `first`.
    pub(crate) fn with_history(spec: Spec, first: f64, recommendations: &[(f64, u32)], changes: &[(f64, i64)]) -> Self {
        let mut lone = Self::new(spec);
        let history = History {
            recommendations: recommendations.iter().map(|&(age, count)| (Span::from_secs(age), count)).collect(),
            changes: changes.iter().map(|&(age, delta)| (Span::from_secs(age), delta)).collect(),
        };
        lone.fleet.tell_history(NAME, &history, at(first));
        lone
    }

    pub(crate) fn step(&mut self, seconds: f64, seen: TargetObservation) -> TargetDecision {
        let observation = self.observation(seen);
        self.fleet.step(at(seconds), &observation).targets.remove(NAME).unwrap()
    }

    pub(crate) fn record(&mut self, seconds: f64, seen: TargetObservation) {
        let observation = self.observation(seen);
        self.fleet.record(at(seconds), &observation);
    }

    fn observation(&self, seen: TargetObservation) -> Observation {
        Observation { targets: BTreeMap::from([(NAME.to_owned(), seen)]), plan: self.plan.clone() }
    }
}

/// The decision of a fresh controller, without guards, on one observation.
pub(crate) fn once(spec: Spec, seen: TargetObservation) -> TargetDecision {
    Lone::with_history(spec, 0.0, &[], &[]).step(0.0, seen)
}

/// Whether a step of the trail has this rule.
pub(crate) fn names(decision: &TargetDecision, stage: Stage, rule: Rule) -> bool {
    decision.trail.iter().any(|step| step.stage == stage && step.rule == rule)
}
