//! What holds in every run: requests are conserved, nothing is free, time goes forwards, and the formulas are met.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

use autoscaler_core::spec::Bounds;
use engine_model::EngineSpec;
use proptest::prelude::*;
use simulator::demand::Demand;
use simulator::oracle;
use simulator::policy::{Fixed, Named, POLICIES, Schedule, Terms};
use simulator::world::{Faults, Fleet, Group, Outcome, Policy, Router, Seen, Setup, Timeline, run, run_fleet};
use workload::Arrival;
use workload::score::Slo;
use workload::synth;

fn setup(length: f64) -> Setup {
    let mut setup = Setup::new(EngineSpec::builtin("l4-8b").unwrap(), Slo::default(), 60.0, 7, length);
    setup.warmup = 0.0;
    setup.group.max = 8;
    setup
}

fn arrival(at: f64, input: u32, output: u32) -> Arrival {
    Arrival { at, input_tokens: input, output_tokens: output, prefix_hit_tokens: 0 }
}

fn load(text: &str) -> Vec<Arrival> {
    synth::parse(text, Some(600.0), 3).unwrap().arrivals().collect()
}

fn all(outcome: &Outcome) -> u64 {
    let fates = outcome.fates;
    fates.kept + fates.late + fates.rejected + fates.aborted + fates.crashed + fates.unfinished
}

/// Wants what it is told, in turn.
struct Erratic(Vec<u32>, usize);

