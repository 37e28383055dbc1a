//! Whole slices of a hard kind: few sizes that make most of the load, so that what fits is a matter of combinations.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

use planner::{Gpu, Load, Problem, Split, Status, solve};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Types whose dearer ones are better at long requests, and sizes whose loads differ by orders of magnitude.
fn problem(seed: u64, types: u8, sizes: u32, slices: u32) -> Problem {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let round = |value: f64, decimals: f64| (value * decimals).round() / decimals;
    let mut problem = Problem { deadline_seconds: 120.0, split: Split::Slices(slices), ..Problem::default() };
    for at in 0..types {
        let cost = round(0.7 * 1.6_f64.powi(i32::from(at)) * random.random_range(0.8..1.2), 1e3);
        problem.gpus.insert(format!("g{at}"), Gpu { cost, ..Gpu::default() });
    }
    for _ in 0..sizes {
        let size = 2.0_f64.powf(random.random_range(0.0..8.0));
        let mut load = Load::default();
        for (name, gpu) in &problem.gpus {
            let capacity = round(20.0 * gpu.cost.powf(random.random_range(0.6..1.4)) / size, 1e6);
            load.capacity.insert(name.clone(), capacity);
        }
        let scale = [2.0, 20.0, 200.0, 1000.0][random.random_range(0..4)];
        load.rate = random.random::<f64>() * scale * 10.0 / size / f64::from(sizes);
        problem.load.push(load);
    }
    problem
}

/// Seed, types, sizes, slices and the optimum, which an outside solver (`HiGHS` 1.16) proves.
const CASES: [(u64, u8, u32, u32, f64); 5] =
    [(0, 8, 30, 1, 50.731), (2, 7, 60, 4, 65.238), (3, 6, 12, 8, 31.385), (4, 8, 12, 1, 69.88), (6, 8, 6, 4, 42.298)];

#[test]
fn hard_combinations_come_to_their_optima() {
    for (seed, types, sizes, slices, cost) in CASES {
        let answer = solve(&problem(seed, types, sizes, slices)).unwrap();
        assert_eq!(answer.status, Status::Optimal, "{seed}: {answer:?}");
        assert!((answer.cost - cost).abs() < 1e-6, "{seed}: {} instead of {cost}", answer.cost);
    }
}

#[test]
fn wherever_the_deadline_comes_the_bound_is_true_and_nothing_is_taken_for_proven_that_is_not() {
    for (seed, types, sizes, slices, cost) in CASES {
        for deadline_seconds in [1e-3, 0.01, 0.03, 0.1, 0.3] {
            let problem = Problem { deadline_seconds, ..problem(seed, types, sizes, slices) };
            let answer = solve(&problem).unwrap();
            let what = format!("{seed}, {deadline_seconds} s: {answer:?}");
            assert!(answer.bound <= cost + 1e-6 && answer.cost >= cost - 1e-6, "{what}");
            assert_eq!(answer.status == Status::Optimal, answer.cost <= answer.bound + 1e-6, "{what}");
        }
    }
}
