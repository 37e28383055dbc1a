//! Any looks give finite plans within bounds, and the same looks the same plans.

#![allow(clippy::unwrap_used, reason = "all of it is test code")]

mod common;

use autoscaler_planning::{Outcome, Plan, Planning, Seen, Settings, Sized, TargetSeen};
use common::{objective, profile, settings, short_profile, target};
use proptest::collection::vec;
use proptest::prelude::*;

/// One look's numbers.
#[derive(Debug, Clone)]
struct Look {
    passed: f64,
    arrivals: Option<f64>,
    input: Option<f64>,
    backlog: f64,
    sizes: Vec<[f64; 4]>,
    outcomes: Vec<[f64; 3]>,
    counts: Vec<(u32, u32, f64)>,
    planned: f64,
}

fn any() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 0.0_f64..1000.0,
        1 => -1e3_f64..0.0,
        1 => proptest::num::f64::ANY,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(f64::MAX),
        1 => Just(0.0),
    ]
}

fn look() -> impl Strategy<Value = Look> {
    let passed = prop_oneof![8 => 0.0_f64..60.0, 1 => any(), 1 => Just(0.0)];
    let planned = prop_oneof![4 => Just(0.0), 1 => any()];
    let sizes = vec([any(), any(), any(), any()], 0..4);
    let outcomes = vec([any(), any(), any()], 0..4);
    let counts = vec((any_count(), any_count(), any()), 0..4);
    (passed, proptest::option::of(any()), proptest::option::of(any()), any(), sizes, outcomes, counts, planned)
        .prop_map(|(passed, arrivals, input, backlog, sizes, outcomes, counts, planned)| Look {
            passed,
            arrivals,
            input,
            backlog,
            sizes,
            outcomes,
            counts,
            planned,
        })
}

fn any_count() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0_u32..50, 1 => Just(u32::MAX), 1 => proptest::num::u32::ANY]
}

fn two() -> Settings {
    let mut targets = vec![target("small", 1.0, short_profile(2.0, 2000.0)), target("large", 3.0, profile(8.0))];
    (targets[0].min, targets[0].max, targets[1].min, targets[1].max) = (0, 7, 0, 5);
    Settings::new(objective(), targets)
}

fn play(settings: Settings, looks: &[Look]) -> Vec<Option<Plan>> {
    let mut planning = Planning::new(settings).unwrap();
    let mut now = 0.0;
    let each = looks.iter().map(|look| {
        now += look.passed;
        let sizes = look.sizes.iter().map(|[arrived, input, output, count]| Sized {
            arrived: *arrived,
            input: *input,
            output: *output,
            count: *count,
        });
        let outcomes = look.outcomes.iter().map(|[arrived, ended, kept]| Outcome {
            arrived: *arrived,
            ended: *ended,
            kept: *kept,
        });
        let (sizes, outcomes): (Vec<_>, Vec<_>) = (sizes.collect(), outcomes.collect());
        let targets: Vec<TargetSeen<'_>> = look
            .counts
            .iter()
            .map(|(wanted, ready, started)| TargetSeen {
                wanted: *wanted,
                ready: *ready,
                started: std::slice::from_ref(started),
            })
            .collect();
        planning.observe(&Seen {
            now,
            arrivals: look.arrivals,
            input_tokens: look.input,
            backlog_tokens: look.backlog,
            sizes: &sizes,
            outcomes: &outcomes,
            targets: &targets,
        });
        if !now.is_finite() {
            now = 0.0;
        }
        planning.plan(now + look.planned)
    });
    let plans = each.collect();
    let text = serde_json::to_string(&planning.state()).unwrap();
    let state = serde_json::from_str(&text).unwrap();
    let settings = planning.settings().clone();
    Planning::new(settings).unwrap().restore(state, now).unwrap();
    plans
}

/// Everything of a plan is a number, and every count is within its bounds.
fn sound(settings: &Settings, plan: &Plan) {
    assert_eq!(plan.replicas.len(), settings.targets.len());
    for target in &settings.targets {
        assert!((target.min..=target.max).contains(&plan.replicas[&target.name]), "{plan:?}");
    }
    let detail = &plan.detail;
    let numbers =
        [detail.now, detail.level, detail.horizon, detail.allowed, detail.expected, detail.scale, detail.cost];
    assert!(numbers.into_iter().all(|number| number.is_finite() && number >= 0.0), "{plan:?}");
    assert!((0.0..=1.0).contains(&detail.expected) && plan.made_at.is_finite(), "{plan:?}");
    assert!(detail.attainment.is_none_or(|share| (0.0..=1.0).contains(&share)), "{plan:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_looks_give_sound_plans_and_the_same_ones_again(looks in vec(look(), 1..40), several in proptest::bool::ANY) {
        let settings = if several { two() } else { settings() };
        let plans = play(settings.clone(), &looks);
        plans.iter().flatten().for_each(|plan| sound(&settings, plan));
        prop_assert_eq!(plans, play(settings, &looks));
    }

    #[test]
    fn what_no_number_said_is_over_an_hour_later(looks in vec(look(), 1..10)) {
        let settings = settings();
        let mut planning = Planning::new(settings.clone()).unwrap();
        for look in &looks {
            planning.observe(&Seen {
                now: 1.0, arrivals: look.arrivals.filter(|arrivals| arrivals.is_nan() || *arrivals >= 1e6), backlog_tokens: look.backlog,
                ..Seen::default()
            });
        }
        let mut last = None;
        for step in 1..720 {
            let now = 1.0 + f64::from(step) * 5.0;
            planning.observe(&Seen { now, arrivals: Some(5.0), ..Seen::default() });
            last = planning.plan(now);
        }
        let plan = last.unwrap();
        sound(&settings, &plan);
        prop_assert!(plan.replicas["one"] < 20, "{:?}", plan);
    }
}

#[test]
fn a_look_of_the_past_is_left_out() {
    let mut world = common::World::new(settings());
    let before = world.steady(Some(10.0), 600.0).unwrap();
    let state = world.planning.state();
    world.planning.observe(&Seen { now: 10.0, arrivals: Some(1e6), ..Seen::default() });
    world.planning.observe(&Seen { now: f64::NAN, arrivals: Some(1e6), ..Seen::default() });
    assert_eq!(world.planning.state(), state);
    let again = world.planning.plan(world.now).unwrap();
    assert_eq!(again.replicas, before.replicas);
}
