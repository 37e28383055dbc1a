//! Prefill and decode as a pair: what one side cannot have limits the growth of the other, and nothing is ever taken away.

mod common;

use autoscaler_core::coordination::{Partner, Side};
use autoscaler_core::fleet::{Member, Pool};
use autoscaler_core::spec::{Bounds, Coordination, Fallback, Mode, Pause, Tolerance};
use autoscaler_core::{Decision, Fleet, Observation, Phase, Rule, Span, Spec, Stage, TargetObservation};
use common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const DEADLINE: i64 = 100;

fn role(name: &str) -> Coordination {
    Coordination { group: "chat".to_owned(), role: name.to_owned() }
}

/// One side: its bounds, the replicas it has, those of them that find no place, and those that its own signals ask for.
#[derive(Debug, Clone, Copy)]
struct Half {
    min: u32,
    max: u32,
    current: u32,
    stuck: u32,
    wanted: u32,
}

impl Half {
    fn new(current: u32, wanted: u32) -> Self {
        Self { min: 0, max: 1000, current, stuck: 0, wanted }
    }

    fn spec(&self, name: &str) -> Spec {
        Spec {
            name: name.to_owned(),
            tolerance: Tolerance::both(0.0),
            bounds: Bounds { min: self.min, max: self.max },
            pending_deadline: Span::secs(DEADLINE),
            coordination: Some(role(name)),
            ..spec(hpa(), vec![external(1.0)])
        }
    }

    fn seen(&self) -> TargetObservation {
        let ready = self.current - self.stuck.min(self.current);
        let pods = (0..self.current).map(|at| {
            let pod = pod(&format!("p{at}"));
            if at < ready { pod } else { pod.starting(0.0).phase(Phase::Pending) }
        });
        seen(self.current).pods(pods.collect()).total(f64::from(self.wanted))
    }
}

fn step(halves: &[(&str, Half)], pools: Vec<Pool>) -> Decision {
    let specs = halves.iter().map(|(name, half)| half.spec(name)).collect();
    let targets = halves.iter().map(|(name, half)| ((*name).to_owned(), half.seen())).collect();
    let mut fleet = Fleet::new(specs, pools);
    fleet.step(at(500.0), &Observation { targets, plan: None })
}

fn pair(prefill: Half, decode: Half) -> (u32, u32) {
    let decision = step(&[("prefill", prefill), ("decode", decode)], Vec::new());
    (decision.targets["prefill"].desired, decision.targets["decode"].desired)
}

fn pool(units: u32, each: &[(&str, u32)]) -> Vec<Pool> {
    let member =
        |&(name, units_per_replica): &(&str, u32)| (name.to_owned(), Member { units_per_replica, priority: 0 });
    vec![Pool { units, members: each.iter().map(member).collect() }]
}

#[test]
fn two_sides_that_get_what_they_ask_for_do_not_see_each_other() {
    assert_eq!(pair(Half::new(2, 6), Half::new(4, 12)), (6, 12));
    assert_eq!(pair(Half::new(6, 2), Half::new(4, 12)), (2, 12), "one shrinks by its own signals, the other grows");
}

#[test]
fn a_side_at_its_maximum_holds_the_growth_of_the_other_in_proportion() {
    let prefill = Half { max: 3, ..Half::new(2, 6) };
    for (current, wanted, desired) in [(2, 12, 6), (2, 13, 7), (8, 12, 8), (8, 5, 5), (12, 12, 12), (2, 1, 1)] {
        assert_eq!(pair(prefill, Half::new(current, wanted)), (3, desired), "{current} → {wanted}");
    }
    let decision = step(&[("prefill", prefill), ("decode", Half::new(2, 12))], Vec::new());
    let decode = &decision.targets["decode"];
    assert!(names(decode, Stage::Coordination, Rule::PartnerLimited), "{:?}", decode.trail);
    assert_eq!(decode.reason, "load above target; 12 bound to 6: prefill of chat has 3 of the 6 it wants");
}

#[test]
fn the_minimum_goes_before_the_match() {
    let prefill = Half { max: 3, ..Half::new(2, 12) };
    assert_eq!(pair(prefill, Half { min: 5, ..Half::new(5, 12) }), (3, 5));
    assert_eq!(pair(prefill, Half { min: 5, ..Half::new(2, 12) }), (3, 5), "below it the minimum is gone to at once");
}

