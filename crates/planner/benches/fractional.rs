//! How long it takes to prove optima where sizes may be divided at will: problems of 6 types and 200 sizes, made as those of
//! `judge.py` are. `cargo bench -p planner [-- PROBLEMS [TYPES [SIZES]]]`.

use planner::{Gpu, Load, Problem, Status};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::Write;

/// Types with prices, sizes log-spaced, capacities as rooflines have them: dearer types are better at long requests.
fn problem(seed: u64, types: u8, sizes: u32) -> Problem {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let round = |value: f64, decimals: f64| (value * decimals).round() / decimals;
    let mut problem = Problem { deadline_seconds: 60.0, ..Problem::default() };
    for at in 0..types {
        let cost = round(0.7 * 1.6_f64.powi(i32::from(at)) * random.random_range(0.8..1.2), 1e3);
        problem.gpus.insert(format!("g{at}"), Gpu { cost, ..Gpu::default() });
    }
    for _ in 0..sizes {
        let size = 2.0_f64.powf(random.random_range(0.0..8.0));
        let mut load = Load::default();
        for (name, gpu) in &problem.gpus {
            let fast = round(20.0 * gpu.cost.powf(random.random_range(0.6..1.4)) / size, 1e6);
            load.capacity.insert(name.clone(), if random.random::<f64>() < 0.05 { 0.0 } else { fast });
        }
        if load.capacity.values().all(|capacity| *capacity <= 0.0) {
            load.capacity.insert("g0".to_owned(), 1.0);
        }
        let scale = [2.0, 20.0, 200.0, 1000.0][random.random_range(0..4)];
        load.rate = random.random::<f64>() * scale * 10.0 / size / f64::from(sizes);
        problem.load.push(load);
    }
    problem
}

/// Time that this thread has had a processor, in milliseconds: far less noisy than the clock on a shared machine. 0 where the
/// system does not say.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

/// Median, 95 % and worst.
fn spread(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0.0);
    format!("median {:.2}, 95 % {:.2}, worst {:.2}", at(50), at(95), at(100))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<u32> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let number = |at: usize, otherwise: u32| numbers.get(at).copied().unwrap_or(otherwise);
    let (problems, types, sizes) = (number(0, 100), number(1, 6), number(2, 200));
    let (mut times, mut busy, mut proven) = (Vec::new(), Vec::new(), 0);
    for seed in 0..problems {
        let began = processor();
        let answer = planner::solve(&problem(u64::from(seed), u8::try_from(types)?, sizes))?;
        busy.push(processor() - began);
        proven += u32::from(answer.status == Status::Optimal);
        times.push(answer.seconds * 1e3);
    }
    writeln!(
        std::io::stdout(),
        "{problems} problems of {types} types and {sizes} sizes: {proven} proven; ms: {}; of a processor: {}",
        spread(times),
        spread(busy)
    )?;
    Ok(())
}
