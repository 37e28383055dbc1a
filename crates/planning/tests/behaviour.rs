//! What a planning does with load, with gaps, with events and with start-ups.

#![allow(clippy::unwrap_used, reason = "all of it is test code")]

mod common;

use autoscaler_planning::{Knowledge, Objective, Outcome, Planning, Seen, Settings, State, TargetSeen};
use common::{TICK, World, engine, objective, profile, settings, target, total};
use engine_model::EngineSpec;
use forecast::Event;

const HOUR: f64 = 3600.0;

#[test]
fn nothing_is_planned_before_arrivals_are_known() {
    let mut world = World::new(settings());
    assert_eq!(world.steady(None, 600.0), None);
    assert!(world.steady(Some(1.0), 60.0).is_some());
}

#[test]
fn a_gap_is_not_zero_load() {
    let mut world = World::new(settings());
    let before = world.steady(Some(10.0), HOUR).unwrap();
    let known = world.now;
    assert!(total(&before) >= 5);
    for _ in 0..720 {
        let plan = world.look(None).unwrap();
        assert!(total(&plan) >= total(&before), "{plan:?}");
        assert!((plan.made_at - known).abs() < 1e-9, "a plan is as old as what it rests on: {plan:?}");
    }
    let after = world.steady(Some(10.0), 60.0).unwrap();
    assert!(total(&after) >= total(&before) && after.made_at > known);
}

#[test]
fn the_first_look_after_a_gap_weighs_no_more_than_another() {
    let mut world = World::new(settings());
    let before = world.steady(Some(10.0), HOUR).unwrap();
    world.steady(None, HOUR);
    // Five seconds without a request say little of an hour.
    let lull = world.look(Some(0.0)).unwrap();
    assert!(lull.detail.level >= before.detail.level * 0.9, "{} after {}", lull.detail.level, before.detail.level);
}

#[test]
fn a_load_that_rises_as_it_is_first_seen_is_asked_for_ahead_and_given_back_when_it_stays_away() {
    let asked = |forecast: bool| {
        let mut settings = settings();
        settings.parts.forecast = forecast;
        let mut world = World::new(settings);
        let risen: Vec<u32> =
            (1..=12).filter_map(|look| world.look(Some(f64::from(look) * TICK))).map(|plan| total(&plan)).collect();
        (risen.last().copied().unwrap(), world)
    };
    let ((carried, mut world), (mean, _)) = (asked(true), asked(false));
    assert!(
        carried >= 2 * mean,
        "{carried} for a rise from 1 to 12 requests a second in a minute, {mean} for its mean"
    );
    // It stands at 12 from here on: what a rise alone spoke for is let go after a start-up, long before other plans would be.
    let after = world.steady(Some(12.0), 240.0).unwrap();
    let steady = World::new(settings()).steady(Some(12.0), 300.0).unwrap();
    assert!(total(&after) <= total(&steady) + 1, "{} where {} are enough", total(&after), total(&steady));
}

#[test]
fn the_first_minute_of_a_load_that_stands_asks_for_no_more_than_the_next() {
    for rate in [0.3, 2.0, 10.0, 40.0] {
        let mut world = World::new(settings());
        let first = (0..12).filter_map(|_| world.look(Some(rate * TICK))).map(|plan| total(&plan)).max().unwrap();
        let next = total(&world.steady(Some(rate), 600.0).unwrap());
        assert!(first <= next + 1, "{first}, then {next} at {rate}/s");
    }
}

#[test]
fn a_restart_takes_nothing_away() {
    let mut world = World::new(settings());
    let before = world.steady(Some(20.0), HOUR).unwrap();
    let saved = serde_json::to_string(&world.planning.state()).unwrap();
    let mut again = World::new(settings());
    (again.now, again.counts) = (world.now + 30.0, world.counts.clone());
    again.planning.restore(serde_json::from_str(&saved).unwrap(), again.now).unwrap();
    // Nothing arrives for a while: what was asked for before the break stays for as long as it would have.
    let after = again.steady(Some(0.0), 300.0).unwrap();
    assert_eq!(total(&after), total(&before));
}

#[test]
fn zero_load_shrinks_to_the_minimum() {
    for min in [0, 1, 3] {
        let mut settings = settings();
        settings.targets[0].min = min;
        let mut world = World::new(settings);
        assert!(total(&world.steady(Some(10.0), HOUR).unwrap()) >= 5);
        let plan = world.steady(Some(0.0), 12.0 * HOUR).unwrap();
        // Nothing to zero is the core's: the plan keeps one that could serve.
        assert_eq!(total(&plan), min.max(1), "{plan:?}");
        assert!(plan.detail.now.is_finite() && plan.detail.level >= 0.0 && plan.detail.expected.is_finite());
    }
}

