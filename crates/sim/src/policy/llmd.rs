//! llm-d's recipes for KEDA: a formula gives a count, and an HPA with the recipe's behaviour follows it
//! (llm-d guides/workload-autoscaling README.slo-aware.md, keda-epp-token-aware).

use super::PROMETHEUS;
use crate::world::{Policy, Seen};
use autoscaler_core::schedule::Schedules;
use autoscaler_core::spec::{
    Behavior, Bounds, Hpa, Mode, Pause, PolicyKind, ScalingRules, Select, Source, SourceKind, Spec, Strategy,
    TargetType, Tolerance,
};
use autoscaler_core::{Fleet, Observation, Reading, Span, TargetObservation, Timestamp, Why};
use std::collections::{BTreeMap, VecDeque};
use workload::score::Slo;

/// An HPA on one value that KEDA computes: the count itself, with a target of 1 a replica.
pub(super) struct Keda {
    fleet: Fleet,
}

const NAME: &str = "keda";
const KEY: &str = "count";

fn policy(kind: PolicyKind, value: u32, period: i64) -> autoscaler_core::spec::Policy {
    autoscaler_core::spec::Policy { kind, value, period: Span::secs(period) }
}

impl Keda {
    pub(super) fn new(bounds: Bounds, behavior: Behavior) -> Self {
        let hpa = Hpa { cpu_initialization: Span::secs(300), initial_readiness: Span::secs(30), older_rule: None };
        let source = Source {
            key: KEY.to_owned(),
            kind: SourceKind::External,
            target: 1.0,
            target_type: TargetType::AverageValue,
        };
        let spec = Spec {
            name: NAME.to_owned(),
            strategy: Strategy::Hpa(hpa),
            sources: vec![source],
            bounds,
            schedules: Schedules::default(),
            tolerance: Tolerance::both(0.1),
            behavior,
            mode: Mode::Apply,
            fallback: None,
            activation: None,
            pause: Pause::default(),
            zero_grace: Span::ZERO,
            pending_deadline: Span::secs(1800),
            coordination: None,
        };
        Self { fleet: Fleet::new(vec![spec], Vec::new()) }
    }

    /// Follows a count; none is a query without an answer.
    pub(super) fn follow(&mut self, seen: &Seen<'_>, count: Option<f64>) -> u32 {
        let reading = count.map_or(Reading::Absent(Why::NotRead), Reading::load);
        let target = TargetObservation {
            replicas: seen.wanted,
            external: BTreeMap::from([(KEY.to_owned(), vec![reading])]),
            ..TargetObservation::default()
        };
        let observation = Observation { targets: BTreeMap::from([(NAME.to_owned(), target)]), plan: None };
        let decided = self.fleet.step(Timestamp::from_secs(seen.now), &observation).targets.remove(NAME);
        decided.map_or(seen.wanted, |decision| decision.desired)
    }
}

/// Scales on the worse of both latencies as a share of its objective.
pub(super) struct SloAware {
    keda: Keda,
    slo: Slo,
    /// Multiplies both thresholds; 1 is the recipe.
    knob: f64,
    /// The signal of the last 45 s.
    signals: VecDeque<(f64, f64)>,
    why: String,
}

/// The recipe's thresholds.
const UP: f64 = 0.55;
const DOWN: f64 = 0.40;
/// The recipe's average, seconds.
const AVERAGE: f64 = 45.0;
/// A latency that is many times its objective says no more than one that is twice.
const CLAMP: f64 = 2.0;
/// Prometheus quantiles are taken over a minute.
const QUANTILE_WINDOW: f64 = 60.0;

impl SloAware {
    pub(super) fn new(bounds: Bounds, slo: Slo, knob: f64) -> Self {
        let behavior = Behavior {
            up: ScalingRules {
                stabilization: Span::secs(30),
                select: Select::Max,
                policies: vec![policy(PolicyKind::Percent, 100, 60), policy(PolicyKind::Pods, 4, 60)],
            },
            down: ScalingRules {
                stabilization: Span::secs(180),
                select: Select::Max,
                policies: vec![policy(PolicyKind::Pods, 1, 120)],
            },
        };
        Self { keda: Keda::new(bounds, behavior), slo, knob, signals: VecDeque::new(), why: String::new() }
    }

