//! What other autoscalers are known to get wrong, asked of the plan: no traffic, no change, no room, no metrics, hardly any load.

#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use autoscaler_core::spec::Bounds;
use engine_model::EngineSpec;
use simulator::demand::Demand;
use simulator::policy::{Named, Terms};
use simulator::world::{Outcome, Setup, Timeline, run};
use workload::Arrival;
use workload::score::Slo;
use workload::synth;

const STARTUP: f64 = 60.0;
const CHAT: &str = "input=300,output=30";
const PLANNED: [&str; 2] = ["hybrid", "optimizer"];

fn setup(length: f64) -> Setup {
    let mut setup = Setup::new(EngineSpec::builtin("a100-8b").unwrap(), Slo::default(), STARTUP, 7, length);
    setup.warmup = 0.0;
    setup.group.max = 12;
    setup
}

fn load(text: &str, length: f64) -> Vec<Arrival> {
    synth::parse(&format!("{text},{CHAT}"), Some(length), 3).unwrap().arrivals().collect()
}

/// One load after another.
fn then(mut first: Vec<Arrival>, at: f64, second: Vec<Arrival>) -> Vec<Arrival> {
    first.extend(second.into_iter().map(|arrival| Arrival { at: arrival.at + at, ..arrival }));
    first
}

fn play(name: &str, setup: &Setup, arrivals: &[Arrival]) -> (Outcome, Timeline) {
    // Terms are those of a chat, whatever the load: nobody knows it beforehand.
    let typical = load("poisson:rate=2", 100.0);
    let demand = Demand::of(&setup.group.engine, setup.slo, &typical, 100.0, 10.0, false).unwrap();
    let bounds = Bounds { min: setup.group.min, max: setup.group.max };
    let engine = setup.group.engine.clone();
    let terms = Terms { engine, slo: setup.slo, bounds, capacity: demand.capacity };
    let mut policy = Named::find(name).unwrap().build(&terms, 1.0).unwrap();
    let mut timeline = Timeline::default();
    let outcome = run(setup, arrivals, policy.as_mut(), Some(&mut timeline)).unwrap();
    (outcome, timeline)
}

/// Replicas wanted at a time.
fn wanted(timeline: &Timeline, at: f64) -> u32 {
    timeline.points.iter().rev().find(|point| point.at <= at).map_or(0, |point| point.wanted)
}

/// How often the direction of change turned, whatever time lay between.
fn turns(timeline: &Timeline) -> usize {
    let ups: Vec<bool> = timeline.changes.iter().map(|change| change.to > change.from).collect();
    ups.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

#[test]
fn without_traffic_it_goes_down_to_the_minimum_and_stays_there() {
    for name in PLANNED {
        let mut setup = setup(7200.0);
        setup.group.initial = 6;
        let (_, timeline) = play(name, &setup, &[]);
        assert_eq!(wanted(&timeline, 7200.0), 1, "{name}");
        assert_eq!(turns(&timeline), 0, "{name}: {:?}", timeline.changes);
    }
}

#[test]
fn a_constant_load_over_a_day_does_not_make_it_flap() {
    for rate in [0.5, 4.0] {
        let length = 86_400.0 / 2.0;
        let arrivals = load(&format!("poisson:rate={rate}"), length);
        let (outcome, timeline) = play("hybrid", &setup(length), &arrivals);
        assert!(turns(&timeline) <= 6, "{} turns at {rate}/s: {:?}", turns(&timeline), timeline.changes);
        assert!(outcome.fates.attainment() >= 0.98, "{outcome:?}");
    }
}

#[test]
fn a_request_a_minute_stays_at_one_replica() {
    let arrivals = load("poisson:rate=0.0167", 6.0 * 3600.0);
    for name in PLANNED {
        let (_, timeline) = play(name, &setup(6.0 * 3600.0), &arrivals);
        assert!(timeline.changes.is_empty(), "{name}: {:?}", timeline.changes);
    }
}

#[test]
fn where_the_pool_has_no_room_it_neither_locks_up_nor_stays_when_load_is_gone() {
    for name in PLANNED {
        let mut setup = setup(3.0 * 3600.0);
        setup.pool = Some(2);
        let arrivals = load("poisson:rate=60", 1200.0);
        let (outcome, timeline) = play(name, &setup, &arrivals);
        assert!(timeline.points.iter().any(|point| point.wanted > 2), "{name} asks for more than there is");
        assert!(outcome.peak_replicas <= 2, "{name}: {outcome:?}");
        assert_eq!(wanted(&timeline, setup.length), 1, "{name}");
    }
}

#[test]
fn a_load_that_falls_is_followed_down_within_a_quarter_of_an_hour() {
    // An hour of load, and then a tenth of it.
    let arrivals = then(load("poisson:rate=40", 3600.0), 3600.0, load("poisson:rate=4", 3600.0));
    for name in PLANNED {
        let (_, timeline) = play(name, &setup(7200.0), &arrivals);
        let (high, low) = (wanted(&timeline, 3600.0), wanted(&timeline, 4500.0));
        assert!(high >= 2, "{name}: {high}");
        assert!(low * 2 <= high, "{name}: {high} then {low}: {:?}", timeline.changes);
    }
}

#[test]
fn an_outage_of_pages_at_the_peak_lets_nothing_go() {
    let arrivals = load("poisson:rate=40", 1800.0);
    for name in PLANNED {
        let mut setup = setup(1800.0);
        setup.group.initial = 5;
        setup.faults.scrape_loss = 1.0;
        let (seen, _) = play(name, &Setup { faults: simulator::world::Faults::default(), ..setup.clone() }, &arrivals);
        let (blind, timeline) = play(name, &setup, &arrivals);
        // The router's counts are there still, so that the plan is.
        assert!(blind.fates.attainment() >= seen.fates.attainment() - 0.01, "{name}: {blind:?} and {seen:?}");
        assert!(wanted(&timeline, 1800.0) >= 2, "{name}");
    }
}
