//! The general solver a step at a time, so that it ends when another search has, not only at its deadline.

use crate::limits::Limits;
use microlp::{Problem, ResumeOptions, SolveOptions, SolveOutcome, TerminationReason};
use std::time::{Duration, Instant};

/// Time of a first step; later ones take a part of the time so far, so that each gets on.
const STEP: Duration = Duration::from_millis(50);
const PART: u32 = 8;

/// Solves within a time, if there is one, and within nodes. Says each step's bound where nodes are not what ends it.
pub(crate) fn solve(
    problem: &Problem,
    mut options: SolveOptions,
    limits: &Limits,
    say: &dyn Fn(f64),
) -> Result<SolveOutcome, microlp::Error> {
    let (Some(time), true) = (options.time_limit, limits.shared()) else { return problem.solve_with(options) };
    let (began, nodes) = (Instant::now(), options.node_limit);
    options.time_limit = Some(time.min(STEP));
    let mut outcome = problem.solve_with(options)?;
    loop {
        let stats = outcome.stats();
        stats.best_bound.filter(|bound| bound.is_finite()).into_iter().for_each(say);
        let left = time.saturating_sub(began.elapsed());
        let unfinished = outcome.termination_reason() == TerminationReason::TimeLimit;
        if !unfinished || left.is_zero() || limits.reached(0) {
            return Ok(outcome);
        }
        let mut next = ResumeOptions::default();
        next.time_limit = Some(left.min(STEP.max(began.elapsed() / PART)));
        next.node_limit = nodes.map(|nodes| nodes.saturating_sub(stats.nodes_solved).max(1));
        outcome = outcome.resume_with(next)?;
    }
}
