//! How long it takes to prove optima where sizes may be divided at will: problems of 6 types and 200 sizes, made as those of
//! `judge.py` are. `cargo bench -p planner [-- PROBLEMS [TYPES [SIZES]]]`.

#[path = "../tests/common/mod.rs"]
mod common;

use planner::{Problem, Status};
use std::io::Write;

/// The share of types that cannot serve a size.
const UNABLE: f64 = 0.05;

fn problem(seed: u64, types: u8, sizes: u32) -> Problem {
    Problem { deadline_seconds: 60.0, ..common::problem(seed, types, sizes, Some(UNABLE)) }
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