impl Policy for Erratic {
    fn decide(&mut self, _seen: &Seen<'_>) -> u32 {
        self.1 += 1;
        self.0[self.1 % self.0.len()]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_request_ends_in_exactly_one_state(
        requests in proptest::collection::vec((0.0_f64..300.0, 1_u32..30_000, 1_u32..400), 0..200),
        counts in proptest::collection::vec(0_u32..7, 1..20),
        crashes in 0.0_f64..40.0, stragglers in 0.0_f64..1.0, loss in 0.0_f64..1.0, drain in 0.0_f64..60.0,
        seed in 0_u64..1000, router in 0_usize..3,
    ) {
        let mut arrivals: Vec<Arrival> = requests.into_iter().map(|(at, input, output)| arrival(at, input, output)).collect();
        arrivals.sort_by(|a, b| a.at.total_cmp(&b.at));
        let mut setup = setup(300.0);
        setup.group.min = 0;
        setup.seed = seed;
        setup.drain = drain;
        setup.router = [Router::LeastLoaded, Router::Random, Router::PrefixAware][router];
        setup.faults = Faults { crashes_per_hour: crashes, stragglers, slowdown: 3.0, scrape_loss: loss };
        let mut timeline = Timeline::default();
        let outcome = run(&setup, &arrivals, &mut Erratic(counts, 0), Some(&mut timeline)).unwrap();
        prop_assert_eq!(outcome.fates.requests, arrivals.len() as u64);
        prop_assert_eq!(all(&outcome), outcome.fates.requests, "{:?}", outcome.fates);
        prop_assert!(outcome.gpu_hours >= 0.0 && outcome.peak_replicas <= 8 + outcome.created);
        prop_assert!(timeline.points.iter().all(|point| (0.0..=1.0).contains(&point.kv)));
        prop_assert!(timeline.points.windows(2).all(|pair| pair[0].at < pair[1].at));
    }
}

#[test]
fn an_idle_replica_answers_as_fast_as_the_formula_says() {
    let setup = setup(60.0);
    let outcome = run(&setup, &[arrival(1.0, 512, 2)], &mut Fixed(1), None).unwrap();
    let engine = &setup.group.engine;
    let linear = engine.overhead_ms + engine.weights_ms.hypot(engine.compute_ms_per_token * 512.0);
    let attention = engine.attention_ns_per_token2 * 512.0 * 512.0 / 2.0 / 1e6;
    let expected = (linear + attention) / 1e3;
    assert!((outcome.ttft.max / expected - 1.0).abs() < 2e-3, "{} and {expected}", outcome.ttft.max);
}

#[test]
fn a_constant_count_costs_its_time_and_no_more() {
    let arrivals = load("poisson:rate=3,input=500,output=60");
    let mut setup = setup(600.0);
    setup.warmup = 100.0;
    setup.group.engine.gpus = 4;
    setup.group.initial = 3;
    setup.group.min = 3;
    let outcome = run(&setup, &arrivals, &mut Fixed(3), None).unwrap();
    assert!((outcome.gpu_hours - 3.0 * 500.0 * 4.0 / 3600.0).abs() < 1e-9, "{}", outcome.gpu_hours);
    assert_eq!((outcome.reversals_per_hour, outcome.created), (0.0, 3));
    assert!(outcome.fates.requests < arrivals.len() as u64, "the warm-up is not scored");
}

fn terms(setup: &Setup, arrivals: &[Arrival]) -> Terms {
    let demand = Demand::of(&setup.group.engine, setup.slo, arrivals, setup.length, 10.0, false).unwrap();
    let bounds = Bounds { min: setup.group.min, max: setup.group.max };
    Terms { engine: setup.group.engine.clone(), slo: setup.slo, bounds, capacity: demand.capacity }
}

#[test]
fn without_load_every_policy_goes_down_to_the_minimum() {
    let terms = terms(&setup(600.0), &load("poisson:rate=3,input=500,output=60"));
    for named in POLICIES {
        let mut setup = setup(4.0 * 3600.0);
        setup.group.initial = 4;
        let mut policy = named.build(&terms, 1.0).unwrap();
        let mut timeline = Timeline::default();
        run(&setup, &[], policy.as_mut(), Some(&mut timeline)).unwrap();
        assert_eq!(timeline.points.last().map(|point| point.wanted), Some(1), "{}", named.name);
    }
}

#[test]
fn under_more_load_than_the_replicas_carry_every_policy_grows() {
    let arrivals = load("poisson:rate=9,input=700,output=110");
    for named in POLICIES {
        let mut setup = setup(600.0);
        setup.group.initial = 1;
        setup.group.max = 12;
        let mut policy = named.build(&terms(&setup, &arrivals), 1.0).unwrap();
        let outcome = run(&setup, &arrivals, policy.as_mut(), None).unwrap();
        assert!(outcome.peak_replicas >= 3, "{}: {outcome:?}", named.name);
    }
}

#[test]
fn a_scale_down_cuts_nobody_who_has_the_time_to_end() {
    let arrivals = load("burst:base=1,peak=12,every=120s,for=30s,input=500,output=200");
    let mut setup = setup(600.0);
    setup.group.initial = 2;
    let mut policy = Named::find("kpa").unwrap().build(&terms(&setup, &arrivals), 1.0).unwrap();
    let outcome = run(&setup, &arrivals, policy.as_mut(), None).unwrap();
    assert_eq!((outcome.fates.aborted, outcome.fates.unfinished), (0, 0));
}

#[test]
fn a_crash_loses_what_has_begun_to_answer_and_nothing_else() {
    let arrivals = load("poisson:rate=4,input=500,output=100");
    let mut setup = setup(600.0);
    setup.group.initial = 4;
    setup.group.min = 4;
    setup.faults.crashes_per_hour = 20.0;
    let outcome = run(&setup, &arrivals, &mut Fixed(4), None).unwrap();
    assert!(outcome.created > 4 && outcome.fates.crashed > 0, "{outcome:?}");
    assert!(outcome.fates.crashed < outcome.fates.requests / 20 && outcome.fates.unfinished == 0, "{outcome:?}");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() {
    let arrivals = load("poisson:rate=6,input=700,output=110");
    let attempt = |seed| {
        let mut setup = setup(600.0);
        setup.seed = seed;
        setup.group.initial = 2;
        let mut policy = Named::find("apa").unwrap().build(&terms(&setup, &arrivals), 1.0).unwrap();
        Outcome { wall: 0.0, ..run(&setup, &arrivals, policy.as_mut(), None).unwrap() }
    };
    assert_eq!(attempt(1), attempt(1));
    assert_ne!(attempt(1), attempt(2));
}

#[test]
fn the_schedule_starts_early_and_keeps_what_is_needed_again_soon() {
    let mut setup = setup(1000.0);
    setup.group.cold_start.median = 60.0;
    let capacity = terms(&setup, &load("poisson:rate=3,input=500,output=60")).capacity;
    let mix = engine_model::Mix { computed: 1.0, input: 1.0, output: 1.0 };
    let mut work = vec![0.5; 100];
    // A second replica is needed at 200 s for 10 s, again 50 s later, and once more after a gap of 300 s.
    for at in [20, 26, 57] {
        work[at] = 1.5;
    }
    let demand = Demand { step: 10.0, work, capacity, mix };
    let steps = oracle::schedule(&demand, 1.0, 0, &setup);
    assert_eq!(steps, [(0.0, 1), (140.0, 2), (270.0, 1), (510.0, 2), (580.0, 1), (1000.0, 0)]);
    assert_eq!(Schedule::new(steps).first(), 1);
}

#[test]
fn twice_the_load_never_costs_the_oracle_less() {
    for text in ["poisson:rate=3,input=700,output=110", "burst:base=2,peak=8,every=200s,for=60s,input=700,output=110"] {
        let arrivals = load(text);
        let mut twice: Vec<Arrival> = arrivals.iter().flat_map(|one| [*one, *one]).collect();
        twice.sort_by(|a, b| a.at.total_cmp(&b.at));
        let cost = |arrivals: &[Arrival]| {
            let mut setup = setup(600.0);
            setup.group.max = 20;
            let demand = Demand::of(&setup.group.engine, setup.slo, arrivals, 600.0, 10.0, false).unwrap();
            let constant = oracle::best_constant(&setup, arrivals, 20, 0.95).unwrap();
            let found = oracle::oracle(&setup, arrivals, &demand, 0.95, &constant).unwrap();
            assert!(found.outcome.gpu_hours <= constant.outcome.gpu_hours);
            assert!(found.outcome.fates.attainment() >= 0.95, "{text}: {found:?}");
            found.outcome.gpu_hours
        };
        let (one, two) = (cost(&arrivals), cost(&twice));
        assert!(two > one * 1.2, "{text}: {one} and {two}");
    }
}

#[test]
fn a_larger_group_of_a_model_gets_more_of_its_requests() {
    let arrivals = load("poisson:rate=8,input=500,output=60");
    let mut setup = setup(600.0);
    setup.group.initial = 2;
    setup.group.min = 2;
    let mut other = Group::new(EngineSpec::builtin("a100-8b").unwrap(), 60.0);
    (other.initial, other.min, other.weight) = (2, 2, 6.0);
    setup.others = vec![other];
    let tokens = |setup: &Setup| {
        let mut counts = [0.0; 2];
        let mut policies = Constant(vec![2, 2], &mut counts);
        let outcome = run_fleet(setup, &arrivals, &[], &mut policies, &mut []).unwrap();
        assert_eq!(all(&outcome), outcome.fates.requests);
        assert_eq!(outcome.groups.len(), 2);
        counts[1] / counts[0]
    };
    let by_weight = tokens(&setup);
    setup.others[0].weight = 1.0;
    assert!(by_weight > 2.0 * tokens(&setup), "{by_weight}");
}

/// Constant counts; sees how many prompt tokens each group has computed.
struct Constant<'a>(Vec<u32>, &'a mut [f64; 2]);

impl Fleet for Constant<'_> {
    fn interval(&self) -> f64 {
        5.0
    }

