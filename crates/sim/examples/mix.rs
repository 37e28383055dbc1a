//! Two GPU types for chats and documents: what the plan for both comes to, beside each type alone and beside AIBrix's procedure on
//! the same inputs: `cargo run --release -p simulator --example mix [HOURS [LOAD]]`. Generated load, no file is read.
//!
//! AIBrix's procedure: the cheapest division of the load in hundredths of a replica, each type's sum then rounded up on its own
//! (aibrix `python/aibrix/aibrix/gpu_optimizer`), which its autoscaler averages over three minutes and rounds up.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for people who build the project")]

use autoscaler_api::{PodAutoscaler, resolve};
use autoscaler_planning::{Knowledge, Planning};
use autoscaler_runtime::planning::{Known, settings};
use engine_model::{EngineSpec, Mix};
use planner::{Gpu, Load, Problem, Split, solve};
use serde_json::json;
use simulator::demand::{capacity, mix};
use simulator::policy::{Fixed, Products};
use simulator::world::{ColdStart, Fleet, Group, Outcome, Seen, Setup, run, run_fleet};
use std::collections::{BTreeMap, VecDeque};
use workload::Arrival;
use workload::score::Slo;
use workload::synth;

/// Engines and prices of an hour: on-demand list prices of one GPU at a large cloud.
const TYPES: [(&str, f64); 2] = [("l4-8b", 0.8), ("a100-8b", 3.67)];
const SLO: Slo = Slo { ttft: 3.0, tpot: 0.15 };
const STARTUP: f64 = 90.0;
const TICK: f64 = 5.0;
/// Longest prompt that a router by size sends to the small type while the large one serves.
const CHAT: u32 = 2000;
/// Loads: chats and documents.
const LOADS: [(&str, &str, &str); 3] = [
    (
        "little",
        "sinus:mean=1.5,amplitude=1,period=3600s,input=400,output=100",
        "poisson:rate=0.1,input=6000,output=150",
    ),
    ("mixed", "sinus:mean=8,amplitude=5,period=3600s,input=400,output=100", "poisson:rate=0.6,input=6000,output=150"),
    ("chats", "sinus:mean=12,amplitude=8,period=3600s,input=400,output=100", "poisson:rate=0.05,input=6000,output=150"),
];

fn main() {
    let hours: f64 = std::env::args().nth(1).and_then(|hours| hours.parse().ok()).unwrap_or(4.0);
    println!(
        "| load | plan | cost | GPU-hours l4 | GPU-hours a100 | kept | reversals/h |\n|---|---|---|---|---|---|---|"
    );
    let only = std::env::args().nth(2);
    for (name, chats, documents) in
        LOADS.into_iter().filter(|(name, ..)| only.as_deref().is_none_or(|only| only == *name))
    {
        let arrivals = arrivals(chats, documents, hours * 3600.0);
        let kinds = [
            ("l4 alone", &TYPES[..1], false),
            ("a100 alone", &TYPES[1..], false),
            ("both together", &TYPES[..], false),
            ("both, routed by size", &TYPES[..], true),
        ];
        for (what, kinds, by_size) in kinds {
            let setup = setup(kinds, &arrivals, hours * 3600.0, by_size);
            row(name, what, kinds, &run_fleet(&setup, &arrivals, &[], &mut planned(kinds, by_size), &mut []).unwrap());
        }
        let setup = setup(&TYPES, &arrivals, hours * 3600.0, false);
        let outcome = run_fleet(&setup, &arrivals, &[], &mut Hundredths::new(&TYPES), &mut []).unwrap();
        row(name, "AIBrix's procedure", &TYPES, &outcome);
    }
}

fn row(load: &str, what: &str, kinds: &[(&str, f64)], outcome: &Outcome) {
    let hours = |name: &str| {
        let at = kinds.iter().position(|(kind, _)| *kind == name);
        at.map_or_else(|| "–".to_owned(), |at| format!("{:.2}", outcome.groups[at].gpu_hours))
    };
    println!(
        "| {load} | {what} | {:.2} | {} | {} | {:.2} % | {:.1} |",
        outcome.cost,
        hours(TYPES[0].0),
        hours(TYPES[1].0),
        outcome.fates.attainment() * 100.0,
        outcome.reversals_per_hour
    );
}

