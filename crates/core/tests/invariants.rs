//! What holds for any spec and any observation, sound or not: the invariants of ARCHITECTURE.md that are the core's.

#![allow(clippy::unwrap_used, reason = "a fixture that fails is a failed test")]

mod common;
#[path = "common/generate.rs"]
mod generate;

use autoscaler_core::spec::{Behavior, Bounds, Fallback, ScalingRules, Strategy};
use autoscaler_core::state::FleetState;
use autoscaler_core::{Fleet, Observation, Span, Spec, TargetDecision, TargetObservation, Timestamp};
use common::*;
use generate::{Turn, any_spec, observation, turns};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use std::collections::BTreeMap;

const START: i64 = 1_000_000_000;

/// A world that drives a fleet of one through turns.
struct Drive {
    fleet: Fleet,
    now: Timestamp,
    desired: Option<u32>,
}

impl Drive {
    fn new(spec: &Spec) -> Self {
        Self { fleet: Fleet::new(vec![spec.clone()], Vec::new()), now: Timestamp(START), desired: None }
    }

    fn observation(&self, turn: &Turn) -> Observation {
        let mut seen = turn.seen.clone();
        if let Some(desired) = self.desired.filter(|_| turn.obeys) {
            seen.replicas = desired;
        }
        Observation { targets: BTreeMap::from([(NAME.to_owned(), seen)]), plan: turn.plan.clone() }
    }

    fn turn(&mut self, turn: &Turn) -> Option<TargetDecision> {
        self.now = self.now + Span(turn.pause * 1000);
        let seen = self.observation(turn);
        if !turn.decides {
            self.fleet.record(self.now, &seen);
            return None;
        }
        self.step(&seen)
    }

    fn step(&mut self, seen: &Observation) -> Option<TargetDecision> {
        let decision = self.fleet.step(self.now, seen).targets.remove(NAME);
        self.desired = decision.as_ref().map(|decision| decision.desired);
        decision
    }

    /// The state as it comes back from a file, and a fleet that knows nothing yet.
    fn reload(&mut self, spec: &Spec) -> FleetState {
        let saved = serde_json::to_string(&self.fleet.state()).unwrap();
        let state: FleetState = serde_json::from_str(&saved).unwrap();
        assert_eq!(state, self.fleet.state());
        self.fleet = Fleet::new(vec![spec.clone()], Vec::new());
        state
    }

    fn restore(&mut self, spec: &Spec) {
        let state = self.reload(spec);
        assert!(self.fleet.restore(state));
    }

    fn resume(&mut self, spec: &Spec) {
        let state = self.reload(spec);
        assert!(self.fleet.resume(state));
    }
}

fn json(decision: &TargetDecision) -> String {
    serde_json::to_string(decision).unwrap()
}

/// The bounds at a decision, and whether it keeps a human's zero.
fn bounds(spec: &Spec, decision: &TargetDecision) -> Bounds {
    spec.schedules.effective(decision.at, spec.bounds).bounds
}

fn without_values(seen: &TargetObservation, key: Option<&str>) -> TargetObservation {
    let gone = |name: &String| key.is_none_or(|key| key == name);
    let mut seen = seen.clone();
    seen.external.retain(|name, _| !gone(name));
    for pod in seen.pods.iter_mut().flatten() {
        pod.metrics.retain(|name, _| !gone(name));
        pod.usage.retain(|name, _| !gone(name));
    }
    seen
}

/// No fewer than before, but to a lowered maximum.
fn no_fewer(spec: &Spec, decision: &TargetDecision) -> bool {
    decision.desired >= decision.replicas.min(bounds(spec, decision).max)
}

