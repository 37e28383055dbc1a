//! Random specs, observations and sequences of turns, well outside what a sound world would deliver. Must not know
//! what holds for them.

use crate::common::*;
use autoscaler_core::fleet::Plan;
use autoscaler_core::schedule::{Schedule, Schedules};
use autoscaler_core::spec::{
    Apa, Behavior, Bounds, Fallback, Gaps, Hpa, Kpa, Mode, OlderRule, Pause, Planned, Policy, PolicyKind, ScalingRules,
    Select, Source, SourceKind, Strategy, TargetType, Tolerance,
};
use autoscaler_core::window::buckets::Averaging;
use autoscaler_core::{Phase, Pod, Reading, Span, Spec, TargetObservation, Timestamp, Why};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, any, prop_compose, prop_oneof};
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, Strategy as Generator};

/// The keys that observations have values under, and sources ask for.
const KEYS: [&str; 3] = ["load", "queue", "cpu"];

/// A float: mostly sound, sometimes anything.
pub(crate) fn value() -> impl Generator<Value = f64> + Clone {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0, 1e18, 1e308, f64::MAX, f64::MIN_POSITIVE, 0.0];
    prop_oneof![10 => 0.0_f64..200.0, 2 => select(odd.to_vec())]
}

fn reading() -> impl Generator<Value = Reading> + Clone {
    prop_oneof![
        8 => value().prop_map(Reading::Fresh),
        1 => value().prop_map(|value| Reading::Stale { value, age: Span::secs(60) }),
        1 => select(vec![Why::NotRead, Why::NotFinite, Why::Negative, Why::Failed("refused".repeat(200))])
            .prop_map(Reading::Absent),
    ]
}

fn time() -> impl Generator<Value = Timestamp> {
    prop_oneof![8 => (-500_i64..5_000).prop_map(|s| Timestamp(s * 1_000_000)), 1 => any::<i64>().prop_map(Timestamp)]
}

fn amount() -> impl Generator<Value = i64> + Clone {
    prop_oneof![8 => 0_i64..2_000, 1 => select(vec![i64::MIN, -1, 0, i64::MAX])]
}

prop_compose! {
    fn pods(most: usize)(
        shapes in vec(
            (
                select(vec![Phase::Running, Phase::Running, Phase::Running, Phase::Pending, Phase::Failed, Phase::Unknown]),
                select(vec![Some(true), Some(true), Some(true), Some(false), None]),
                proptest::bool::weighted(0.1),
                option::weighted(0.9, time()),
                option::weighted(0.9, time()),
                time(),
                btree_map(select(KEYS.to_vec()), reading(), 0..3),
                option::weighted(0.8, amount()),
                option::weighted(0.9, amount()),
            ),
            0..most,
        ),
    ) -> Vec<Pod> {
        let build = |(index, (phase, ready, deleting, started_at, ready_at, usage_at, metrics, usage, request)): (usize, _)| {
            let metrics: std::collections::BTreeMap<&str, Reading> = metrics;
            Pod {
                phase,
                ready,
                deleting,
                started_at,
                ready_at,
                usage_at,
                metrics: metrics.into_iter().map(|(key, reading)| (key.to_owned(), reading)).collect(),
                usage: Option::<i64>::into_iter(usage).map(|usage| ("cpu".to_owned(), usage)).collect(),
                requests: Option::<i64>::into_iter(request).map(|request| ("cpu".to_owned(), request)).collect(),
                ..pod(&format!("p{index}"))
            }
        };
        shapes.into_iter().enumerate().map(build).collect()
    }
}

prop_compose! {
    pub(crate) fn observation()(
        replicas in prop_oneof![20 => 0_u32..20, 1 => select(vec![u32::MAX, 1_000_000])],
        status_replicas in option::weighted(0.2, 0_u32..20),
        pods in option::weighted(0.8, pods(9)),
        external in btree_map(select(KEYS.to_vec()), vec(reading(), 0..3), 0..3),
        held in option::weighted(0.2, value()),
    ) -> TargetObservation {
        let external = external.into_iter().map(|(key, readings)| (key.to_owned(), readings)).collect();
        TargetObservation { replicas, status_replicas, pods, external, held }
    }
}

fn rules() -> impl Generator<Value = ScalingRules> {
    let policy = (select(vec![PolicyKind::Pods, PolicyKind::Percent]), 1_u32..200, 1_i64..400)
        .prop_map(|(kind, value, period)| Policy { kind, value, period: Span::secs(period) });
    let choice = select(vec![Select::Max, Select::Max, Select::Min, Select::Disabled]);
    (select(vec![0, 0, 30, 300]), choice, vec(policy, 0..3)).prop_map(|(window, select, policies)| ScalingRules {
        stabilization: Span::secs(window),
        select,
        policies,
    })
}

prop_compose! {
    fn kpa_settings()(
        stable in 6_i64..120,
        panic in 1_i64..6,
        threshold in 1.1_f64..4.0,
        up in 1.0_f64..10.0,
        down in 1.0_f64..10.0,
        delay in select(vec![0, 0, 7, 60]),
        activation_scale in 1_u32..4,
        averaging in select(vec![Averaging::Linear, Averaging::WeightedExponential]),
        target_burst_capacity in option::of(select(vec![-1.0, 0.0, 211.0])),
        gaps in select(vec![Gaps::Zero, Gaps::Hold]),
    ) -> Kpa {
        Kpa {
            stable_window: Span::secs(stable),
            panic_window: Span::secs(panic),
            panic_threshold: threshold,
            max_scale_up_rate: up,
            max_scale_down_rate: down,
            scale_down_delay: Span::secs(delay),
            activation_scale,
            averaging,
            target_burst_capacity,
            gaps,
            ..aibrix_kpa()
        }
    }
}