fn arrivals(chats: &str, documents: &str, length: f64) -> Vec<Arrival> {
    let load = |text: &str, seed| synth::parse(text, Some(length), seed).unwrap().arrivals();
    let mut all: Vec<Arrival> = load(chats, 3).chain(load(documents, 4)).collect();
    all.sort_by(|a, b| a.at.total_cmp(&b.at));
    all
}

fn setup(kinds: &[(&str, f64)], arrivals: &[Arrival], length: f64, by_size: bool) -> Setup {
    let mean = mix(arrivals, false);
    let group = |(name, price): &(&str, f64)| {
        let engine = EngineSpec::builtin(name).unwrap();
        // The router knows how much larger a replica is, as a weight; it does not look at sizes.
        let weight = capacity(&engine, SLO, mean).map_or(1.0, |capacity| capacity.rate);
        Group {
            cold_start: ColdStart { median: STARTUP, sigma: 0.25 },
            min: u32::from(kinds.len() == 1),
            initial: 1,
            weight,
            longest: if by_size && *name == TYPES[0].0 { CHAT } else { u32::MAX },
            price: *price,
            ..Group::new(engine, STARTUP)
        }
    };
    let mut groups: Vec<Group> = kinds.iter().map(group).collect();
    let mut setup = Setup::new(groups[0].engine.clone(), SLO, STARTUP, 1, length);
    setup.group = groups.remove(0);
    setup.others = groups;
    setup
}

/// The product with a plan for all types.
fn planned(kinds: &[(&str, f64)], by_size: bool) -> Products {
    let object = |(name, _): &(&str, f64)| -> PodAutoscaler {
        serde_json::from_value(json!({
            "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": {"name": name},
            "spec": {"scalingStrategy": "Optimizer", "minReplicas": u32::from(kinds.len() == 1), "maxReplicas": 64,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "metricsSources": [{"metricSourceType": "pod", "protocolType": "http", "port": "8000", "path": "/metrics",
                    "targetMetric": "kv_cache_usage_perc", "targetValue": "0.9"}],
                "routesBySize": by_size,
                "slo": {"objectives": [{"metric": "ttft", "seconds": SLO.ttft}, {"metric": "tpot", "seconds": SLO.tpot}]}},
        }))
        .unwrap()
    };
    let objects: Vec<PodAutoscaler> = kinds.iter().map(object).collect();
    let resolved: Vec<_> = objects.iter().map(|object| resolve(object).unwrap()).collect();
    let known = kinds.iter().map(|(name, price)| Known {
        knowledge: Knowledge::Engine(Box::new(EngineSpec::builtin(name).unwrap())),
        cost: Some(*price),
    });
    let together: Vec<_> = resolved.iter().zip(known).collect();
    let planning = Planning::new(settings(&together, 0.0)).unwrap();
    Products::new(&objects, TICK, None, &[]).unwrap().with_planning((0..kinds.len()).collect(), planning)
}

/// AIBrix's procedure.
struct Hundredths {
    kinds: Vec<(String, EngineSpec, f64)>,
    arrivals: u64,
    at: f64,
    solved: f64,
    /// Sizes that ended of late, and when.
    sizes: VecDeque<(f64, u32, u32)>,
    seen: f64,
    /// What was asked for of late, and when.
    asked: VecDeque<(f64, Vec<f64>)>,
    /// The profile: requests a second of each type and cell, found when they are first needed.
    profile: BTreeMap<(usize, (i64, i64)), f64>,
}

/// Its window of sizes, the time between two solutions, and its autoscaler's window, seconds.
const WINDOW: f64 = 240.0;
const EVERY: f64 = 10.0;
const STABLE: f64 = 180.0;

impl Hundredths {
    fn new(kinds: &[(&str, f64)]) -> Self {
        let kind = |(name, price): &(&str, f64)| ((*name).to_owned(), EngineSpec::builtin(name).unwrap(), *price);
        Self {
            kinds: kinds.iter().map(kind).collect(),
            arrivals: 0,
            at: 0.0,
            solved: 0.0,
            sizes: VecDeque::new(),
            seen: 0.0,
            asked: VecDeque::new(),
            profile: BTreeMap::new(),
        }
    }