/// A scale-down window, without which even Kubernetes does not protect a fresh start.
fn protected(mut spec: Spec) -> Spec {
    if spec.behavior.down.stabilization == Span::ZERO {
        spec.behavior.down.stabilization = Span::secs(300);
    }
    spec.fallback = None;
    spec
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        max_global_rejects: 100_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_decision_is_within_bounds_and_explained(spec in any_spec(), turns in turns(40)) {
        let mut drive = Drive::new(&spec);
        for turn in &turns {
            let Some(decision) = drive.turn(turn) else { continue };
            let bounds = bounds(&spec, &decision);
            let human_zero = decision.desired == 0 && decision.replicas == 0;
            prop_assert!(human_zero || bounds.clamp(decision.desired) == decision.desired, "{:?} {:?}", bounds, decision);
            let last = decision.trail.iter().rfind(|step| step.before != step.after);
            let told = last.map_or(Some(decision.replicas), |step| step.after);
            prop_assert_eq!(told, Some(decision.desired), "{:?}", decision.trail);
            let finite = decision.kpa.is_none_or(|kpa| {
                [kpa.stable, kpa.panic_average, kpa.excess_burst_capacity].iter().all(|figure| figure.is_finite())
            });
            prop_assert!(finite, "{:?}", decision.kpa);
            prop_assert!(!decision.reason.is_empty());
            prop_assert!(!json(&decision).contains("NaN"));
        }
    }

    #[test]
    fn the_same_observations_give_the_same_decisions(spec in any_spec(), turns in turns(30)) {
        let (mut first, mut second) = (Drive::new(&spec), Drive::new(&spec));
        for turn in &turns {
            let decisions = (first.turn(turn), second.turn(turn));
            prop_assert_eq!(decisions.0.as_ref().map(json), decisions.1.as_ref().map(json));
        }
        prop_assert_eq!(serde_json::to_string(&first.fleet.state()).unwrap(), serde_json::to_string(&second.fleet.state()).unwrap());
    }

    #[test]
    fn a_restored_state_decides_as_the_original(spec in any_spec(), turns in turns(30), at in 0_usize..30) {
        let (mut original, mut restored) = (Drive::new(&spec), Drive::new(&spec));
        for (index, turn) in turns.iter().enumerate() {
            if index == at {
                restored.restore(&spec);
            }
            let decisions = (original.turn(turn), restored.turn(turn));
            prop_assert_eq!(decisions.0.as_ref().map(json), decisions.1.as_ref().map(json), "turn {}", index);
        }
    }

    #[test]
    fn the_order_of_pods_does_not_matter(spec in any_spec(), turns in turns(20), turned in 0_usize..9) {
        let (mut original, mut shuffled) = (Drive::new(&spec), Drive::new(&spec));
        for turn in &turns {
            let mut other = turn.clone();
            if let Some(pods) = &mut other.seen.pods {
                pods.reverse();
                let by = turned % pods.len().max(1);
                pods.rotate_left(by);
            }
            let decisions = (original.turn(turn), shuffled.turn(&other));
            prop_assert_eq!(decisions.0.as_ref().map(json), decisions.1.as_ref().map(json));
        }
    }

    #[test]
    fn without_any_metric_nothing_scales_down(spec in any_spec(), turns in turns(20), pause in 0_i64..400_000) {
        let spec = Spec { fallback: None, ..spec };
        let mut drive = Drive::new(&spec);
        for turn in &turns {
            drive.turn(turn);
        }
        let last = turns.last().unwrap();
        for step in 0..3 {
            let gone = Turn { seen: without_values(&last.seen, None), plan: None, pause, decides: true, ..last.clone() };
            let decision = drive.turn(&gone).unwrap();
            prop_assert!(no_fewer(&spec, &decision), "step {}: {:?}", step, decision);
        }
    }

    #[test]
    fn with_one_source_of_several_gone_nothing_scales_down(spec in any_spec(), turns in turns(20), which in 0_usize..3) {
        let spec = Spec { fallback: None, ..spec };
        prop_assume!(!spec.sources.is_empty() && !matches!(spec.strategy, Strategy::Optimizer(_)));
        let key = spec.sources[which % spec.sources.len()].key.clone();
        let mut drive = Drive::new(&spec);
        for turn in &turns {
            drive.turn(turn);
        }
        let last = turns.last().unwrap();
        let resource = if spec.sources.iter().any(|s| s.key == key && matches!(s.kind, autoscaler_core::spec::SourceKind::Resource(_))) { "cpu" } else { &key };
        let gone = without_values(&without_values(&last.seen, Some(&key)), Some(resource));
        let decision = drive.turn(&Turn { seen: gone, pause: 1, decides: true, ..last.clone() }).unwrap();
        prop_assert!(no_fewer(&spec, &decision), "{:?}", decision);
    }

    #[test]
    fn a_fallback_is_the_only_way_down_without_metrics(spec in any_spec(), replicas in 0_u32..20, current in 1_u32..20) {
        let fallback = Some(Fallback { after: Span::secs(60), replicas });
        let spec = Spec { fallback, schedules: autoscaler_core::schedule::Schedules::default(), ..spec };
        prop_assume!(!spec.pause.all && !spec.pause.up && !spec.pause.down && spec.bounds.clamp(current) == current);
        let mut drive = Drive::new(&spec);
        let gone = |pause| Turn { pause, seen: seen(current), plan: None, decides: true, obeys: false };
        prop_assert_eq!(drive.turn(&gone(0)).unwrap().desired, current);
        prop_assert_eq!(drive.turn(&gone(59_000)).unwrap().desired, current);
        prop_assert_eq!(drive.turn(&gone(1_000)).unwrap().desired, spec.bounds.clamp(replicas));
    }

    #[test]
    fn a_fresh_start_never_scales_down(spec in any_spec(), seen in observation(), plan in 0_u32..30) {
        let spec = protected(spec);
        let plan = Some(common::plan(1_000.0, &[(NAME, plan)]));
        let decision = Drive::new(&spec).turn(&Turn { pause: 0, seen, plan, decides: true, obeys: false }).unwrap();
        prop_assert!(no_fewer(&spec, &decision), "{:?}", decision);
    }

    #[test]
    fn a_memory_that_has_expired_is_as_safe_as_a_fresh_start(
        spec in any_spec(),
        turns in turns(20),
        seen in observation(),
        away in 0_i64..100_000,
        plan in 0_u32..30,
    ) {
        let spec = protected(spec);
        let mut drive = Drive::new(&spec);
        for turn in &turns {
            drive.turn(turn);
        }
        drive.resume(&spec);
        let pause = (300 + 120 + 3 + away) * 1_000;
        let plan = Some(common::plan(1_000_000.0, &[(NAME, plan)]));
        let decision = drive.turn(&Turn { pause, seen, plan, decides: true, obeys: false }).unwrap();
        prop_assert!(no_fewer(&spec, &decision), "{:?}", decision);
    }

    #[test]
    fn more_load_never_asks_for_fewer(
        strategy in generate::strategy(),
        behavior in any_spec().prop_map(|spec| spec.behavior),
        replicas in 1_usize..12,
        before in proptest::collection::vec(0.0_f64..100.0, 0..30),
        load in 0.0_f64..200.0,
        more in 0.0_f64..200.0,
        target in 1.0_f64..50.0,
    ) {
        prop_assume!(!matches!(strategy, Strategy::Optimizer(_)));
        let spec = Spec { behavior, ..spec(strategy, vec![per_pod(target)]) };
        let mut light = Drive::new(&spec);
        for (second, load) in before.iter().enumerate() {
            light.now = Timestamp(START + i64::try_from(second).unwrap() * 1_000_000);
            light.step(&whole(loads(&vec![*load; replicas])));
        }
        light.now = light.now + Span::secs(1);
        let mut heavy = Drive { fleet: light.fleet.clone(), ..light };
        let light = light_step(&mut light.fleet.clone(), light.now, &loads(&vec![load; replicas]));
        let heavy = heavy.step(&whole(loads(&vec![load + more; replicas]))).unwrap();
        prop_assert!(heavy.recommendation >= light.recommendation, "{:?}\n{:?}", light, heavy);
        prop_assert!(heavy.desired >= light.desired, "{:?}\n{:?}", light, heavy);
    }
}