pub(crate) fn strategy() -> BoxedStrategy<Strategy> {
    let older_rule = option::of(Just(OlderRule { factor: 2.0, minimum: 4.0, window: Span::secs(300) }));
    let hpa = older_rule.prop_map(|older_rule| {
        Strategy::Hpa(Hpa { cpu_initialization: Span::secs(300), initial_readiness: Span::secs(30), older_rule })
    });
    let apa = (1_i64..300, 1.0_f64..5.0, 1.0_f64..5.0)
        .prop_map(|(window, up, down)| Apa {
            window: Span::secs(window),
            max_scale_up_rate: up,
            max_scale_down_rate: down,
        })
        .boxed();
    let planned = || Planned { max_age: Span::secs(60) };
    prop_oneof![
        hpa,
        kpa_settings().prop_map(Strategy::Kpa),
        apa.clone().prop_map(Strategy::Apa),
        Just(Strategy::Optimizer(planned())),
        apa.prop_map(move |apa| Strategy::Hybrid(planned(), apa)),
    ]
    .boxed()
}

fn sources() -> impl Generator<Value = Vec<Source>> {
    let kind = select(vec![
        SourceKind::Pods,
        SourceKind::External,
        SourceKind::Object,
        SourceKind::Custom,
        SourceKind::Resource("cpu".to_owned()),
    ]);
    let kind_of_target = select(vec![TargetType::Utilization, TargetType::AverageValue, TargetType::Value]);
    vec((kind, kind_of_target, prop_oneof![0.001_f64..1.0, 1.0_f64..300.0]), 0..4).prop_map(|given| {
        let named = given.into_iter().zip(KEYS);
        named.map(|((kind, target_type, target), key)| source(key, kind, target, target_type)).collect()
    })
}

fn schedules() -> impl Generator<Value = Schedules> {
    let bound = || option::of(0_u32..12);
    option::weighted(0.2, (any::<[bool; 7]>(), 0_u16..100, bound(), bound())).prop_map(|entry| {
        let build = |(days, start, min, max): (_, u16, _, _)| {
            let entry = Schedule { name: "s".to_owned(), days, start, end: start + 30, min, max };
            Schedules::new("Europe/Berlin", vec![entry]).unwrap()
        };
        entry.map(build).unwrap_or_default()
    })
}

prop_compose! {
    pub(crate) fn any_spec()(
        strategy in strategy(),
        sources in sources(),
        (min, span) in (0_u32..5, 1_u32..60),
        schedules in schedules(),
        (up, down) in (0.0_f64..0.4, 0.0_f64..0.4),
        behavior in (rules(), rules()),
        mode in select(vec![Mode::Apply, Mode::Apply, Mode::Apply, Mode::Recommend]),
        fallback in option::weighted(0.2, (0_i64..60, 0_u32..20)),
        activation in option::weighted(0.2, 0.0_f64..50.0),
        pause in (proptest::bool::weighted(0.05), proptest::bool::weighted(0.05), proptest::bool::weighted(0.05)),
        zero_grace in select(vec![0, 0, 30]),
        pending_deadline in select(vec![0, 100, 600]),
    ) -> Spec {
        Spec {
            bounds: Bounds { min, max: min + span },
            schedules,
            tolerance: Tolerance { up, down },
            behavior: Behavior { up: behavior.0, down: behavior.1 },
            mode,
            fallback: fallback.map(|(after, replicas)| Fallback { after: Span::secs(after), replicas }),
            activation,
            pause: Pause { all: pause.0, up: pause.1, down: pause.2 },
            zero_grace: Span::secs(zero_grace),
            pending_deadline: Span::secs(pending_deadline),
            ..spec(strategy, sources)
        }
    }
}

/// One turn: milliseconds since the last, what is seen, the plan, whether to decide, and whether the world has done
/// what was decided before (else the replicas are what the observation says).
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) pause: i64,
    pub(crate) seen: TargetObservation,
    pub(crate) plan: Option<Plan>,
    pub(crate) decides: bool,
    pub(crate) obeys: bool,
}

prop_compose! {
    fn turn()(
        pause in prop_oneof![4 => 0_i64..3_000, 4 => Just(1_000_i64), 1 => 3_000_i64..40_000, 1 => -2_000_i64..0],
        seen in observation(),
        plan in option::weighted(0.5, (0_i64..2_000, 0_u32..30)),
        decides in proptest::bool::weighted(0.8),
        obeys in proptest::bool::weighted(0.8),
    ) -> Turn {
        let plan = plan.map(|(made_at, replicas)| common_plan(made_at, replicas));
        Turn { pause, seen, plan, decides, obeys }
    }
}

fn common_plan(made_at: i64, replicas: u32) -> Plan {
    plan(1_000.0 + made_at as f64, &[(NAME, replicas)])
}

pub(crate) fn turns(most: usize) -> impl Generator<Value = Vec<Turn>> {
    vec(turn(), 1..most)
}