#[test]
fn more_load_never_plans_fewer() {
    for part in [true, false] {
        let mut last = 0;
        for rate in [0.0, 0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0] {
            let mut settings = settings();
            settings.parts.quantile = part;
            let count = total(&World::new(settings).steady(Some(rate), HOUR).unwrap());
            assert!(count >= last, "{count} at {rate}/s after {last}");
            last = count;
        }
        assert!(last >= 32, "2/s is the most of a replica: {last}");
    }
}

#[test]
fn a_stricter_share_never_plans_fewer() {
    let counts = [0.8, 0.9, 0.95, 0.99, 0.999].map(|attainment| {
        let settings = Settings { attainment, ..settings() };
        total(&World::new(settings).steady(Some(10.0), HOUR).unwrap())
    });
    assert!(counts.is_sorted() && counts[0] < counts[4], "{counts:?}");
}

#[test]
fn a_looser_slo_never_plans_more_on_an_engine() {
    let count = |ttft: f64, tpot: f64| {
        let objective = Objective { ttft: Some(ttft), tpot: Some(tpot), e2e: None };
        let mut settings = Settings::new(objective, vec![target("one", 1.0, engine())]);
        settings.horizon = Some(60.0);
        total(&World::new(settings).steady(Some(4.0), 900.0).unwrap())
    };
    let counts = [count(8.0, 0.4), count(4.0, 0.2), count(2.0, 0.13), count(1.0, 0.1)];
    assert!(counts.is_sorted(), "{counts:?}");
}

#[test]
fn an_slo_that_an_idle_engine_misses_takes_all_that_there_is_and_ends() {
    let objective = Objective { ttft: Some(0.001), tpot: Some(0.001), e2e: None };
    let settings = Settings::new(objective, vec![target("one", 1.0, engine())]);
    let plan = World::new(settings).steady(Some(2.0), 600.0).unwrap();
    assert_eq!(total(&plan), 100, "{plan:?}");
    assert!(!plan.why["one"].is_empty());
}

#[test]
fn an_event_multiplies_and_starts_a_horizon_early() {
    let mut settings = settings();
    let start = 2.0 * HOUR;
    settings.events = vec![Event { name: "sale".to_owned(), start, end: start + HOUR, factor: 3.0 }];
    let mut world = World::new(settings);
    let before = world.steady(Some(8.0), start - 600.0).unwrap();
    assert_eq!(before.detail.event, None);
    let near = world.steady(Some(8.0), 600.0 - TICK).unwrap();
    assert!(total(&near) >= 2 * total(&before), "{} before, {} near", total(&before), total(&near));
    assert!(near.why["one"].contains("sale"), "{}", near.why["one"]);
    let under = world.steady(Some(24.0), HOUR / 2.0).unwrap();
    assert!(total(&under) >= 2 * total(&before));
}

#[test]
fn measured_startups_change_how_far_is_looked() {
    let mut settings = settings();
    (settings.horizon, settings.startup) = (None, 100.0);
    let mut planning = Planning::new(settings).unwrap();
    assert!((planning.horizon() - 100.0).abs() < 1e-9, "the guess stands before one was measured");
    let started = [300.0, f64::NAN, -5.0, f64::INFINITY, 0.0, 310.0];
    planning.observe(&Seen {
        now: 5.0,
        targets: &[TargetSeen { wanted: 1, ready: 1, started: &started }],
        ..Seen::default()
    });
    assert!((300.0..=310.0).contains(&planning.horizon()), "{}", planning.horizon());
}

#[test]
fn no_plan_takes_away_what_one_asked_for_within_a_startup() {
    let mut world = World::new(settings());
    let horizon = world.planning.horizon();
    let mut told: Vec<(f64, u32)> = Vec::new();
    let rates = [2.0, 30.0, 1.0, 0.0, 50.0, 3.0];
    for step in 0..600 {
        let Some(plan) = world.look(Some(rates[(step / 7) % rates.len()] * TICK)) else { continue };
        told.push((world.now, total(&plan)));
    }
    // A peak's count stays for a start-up after the plan that asked for it.
    let (peak_at, peak) = told.iter().copied().rev().max_by_key(|(_, count)| *count).unwrap();
    let after = told.iter().filter(|(at, _)| *at > peak_at && *at <= peak_at + horizon);
    assert!(after.map(|(_, count)| *count).all(|count| count >= peak));
}

#[test]
fn misses_that_the_model_did_not_foresee_ask_for_more() {
    let grown = |kept: f64| {
        let mut settings = settings();
        settings.startup = 30.0;
        let mut planning = Planning::new(settings).unwrap();
        let mut last = None;
        for step in 1..2000 {
            let now = f64::from(step) * TICK;
            let outcomes = [Outcome { arrived: now - 10.0, ended: 50.0, kept: 50.0 * kept }];
            let targets = [TargetSeen { wanted: 12, ready: 12, started: &[] }];
            let arrivals = Some(10.0 * TICK);
            planning.observe(&Seen { now, arrivals, outcomes: &outcomes, targets: &targets, ..Seen::default() });
            last = planning.plan(now);
        }
        last.unwrap()
    };
    let (good, bad) = (grown(1.0), grown(0.9));
    assert!(total(&bad) > total(&good), "{good:?} and {bad:?}");
    assert!(bad.detail.scale > good.detail.scale && bad.detail.allowed <= good.detail.allowed);
    assert!((bad.detail.attainment.unwrap() - 0.9).abs() < 0.02);
}