fn whole(seen: TargetObservation) -> Observation {
    Observation { targets: BTreeMap::from([(NAME.to_owned(), seen)]), plan: None }
}

fn light_step(fleet: &mut Fleet, now: Timestamp, seen: &TargetObservation) -> TargetDecision {
    fleet.step(now, &whole(seen.clone())).targets.remove(NAME).unwrap()
}

/// The size of the saved state after this many turns of `millis`, with a load and a count that keep changing.
fn saved_size(strategy: &Strategy, turns: i64, millis: i64) -> usize {
    let free = Behavior { up: ScalingRules::free(Span::secs(3600)), down: ScalingRules::free(Span::secs(3600)) };
    let sources = vec![
        external(10.0),
        source("queue", autoscaler_core::spec::SourceKind::Pods, 3.0, autoscaler_core::spec::TargetType::AverageValue),
    ];
    let mut fleet = Fleet::new(vec![Spec { behavior: free, ..spec(strategy.clone(), sources) }], Vec::new());
    for turn in 0..turns {
        let replicas = u32::try_from(turn % 13 + 1).unwrap();
        let seen = seen(replicas).total(((turn * 7919) % 1000) as f64 / 7.0);
        fleet.step(Timestamp(START + turn * millis * 1000), &whole(seen));
    }
    serde_json::to_string(&fleet.state()).unwrap().len()
}

