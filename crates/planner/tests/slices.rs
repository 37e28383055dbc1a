//! Whole slices of a hard kind: few sizes that make most of the load, so that what fits is a matter of combinations.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use planner::{Problem, Split, Status, solve};

fn problem(seed: u64, types: u8, sizes: u32, slices: u32) -> Problem {
    Problem { deadline_seconds: 120.0, split: Split::Slices(slices), ..common::problem(seed, types, sizes, None) }
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