    fn signal(&self, seen: &Seen<'_>) -> Option<f64> {
        let recent = seen.traffic.recent.iter().rev().take_while(|ended| ended.at >= seen.now - QUANTILE_WINDOW);
        let (mut ttft, mut tpot) = (Vec::new(), Vec::new());
        for ended in recent {
            ttft.push(ended.ttft);
            tpot.extend(ended.tpot);
        }
        let inside = seen.pages().map(|page| page.running + page.waiting).sum::<f64>();
        if ttft.is_empty() {
            // Without any traffic the latency is none; with some that does not end, it is not known.
            return (inside == 0.0).then_some(0.0);
        }
        let worst = (p90(&mut ttft) / self.slo.ttft).max(p90(&mut tpot) / self.slo.tpot);
        Some(worst.min(CLAMP))
    }
}

/// The 90th percentile; 0 of nothing.
fn p90(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let at = (values.len() * 9 / 10).min(values.len() - 1);
    *values.select_nth_unstable_by(at, f64::total_cmp).1
}

impl Policy for SloAware {
    fn interval(&self) -> f64 {
        PROMETHEUS
    }

    fn scrapes_every(&self) -> Option<f64> {
        Some(PROMETHEUS)
    }

    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if let Some(signal) = self.signal(seen) {
            self.signals.push_back((seen.now, signal));
        }
        while self.signals.front().is_some_and(|(at, _)| *at < seen.now - AVERAGE) {
            self.signals.pop_front();
        }
        let signals = self.signals.len();
        let mean = self.signals.iter().map(|(_, signal)| signal).sum::<f64>() / signals as f64;
        let (n, up, down) = (f64::from(seen.wanted), UP * self.knob, DOWN * self.knob);
        // Replicas on their way are credited.
        let credit = f64::from(seen.ready()) / n.max(1.0);
        let count = if signals == 0 {
            None
        } else if mean > up {
            Some(n + (n * (mean * credit.min(1.0) / up - 1.0)).ceil().max(0.0))
        } else if mean < down {
            Some(n - (n * (1.0 - mean / down)).floor())
        } else {
            Some(n)
        };
        self.why = format!("latency at {mean:.2} of its objective");
        self.keda.follow(seen, count)
    }

    fn why(&self) -> String {
        self.why.clone()
    }
}

/// Scales on prompt tokens that wait, as seconds of prefill, and on the KV cache.
pub(super) struct TokenAware {
    keda: Keda,
    /// Prompt tokens that one replica computes in a second.
    prefill_rate: f64,
    /// Multiplies both targets; 1 is the recipe.
    knob: f64,
    why: String,
}

/// The recipe's targets: seconds of backlog, and share of the cache.
const BACKLOG: f64 = 1.5;
const KV: f64 = 0.8;

impl TokenAware {
    pub(super) fn new(bounds: Bounds, prefill_rate: f64, knob: f64) -> Self {
        let behavior = Behavior::kubernetes(Span::secs(300));
        Self { keda: Keda::new(bounds, behavior), prefill_rate, knob, why: String::new() }
    }
}

impl Policy for TokenAware {
    fn interval(&self) -> f64 {
        PROMETHEUS
    }

    fn scrapes_every(&self) -> Option<f64> {
        Some(PROMETHEUS)
    }

    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        let backlog = seen.traffic.backlog_tokens as f64 / self.prefill_rate;
        let kv: f64 = seen.pages().map(|page| page.kv_usage).sum();
        let count = (backlog / (BACKLOG * self.knob)).ceil().max((kv / (KV * self.knob)).ceil());
        self.why = format!("{backlog:.2} s of prefill wait, {kv:.2} caches are full");
        self.keda.follow(seen, Some(count))
    }

    fn why(&self) -> String {
        self.why.clone()
    }
}