#[test]
fn the_memory_stops_growing() {
    let long = autoscaler_core::spec::Kpa {
        stable_window: Span::secs(3600),
        panic_window: Span::secs(3600),
        scale_down_delay: Span::secs(3600),
        ..aibrix_kpa()
    };
    let long_apa = autoscaler_core::spec::Apa { window: Span::secs(3600), ..apa() };
    for strategy in [hpa(), Strategy::Kpa(long), Strategy::Apa(long_apa.clone()), Strategy::Hybrid(planned(), long_apa)]
    {
        for millis in [1_000, 100] {
            let (full, later) = (saved_size(&strategy, 10_000, millis), saved_size(&strategy, 14_000, millis));
            assert!(later < full + full / 5, "{strategy:?} at {millis} ms: {full}, then {later} bytes");
            assert!(later < 1_000_000, "{later} bytes");
        }
    }
}

#[test]
fn windows_without_a_sound_length_are_bounded_too() {
    let endless = Span(i64::MAX);
    let kpa = autoscaler_core::spec::Kpa {
        stable_window: endless,
        panic_window: endless,
        scale_down_delay: endless,
        ..aibrix_kpa()
    };
    for strategy in [Strategy::Kpa(kpa), Strategy::Apa(autoscaler_core::spec::Apa { window: endless, ..apa() })] {
        let (full, later) = (saved_size(&strategy, 5_000, 1_000), saved_size(&strategy, 9_000, 1_000));
        assert!(later < full + full / 5, "{full}, then {later} bytes");
    }
}

#[test]
fn a_state_of_another_version_is_not_used() {
    let mut fleet = Fleet::new(vec![spec(hpa(), vec![external(1.0)])], Vec::new());
    let other = FleetState { version: autoscaler_core::state::VERSION + 1, targets: BTreeMap::new() };
    assert!(!fleet.restore(other));
}

#[test]
fn a_damaged_window_begins_anew_and_holds() {
    let spec = spec(Strategy::Kpa(aibrix_kpa()), vec![external(10.0)]);
    let mut drive = Drive::new(&spec);
    drive.step(&whole(seen(8).total(80.0)));
    let saved = serde_json::to_string(&drive.fleet.state()).unwrap();
    let second = (START / 1_000_000).to_string();
    for (what, with) in
        [("firstWrite", "null"), ("lastWrite", "-9223372036854775807"), ("firstWrite", "9223372036854775807")]
    {
        let damaged = saved.replace(&format!("\"{what}\":{second}"), &format!("\"{what}\":{with}"));
        assert_ne!(damaged, saved);
        let mut fleet = Fleet::new(vec![spec.clone()], Vec::new());
        assert!(fleet.restore(serde_json::from_str(&damaged).unwrap()));
        let decision = light_step(&mut fleet, Timestamp(START + 1_000_000), &seen(8).total(8.0));
        assert_eq!(decision.desired, 8, "{what} {with}");
    }
}

/// The core may be told the time, but never ask for it; the same goes for anything else outside its arguments.
#[test]
fn the_sources_reach_for_nothing_outside() {
    const FORBIDDEN: [&str; 16] = [
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
        "TimeZone::system",
        "HashMap",
        "HashSet",
        "println!",
        "eprintln!",
        "print!",
        "std::env",
        "std::fs",
        "std::net",
        "std::thread",
        "rand::",
        "unsafe ",
    ];
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            for word in FORBIDDEN {
                assert!(!text.contains(word), "{} has {word}", path.display());
            }
            assert!(text.starts_with("//!"), "{} has no header", path.display());
            assert!(text.lines().count() < 400, "{} is long", path.display());
        }
    }
    assert!(files > 20, "{files} files");
}