#[test]
fn replicas_that_start_up_limit_nobody_until_their_deadline() {
    let starting = |since: f64| {
        let prefill = seen(6).total(8.0).pods(
            (0..6).map(|i| if i < 3 { pod(&format!("p{i}")) } else { pod(&format!("p{i}")).starting(since) }).collect(),
        );
        let (a, b) = (Half::new(6, 8), Half::new(4, 12));
        let mut fleet = Fleet::new(vec![a.spec("prefill"), b.spec("decode")], Vec::new());
        let targets = BTreeMap::from([("prefill".to_owned(), prefill), ("decode".to_owned(), b.seen())]);
        fleet.step(at(500.0), &Observation { targets, plan: None }).targets["decode"].desired
    };
    assert_eq!(starting(410.0), 12, "on their way");
    assert_eq!(starting(390.0), 5, "three of the eight that are wanted serve");
}

#[test]
fn two_sides_that_are_both_stuck_go_on_as_soon_as_their_own_replicas_serve() {
    let stuck = |stuck| Half { stuck, ..Half::new(4, 8) };
    assert_eq!(pair(stuck(2), stuck(2)), (4, 4), "each holds the other's growth");
    assert_eq!(pair(stuck(0), stuck(2)), (4, 8), "what holds prefill is decode alone");
    assert_eq!(pair(stuck(0), stuck(0)), (8, 8), "and nothing is left of it");
}

#[test]
fn replicas_that_served_lately_and_start_again_limit_nobody() {
    let again = |since: f64| {
        let prefill = seen(6).total(8.0).pods(
            (0..6)
                .map(|i| if i < 3 { pod(&format!("p{i}")) } else { pod(&format!("p{i}")).unready().changed(since) })
                .collect(),
        );
        let (a, b) = (Half::new(6, 8), Half::new(4, 12));
        let mut fleet = Fleet::new(vec![a.spec("prefill"), b.spec("decode")], Vec::new());
        let targets = BTreeMap::from([("prefill".to_owned(), prefill), ("decode".to_owned(), b.seen())]);
        fleet.step(at(500.0), &Observation { targets, plan: None }).targets["decode"].desired
    };
    assert_eq!((again(490.0), again(390.0)), (12, 5));
}

#[test]
fn a_pool_that_prefers_one_side_leaves_nothing_idle_that_the_other_side_waits_for() {
    let (mut prefill, mut decode) = (Half::new(1, 6), Half::new(1, 8));
    let member = |priority| Member { units_per_replica: 1, priority };
    let members = BTreeMap::from([("prefill".to_owned(), member(0)), ("decode".to_owned(), member(1))]);
    for _ in 0..4 {
        let decision =
            step(&[("prefill", prefill), ("decode", decode)], vec![Pool { units: 7, members: members.clone() }]);
        (prefill.current, decode.current) = (decision.targets["prefill"].desired, decision.targets["decode"].desired);
    }
    assert_eq!((prefill.current, decode.current), (3, 4));
}

#[test]
fn units_that_a_side_may_not_use_for_want_of_the_other_go_to_others_at_the_same_tick() {
    let halves = [("prefill", Half::new(1, 2)), ("decode", Half::new(4, 8)), ("other", Half::new(1, 8))];
    let mut specs: Vec<Spec> = halves.iter().map(|(name, half)| half.spec(name)).collect();
    specs[2].coordination = None;
    let pools = pool(20, &[("prefill", 8), ("decode", 1), ("other", 1)]);
    let targets = halves.iter().map(|(name, half)| ((*name).to_owned(), half.seen())).collect();
    let decided = Fleet::new(specs, pools).step(at(500.0), &Observation { targets, plan: None }).targets;
    let counts: Vec<u32> = decided.values().map(|target| target.desired).collect();
    assert_eq!(counts, [4, 8, 1], "decode, other, prefill");
}

#[test]
fn a_side_that_is_held_limits_nobody() {
    // Decode is held by prefill's maximum; an encoder is matched to prefill, and not to what decode was left.
    let halves =
        [("decode", Half::new(2, 20)), ("encode", Half::new(1, 4)), ("prefill", Half { max: 5, ..Half::new(2, 10) })];
    let decision = step(&halves, Vec::new());
    let counts: Vec<u32> = decision.targets.values().map(|target| target.desired).collect();
    assert_eq!(counts, [10, 2, 5]);
}