    /// Hundredths of a replica of each type, as shares: the fractional optimum rounded up to the next hundredth.
    fn solve(&mut self, rate: f64) -> Vec<f64> {
        let mut cells: BTreeMap<(i64, i64), f64> = BTreeMap::new();
        for (_, input, output) in &self.sizes {
            #[allow(clippy::cast_possible_truncation, reason = "a logarithm of a u32")]
            let cell = |tokens: u32| f64::from(tokens.max(1)).log2().round() as i64;
            *cells.entry((cell(*input), cell(*output))).or_default() += 1.0;
        }
        let total: f64 = cells.values().sum();
        let mut load = Vec::new();
        for (cell, n) in cells {
            let mut capacity = BTreeMap::new();
            for (at, (name, engine, _)) in self.kinds.iter().enumerate() {
                let found = self.profile.entry((at, cell)).or_insert_with(|| sustained(engine, cell));
                capacity.insert(name.clone(), *found / 100.0);
            }
            load.push(Load { rate: rate * n / total, capacity, ..Load::default() });
        }
        let gpus =
            self.kinds.iter().map(|(name, _, price)| (name.clone(), Gpu { cost: price / 100.0, ..Gpu::default() }));
        let problem = Problem {
            load,
            gpus: gpus.collect(),
            split: Split::Fractional,
            node_limit: Some(2000),
            ..Problem::default()
        };
        let answer = solve(&problem).unwrap();
        self.kinds.iter().map(|(name, ..)| f64::from(answer.replicas[name]) / 100.0).collect()
    }
}

/// A cell of a profile: the most requests a second of one size at which 99 of 100 keep the SLO on one replica. AIBrix's tool takes
/// the next lower power of two, so this profile is better than its own.
fn sustained(engine: &EngineSpec, cell: (i64, i64)) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a power of two below 2^24")]
    let tokens = |power: i64| 2.0_f64.powf(power.clamp(0, 24) as f64) as u32;
    let (input, output) = (tokens(cell.0), tokens(cell.1));
    let (wide, length) =
        (Mix { computed: f64::from(input), input: f64::from(input), output: f64::from(output) }, 600.0);
    let Some(full) = capacity(engine, SLO, wide) else { return 0.0 };
    let keeps = |rate: f64| {
        let length = (length / rate).clamp(60.0, 3600.0);
        let text = format!("poisson:rate={rate},input={input},output={output},cv=0");
        let arrivals: Vec<Arrival> = synth::parse(&text, Some(length), 5).unwrap().arrivals().collect();
        let mut setup = Setup::new(engine.clone(), SLO, STARTUP, 1, length);
        setup.warmup = 0.0;
        run(&setup, &arrivals, &mut Fixed(1), None).unwrap().fates.attainment() >= 0.99
    };
    let (mut low, mut high) = (0.0, full.rate * 1.2);
    for _ in 0..6 {
        let middle = f64::midpoint(low, high);
        if keeps(middle) { low = middle } else { high = middle }
    }
    low
}

impl Fleet for Hundredths {
    fn interval(&self) -> f64 {
        TICK
    }

    fn samples_every(&self) -> Option<f64> {
        None
    }

    fn scrapes_every(&self) -> Option<f64> {
        None
    }

    fn sample(&mut self, _seen: &[Seen<'_>]) {}

    fn decide(&mut self, seen: &[Seen<'_>]) -> Vec<u32> {
        let (now, traffic) = (seen[0].now, seen[0].traffic);
        for ended in traffic.recent.iter().rev().take_while(|ended| ended.at > self.at) {
            self.sizes.push_back((ended.at, ended.input, ended.output));
        }
        self.at = now;
        self.sizes.retain(|(at, ..)| *at >= now - WINDOW);
        if now - self.solved >= EVERY && !self.sizes.is_empty() {
            // The higher of the window's rate and the last interval's.
            let last = (traffic.arrivals - self.arrivals) as f64 / (now - self.seen).max(1.0);
            (self.arrivals, self.seen, self.solved) = (traffic.arrivals, now, now);
            let rate = last.max(self.sizes.len() as f64 / now.min(WINDOW));
            let answer = self.solve(rate);
            self.asked.push_back((now, answer));
        }
        self.asked.retain(|(at, _)| *at >= now - STABLE);
        let count = self.asked.len().max(1) as f64;
        let mean = |at: usize| self.asked.iter().map(|(_, asked)| asked[at]).sum::<f64>() / count;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
        let whole = |share: f64| (share - 1e-9).ceil() as u32;
        let each = seen.iter().enumerate();
        each.map(|(at, seen)| if self.asked.is_empty() { seen.wanted } else { whole(mean(at)) }).collect()
    }

    fn why(&self, _group: usize) -> String {
        String::new()
    }
}
