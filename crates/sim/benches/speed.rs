//! Requests simulated a second on one core, as a multiple of stepping every iteration where that can be said, and how it grows with
//! replicas and with concurrency: `cargo bench -p simulator --bench speed -- [TRACE…]`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use autoscaler_core::spec::Bounds;
use engine_model::{Engine, EngineSpec, Event, Request, Sink, Time};
use simulator::demand::Demand;
use simulator::policy::{Fixed, Named, Terms};
use simulator::world::{Outcome, Setup, run};
use std::path::PathBuf;
use std::time::Instant;
use workload::Arrival;
use workload::score::Slo;
use workload::synth;
use workload::trace::{Trace, Window};

fn main() {
    let traces: Vec<PathBuf> = std::env::args().skip(1).filter(|one| !one.starts_with("--")).map(Into::into).collect();
    for path in &traces {
        let arrivals = Trace::read_all(path, Window::default()).unwrap();
        for engine in ["l4-8b", "a100-70b-tp4"] {
            let (setup, terms) = surroundings(engine, &arrivals);
            let mut policy = Named::find("apa").unwrap().build(&terms, 1.0).unwrap();
            let outcome = run(&setup, &arrivals, policy.as_mut(), None).unwrap();
            say(&format!("{} on {engine}, APA", path.display()), arrivals.len(), &outcome);
        }
    }
    // The same load for each replica, so that only their number grows.
    for replicas in [1_u32, 4, 16, 64] {
        let rate = 1.2 * f64::from(replicas);
        constant(&format!("{replicas} replicas"), replicas, &format!("poisson:rate={rate},input=700,output=110"));
    }
    // One replica and the same tokens a second in more or fewer requests, so that only their concurrency grows.
    for (rate, output) in [(0.25, 400.0), (1.0, 100.0), (4.0, 25.0)] {
        constant(
            &format!("one replica, {rate} requests/s of {output} tokens"),
            1,
            &format!("poisson:rate={rate},input=100,output={output}"),
        );
    }
    jumps();
}

fn surroundings(engine: &str, arrivals: &[Arrival]) -> (Setup, Terms) {
    let engine = EngineSpec::builtin(engine).unwrap();
    let length = arrivals.last().map_or(1.0, |last| last.at.floor() + 1.0);
    let mut setup = Setup::new(engine.clone(), Slo::default(), 120.0, 1, length);
    setup.group.max = 32;
    let demand = Demand::of(&engine, setup.slo, arrivals, length, 10.0, false).unwrap();
    let bounds = Bounds { min: 1, max: 32 };
    (setup, Terms { engine, slo: Slo::default(), bounds, capacity: demand.capacity })
}

fn constant(what: &str, replicas: u32, load: &str) {
    let arrivals: Vec<Arrival> = synth::parse(load, Some(7200.0), 1).unwrap().arrivals().collect();
    let (mut setup, _) = surroundings("l4-8b", &arrivals);
    (setup.group.min, setup.group.max, setup.group.initial) = (replicas, replicas, replicas);
    let outcome = run(&setup, &arrivals, &mut Fixed(replicas), None).unwrap();
    say(what, arrivals.len(), &outcome);
}

fn say(what: &str, requests: usize, outcome: &Outcome) {
    let rate = requests as f64 / outcome.wall;
    println!("{what}: {requests} requests, {rate:.0} a second, {:.2} s", outcome.wall);
}

/// Steps every iteration.
struct Each(u64);

impl Sink for Each {
    const EACH_ITERATION: bool = true;

    fn event(&mut self, _event: Event) {}

    fn iteration(&mut self, _iteration: engine_model::Iteration) {
        self.0 += 1;
    }
}

/// What jumping over iterations is worth: the same engine with the same requests, stepped and not.
fn jumps() {
    let spec = EngineSpec::builtin("l4-8b").unwrap();
    let fill = || {
        let mut engine = Engine::new(&spec).unwrap();
        for id in 0..5_000_u64 {
            let at = Time::from_secs_f64(id as f64 * 10.0);
            let request = Request { id, input_tokens: 700, output_tokens: 1000, prefix_hit_tokens: 0 };
            engine.submit(at, request).unwrap();
        }
        engine
    };
    let end = Time::from_secs_f64(60_000.0);
    let (mut stepped, mut jumped) = (fill(), fill());
    let began = Instant::now();
    let mut each = Each(0);
    stepped.advance(end, &mut each);
    let slow = began.elapsed().as_secs_f64();
    let began = Instant::now();
    jumped.advance(end, &mut |_: Event| {});
    let fast = began.elapsed().as_secs_f64();
    println!("{} iterations: jumping over them takes {:.2} of the time of stepping", each.0, fast / slow);
}
