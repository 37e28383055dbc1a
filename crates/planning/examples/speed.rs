//! What a decision costs: `cargo run --release -p autoscaler-planning --example speed`. One model of 200 classes of sizes on one and
//! on eight types of GPU, from profiles and from engine models: seconds of making the risks, of a look and of a plan, and the
//! memory (resident, from the kernel) and the saved form's length.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for people who build the project")]

use autoscaler_planning::{Knowledge, Objective, Outcome, Planning, Seen, Settings, Sized, Target, TargetSeen};
use engine_model::EngineSpec;
use planner::Profile;
use std::time::Instant;

const TICK: f64 = 5.0;
const CLASSES: u32 = 200;
/// Looks before the measured ones: more than sizes need to settle, and two hours of levels.
const BEFORE: u32 = 1500;
const MEASURED: u32 = 200;

fn main() {
    println!("| knowledge | types | first look with risks | look | plan | plan, slowest | resident | saved |");
    println!("|---|---|---|---|---|---|---|---|");
    for count in [1, 8] {
        measure("profiles", count, &|at| profile(at));
        measure("engine models", count, &|at| engine(at));
    }
}

/// Types that differ: the larger, the dearer for their size.
fn profile(at: usize) -> Knowledge {
    let size = 1.0 + at as f64 * 0.7;
    let axis = |steps: i32, from: f64| -> Vec<f64> { (0..steps).map(|step| from * 2.0_f64.powi(step)).collect() };
    let (outputs, inputs) = (axis(11, 4.0), axis(13, 4.0));
    let rate = |output: &f64, input: &f64| 2000.0 * size / (50.0 + input * 0.7 + output * (6.0 + at as f64));
    let tputs: Vec<Vec<f64>> =
        outputs.iter().map(|output| inputs.iter().map(|input| rate(output, input)).collect()).collect();
    let (gpu, created) = (format!("type-{at}"), 0.0);
    let profile =
        Profile { gpu, cost: size.powf(1.1), tputs, indexes: [outputs, inputs], created, ..Profile::default() };
    Knowledge::Profile(Box::new(profile))
}

fn engine(at: usize) -> Knowledge {
    let names: Vec<&str> = EngineSpec::builtin_names().collect();
    Knowledge::Engine(Box::new(EngineSpec::builtin(names[at % names.len()]).unwrap()))
}

fn measure(what: &str, count: usize, knowledge: &dyn Fn(usize) -> Knowledge) {
    let before = resident();
    let target = |at: usize| Target {
        name: format!("type-{at}"),
        cost: 1.0 + at as f64,
        min: 0,
        max: 500,
        knowledge: knowledge(at),
    };
    let objective = Objective { ttft: Some(2.0), tpot: Some(0.15), e2e: None };
    let mut planning = Planning::new(Settings::new(objective, (0..count).map(target).collect())).unwrap();
    let (mut risks, mut looks, mut plans, mut slowest) = (0.0_f64, 0.0, 0.0, 0.0_f64);
    let mut wanted = vec![1; count];
    for step in 0..BEFORE + MEASURED {
        let now = f64::from(step) * TICK;
        let sizes: Vec<Sized> = (0..CLASSES).map(|class| size(class, now)).collect();
        let outcomes = [Outcome { arrived: now - 20.0, ended: 200.0, kept: 198.0 }];
        let targets: Vec<TargetSeen<'_>> =
            wanted.iter().map(|count| TargetSeen { wanted: *count, ready: *count, started: &[] }).collect();
        let rate = 40.0 + 30.0 * (now / 3600.0).sin() + f64::from(step * 7 % 11);
        let seen = Seen {
            now,
            arrivals: Some(rate * TICK),
            input_tokens: None,
            backlog_tokens: 1e4,
            sizes: &sizes,
            outcomes: &outcomes,
            targets: &targets,
        };
        let began = Instant::now();
        planning.observe(&seen);
        let look = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let plan = planning.plan(now);
        let took = began.elapsed().as_secs_f64();
        if let Some(plan) = plan {
            wanted = (0..count).map(|at| plan.replicas[&format!("type-{at}")]).collect();
        }
        risks = risks.max(look);
        if step >= BEFORE {
            looks += look / f64::from(MEASURED);
            plans += took / f64::from(MEASURED);
            slowest = slowest.max(took);
        }
    }
    let saved = serde_json::to_string(&planning.state()).unwrap().len();
    println!(
        "| {what} | {count} | {:.1} ms | {:.3} ms | {:.2} ms | {:.2} ms | {:.1} MiB | {} KiB |",
        risks * 1e3,
        looks * 1e3,
        plans * 1e3,
        slowest * 1e3,
        (resident() - before) / 1024.0,
        saved / 1024
    );
}

/// Classes from 16 to 16,000 tokens of prompt, and 8 to 1,000 of answer.
fn size(class: u32, now: f64) -> Sized {
    let (row, column) = (f64::from(class / 20), f64::from(class % 20));
    Sized {
        arrived: now - 60.0,
        input: 16.0 * 2.0_f64.powf(column / 2.0),
        output: 8.0 * 2.0_f64.powf(row * 0.7),
        count: 1.0,
    }
}

/// KiB; 0 where the kernel does not say.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0.0)
}