#[test]
fn a_side_at_zero_may_always_have_one() {
    let prefill = Half { stuck: 2, ..Half::new(2, 6) };
    assert_eq!(pair(prefill, Half::new(0, 4)), (6, 1));
}

#[test]
fn what_a_pool_cuts_limits_the_other_side_and_what_a_side_cannot_use_is_left_to_others() {
    let cut = step(&[("prefill", Half::new(1, 8)), ("decode", Half::new(1, 8))], pool(6, &[("prefill", 2)]));
    assert_eq!((cut.targets["prefill"].desired, cut.targets["decode"].desired), (3, 3));
    let other = Spec { coordination: None, ..Half::new(1, 20).spec("other") };
    let (prefill, decode) = (Half { max: 2, ..Half::new(1, 8) }, Half::new(1, 8));
    let specs = vec![prefill.spec("prefill"), decode.spec("decode"), other];
    let mut fleet = Fleet::new(specs, pool(12, &[("prefill", 1), ("decode", 1), ("other", 1)]));
    let halves = [("prefill", prefill), ("decode", decode), ("other", Half::new(1, 8))];
    let targets = halves.iter().map(|(name, half)| ((*name).to_owned(), half.seen())).collect();
    let decided = fleet.step(at(500.0), &Observation { targets, plan: None });
    let counts: Vec<u32> = decided.targets.values().map(|target| target.desired).collect();
    assert_eq!(counts, [2, 8, 2], "decode's eight would have left others six");
}

#[test]
fn a_side_without_metrics_or_that_nobody_acts_on_limits_nobody() {
    let (prefill, decode) = (Half { max: 3, ..Half::new(3, 9) }, Half::new(2, 12));
    let with = |spec: Spec, seen: TargetObservation| {
        let mut fleet = Fleet::new(vec![spec, decode.spec("decode")], Vec::new());
        let targets = BTreeMap::from([("prefill".to_owned(), seen), ("decode".to_owned(), decode.seen())]);
        fleet.step(at(500.0), &Observation { targets, plan: None }).targets["decode"].desired
    };
    let spec = || prefill.spec("prefill");
    assert_eq!(with(spec(), prefill.seen()), 4);
    assert_eq!(with(spec(), seen(3).absent(LOAD)), 12);
    assert_eq!(with(Spec { mode: Mode::Recommend, ..spec() }, prefill.seen()), 12);
    assert_eq!(with(Spec { pause: Pause { all: true, ..Pause::default() }, ..spec() }, prefill.seen()), 12);
    let (stuck, paused) = (Half { stuck: 2, ..prefill }, Pause { all: true, ..Pause::default() });
    assert_eq!(with(spec(), stuck.seen()), 2);
    assert_eq!(with(Spec { pause: paused, ..spec() }, stuck.seen()), 12);
    let fallback = Some(Fallback { after: Span::ZERO, replicas: 9 });
    assert_eq!(with(Spec { fallback, ..spec() }, seen(3).absent(LOAD)), 12);
    assert_eq!(with(Spec { coordination: None, ..spec() }, prefill.seen()), 12);
}

#[test]
fn a_fallback_is_what_the_manifest_asks_for_and_is_not_held() {
    let prefill = Half { max: 3, ..Half::new(3, 9) };
    let fallback = Some(Fallback { after: Span::ZERO, replicas: 9 });
    let decode = Spec { fallback, ..Half::new(2, 0).spec("decode") };
    let mut fleet = Fleet::new(vec![prefill.spec("prefill"), decode], Vec::new());
    let targets = BTreeMap::from([("prefill".to_owned(), prefill.seen()), ("decode".to_owned(), seen(2).absent(LOAD))]);
    assert_eq!(fleet.step(at(500.0), &Observation { targets, plan: None }).targets["decode"].desired, 9);
}