#[test]
fn what_waits_is_served_besides() {
    let shown = |backlog_tokens: f64| {
        let mut planning = Planning::new(settings()).unwrap();
        let mut last = None;
        for step in 1..400 {
            let now = f64::from(step) * TICK;
            let targets = [TargetSeen { wanted: 6, ready: 6, started: &[] }];
            planning.observe(&Seen {
                now,
                arrivals: Some(4.0 * TICK),
                backlog_tokens,
                targets: &targets,
                ..Seen::default()
            });
            last = planning.plan(now);
        }
        last.unwrap()
    };
    assert!(total(&shown(3e6)) > total(&shown(0.0)));
}

#[test]
fn a_memory_survives_its_form_and_a_break_lets_nothing_go() {
    for engine in [profile(2.0), Knowledge::Engine(Box::new(EngineSpec::builtin("l4-8b").unwrap()))] {
        let mut settings = Settings::new(objective(), vec![target("one", 1.0, engine)]);
        settings.startup = 60.0;
        let mut world = World::new(settings.clone()).of_sizes(&[(900.0, 150.0), (300.0, 80.0)]);
        let before = world.steady(Some(3.0), 2.0 * HOUR).unwrap();
        let text = serde_json::to_string(&world.planning.state()).unwrap();
        let state: State = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&state).unwrap(), text);
        for pause in [0.0, 300.0, 6.0 * HOUR] {
            let mut again = World::new(settings.clone()).of_sizes(&[(900.0, 150.0), (300.0, 80.0)]);
            again.now = world.now + pause;
            again.counts.clone_from(&world.counts);
            again.planning.restore(state.clone(), again.now).unwrap();
            for _ in 0..120 {
                let Some(plan) = again.look(Some(3.0 * TICK)) else { continue };
                assert!(total(&plan) >= total(&before), "{pause} s later: {plan:?} after {before:?}");
            }
        }
    }
}

#[test]
fn a_memory_of_another_form_is_refused_and_changes_nothing() {
    let mut world = World::new(settings());
    let before = world.steady(Some(5.0), HOUR).unwrap();
    let json = serde_json::to_value(world.planning.state()).unwrap();
    let spoiled = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = json.clone();
        change(&mut json);
        json
    };
    let forms = [
        spoiled(&|json| json["version"] = 99.into()),
        spoiled(&|json| json["startups"] = serde_json::json!([])),
        spoiled(&|json| json["startups"][0]["recent"] = serde_json::json!([1e300, -5.0])),
        spoiled(&|json| json["sizes"]["input"] = (-1.0).into()),
        spoiled(&|json| json["outlook"]["now"]["requests"] = (-1.0).into()),
        spoiled(&|json| json["outlook"]["counts"][0] = serde_json::json!([1.0])),
    ];
    for form in forms {
        let refused = serde_json::from_value::<State>(form.clone());
        if let Ok(state) = refused {
            assert!(world.planning.restore(state, world.now).is_err(), "{form}");
        }
    }
    let after = world.look(Some(5.0 * TICK)).unwrap();
    assert!(total(&after) >= total(&before));
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    let refused = |change: &dyn Fn(&mut Settings), field: &str| {
        let mut settings = settings();
        change(&mut settings);
        let error = Planning::new(settings).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(field), "{field}: {error}");
    };
    refused(&|settings| settings.attainment = 1.0, "attainment");
    refused(&|settings| settings.attainment = f64::NAN, "attainment");
    refused(&|settings| settings.startup = 0.0, "startup");
    refused(&|settings| settings.horizon = Some(f64::NAN), "horizon");
    refused(&|settings| settings.horizon = Some(-1.0), "horizon");
    refused(&|settings| settings.horizon = Some(f64::INFINITY), "horizon");
    refused(&|settings| settings.typical = Some((f64::NAN, 1.0)), "typical");
    refused(&|settings| settings.change_cost = f64::NAN, "changeCost");
    refused(&|settings| settings.boldness = f64::NAN, "boldness");
    refused(&|settings| settings.targets.clear(), "targets");
    refused(&|settings| settings.targets[0].cost = 0.0, "targets.one.cost");
    refused(&|settings| (settings.targets[0].min, settings.targets[0].max) = (3, 2), "targets.one.max");
    refused(&|settings| settings.targets.push(settings.targets[0].clone()), "targets.one");
}