    fn samples_every(&self) -> Option<f64> {
        None
    }

    fn scrapes_every(&self) -> Option<f64> {
        None
    }

    fn sample(&mut self, _seen: &[Seen<'_>]) {}

    fn decide(&mut self, seen: &[Seen<'_>]) -> Vec<u32> {
        for (count, seen) in self.1.iter_mut().zip(seen) {
            *count = seen.pages().map(|page| page.prompt_tokens).sum();
        }
        self.0.clone()
    }

    fn why(&self, _group: usize) -> String {
        String::new()
    }
}

#[test]
fn a_models_requests_are_served_by_its_own_groups_only() {
    let arrivals = load("poisson:rate=4,input=500,output=60");
    // Every third is the second model's, which has no replica.
    let models: Vec<u16> = (0..arrivals.len()).map(|at| u16::from(at % 3 == 0)).collect();
    let mut setup = setup(600.0);
    setup.group.initial = 3;
    let mut other = Group::new(EngineSpec::builtin("l4-8b").unwrap(), 60.0);
    (other.model, other.min, other.initial) = (1, 0, 0);
    setup.others = vec![other];
    let mut counts = [0.0; 2];
    let outcome = run_fleet(&setup, &arrivals, &models, &mut Constant(vec![3, 0], &mut counts), &mut []).unwrap();
    let second = models.iter().filter(|model| **model == 1).count() as u64;
    assert_eq!(outcome.models[1].unfinished, second);
    assert_eq!((outcome.models[0].unfinished, outcome.fates.requests), (0, arrivals.len() as u64));
}

#[test]
fn what_runs_when_the_trace_ends_has_its_time() {
    let arrivals = load("poisson:rate=3,input=500,output=200");
    for seed in 0..6 {
        let mut setup = setup(600.0);
        setup.seed = seed;
        (setup.group.initial, setup.group.min) = (4, 4);
        let outcome = run(&setup, &arrivals, &mut Fixed(4), None).unwrap();
        assert_eq!((outcome.fates.unfinished, all(&outcome)), (0, arrivals.len() as u64), "seed {seed}");
    }
}

#[test]
fn a_pool_bounds_the_beginning_too() {
    let arrivals = load("poisson:rate=3,input=500,output=60");
    let mut setup = setup(600.0);
    setup.pool = Some(3);
    setup.group.initial = 4;
    let mut other = Group::new(EngineSpec::builtin("l4-8b").unwrap(), 60.0);
    other.initial = 4;
    setup.others = vec![other];
    let mut counts = [0.0; 2];
    let outcome = run_fleet(&setup, &arrivals, &[], &mut Constant(vec![4, 4], &mut counts), &mut []).unwrap();
    assert_eq!(outcome.peak_replicas, 3);
    assert!(outcome.groups.iter().all(|group| group.gpu_hours > 0.0), "both have a share: {outcome:?}");
}

#[test]
fn without_any_metrics_ours_hold_what_runs() {
    let arrivals = load("poisson:rate=5,input=700,output=110");
    // Those that only read metrics; a plan knows what arrives from the router.
    for named in ["hpa-kv", "hpa-waiting", "kpa", "apa"].into_iter().filter_map(Named::find) {
        let mut setup = setup(600.0);
        setup.group.initial = 4;
        setup.faults.scrape_loss = 1.0;
        let mut policy = named.build(&terms(&setup, &arrivals), 1.0).unwrap();
        let mut timeline = Timeline::default();
        run(&setup, &arrivals, policy.as_mut(), Some(&mut timeline)).unwrap();
        assert!(timeline.points.iter().all(|point| point.wanted == 4), "{}", named.name);
    }
}

#[test]
fn a_router_by_size_sends_long_prompts_where_they_are_meant_to_go_while_that_serves() {
    let long = load("poisson:rate=1,input=6000,output=60,cv=0");
    let mut arrivals = load("poisson:rate=2,input=400,output=60,cv=0");
    arrivals.extend(&long);
    arrivals.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut setup = setup(600.0);
    (setup.group.initial, setup.group.min, setup.group.longest) = (3, 0, 2000);
    let other = Group { initial: 3, min: 0, ..Group::new(EngineSpec::builtin("a100-8b").unwrap(), 60.0) };
    setup.others = vec![other];
    let computed = |large: u32| {
        let mut setup = setup.clone();
        setup.others[0].initial = large;
        let mut counts = [0.0; 2];
        let mut policies = Constant(vec![3, large], &mut counts);
        let outcome = run_fleet(&setup, &arrivals, &[], &mut policies, &mut []).unwrap();
        assert_eq!(outcome.fates.unfinished, 0);
        counts
    };
    let short = (arrivals.len() - long.len()) as f64 * 400.0;
    let both = computed(3);
    assert!(both[0] > 0.0 && both[0] <= short, "the small type computes short prompts alone: {both:?} of {short}");
    assert!(computed(0)[0] > short, "where nothing else serves, it serves all");
}