#[test]
fn a_partner_that_another_fleet_decides_counts_while_what_it_said_is_fresh() {
    let decode = Half::new(2, 12);
    for (age, desired) in [(0.0, 6), (120.0, 6), (120.1, 12)] {
        let mut fleet = Fleet::new(vec![decode.spec("decode")], Vec::new());
        let side = Side { at: at(500.0 - age), wanted: 6, granted: 3 };
        fleet.set_partners(vec![Partner { name: "prefill".to_owned(), coordination: role("prefill"), side }]);
        let targets = BTreeMap::from([("decode".to_owned(), decode.seen())]);
        let decision = fleet.step(at(500.0), &Observation { targets, plan: None });
        assert_eq!(decision.targets["decode"].desired, desired, "{age} s old");
        assert_eq!(fleet.side("decode"), Some(Side { at: at(500.0), wanted: 12, granted: 12 }));
    }
}

#[test]
fn a_side_that_was_not_seen_this_time_says_what_it_said_last() {
    let (prefill, decode) = (Half { max: 3, ..Half::new(3, 6) }, Half::new(2, 12));
    let mut fleet = Fleet::new(vec![prefill.spec("prefill"), decode.spec("decode")], Vec::new());
    let one =
        |name: &str, half: &Half| Observation { targets: BTreeMap::from([(name.to_owned(), half.seen())]), plan: None };
    fleet.step(at(500.0), &one("prefill", &prefill));
    let state = fleet.state();
    assert_eq!(fleet.step(at(505.0), &one("decode", &decode)).targets["decode"].desired, 6);
    assert!(fleet.restore(state));
    assert_eq!(fleet.step(at(505.0), &one("decode", &decode)).targets["decode"].desired, 6, "also after a restart");
}

#[derive(Debug, Clone)]
struct Scene {
    halves: Vec<Half>,
    pool: Option<(u32, u32)>,
}

prop_compose! {
    fn half()(min in 0_u32..5, span in 1_u32..20, current in 0_u32..20, stuck in 0_u32..6, wanted in 0_u32..40) -> Half {
        Half { min, max: min + span, current, stuck: stuck.min(current), wanted }
    }
}

fn scene() -> impl proptest::strategy::Strategy<Value = Scene> {
    let pool = proptest::option::of((0_u32..40, 1_u32..3));
    (proptest::collection::vec(half(), 2..4), pool).prop_map(|(halves, pool)| Scene { halves, pool })
}

const ROLES: [&str; 3] = ["prefill", "decode", "encode"];

fn decide(scene: &Scene, coordinated: bool, reversed: bool) -> BTreeMap<String, u32> {
    let named = scene.halves.iter().zip(ROLES);
    let mut specs: Vec<Spec> = named
        .clone()
        .map(|(half, name)| Spec { coordination: coordinated.then(|| role(name)), ..half.spec(name) })
        .collect();
    if reversed {
        specs.reverse();
    }
    let pools = scene.pool.map_or_else(Vec::new, |(units, each)| {
        pool(units, &named.clone().map(|(_, name)| (name, each)).collect::<Vec<_>>())
    });
    let targets = named.map(|(half, name)| (name.to_owned(), half.seen())).collect();
    let decision = Fleet::new(specs, pools).step(at(500.0), &Observation { targets, plan: None });
    decision.targets.into_iter().map(|(name, target)| (name, target.desired)).collect()
}

proptest! {
    #[test]
    fn coordination_never_takes_away_never_adds_and_keeps_the_bounds(scene in scene()) {
        let alone = Scene { pool: None, ..scene.clone() };
        for scene in [&alone, &scene] {
            let (free, held) = (decide(scene, false, false), decide(scene, true, false));
            for (half, name) in scene.halves.iter().zip(ROLES) {
                let desired = held[name];
                if scene.pool.is_none() {
                    prop_assert!(desired <= free[name], "{name}: {desired}, {free:?}");
                }
                prop_assert!(desired >= free[name].min(half.current), "{name}: {desired}, {free:?}");
                let paused = half.current == 0 && half.min > 0;
                prop_assert!(paused || (half.min..=half.max).contains(&desired), "{name}: {desired}");
            }
        }
        prop_assert_eq!(decide(&scene, true, false), decide(&scene, true, true), "the order of names");
    }

    /// Whoever is limited by nothing of its own is limited by nobody once the others are not.
    #[test]
    fn nobody_is_held_where_nobody_is_limited(scene in scene()) {
        let halves = scene.halves.iter().map(|half| Half { max: 1000, stuck: 0, ..*half }).collect();
        let scene = Scene { halves, pool: None };
        prop_assert_eq!(decide(&scene, true, false), decide(&scene, false, false));
    }
}
