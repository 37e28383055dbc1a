//! Whether counts carry sizes whose slices go wholly to one type. Prices tell what a slice would waste where it is not at its
//! cheapest; what counts have to spare at those prices bounds the waste, so that most slices have but one place left. The rest is
//! searched: rounding, moves and swaps, and a small program in whole numbers that settles it either way.

use crate::limits::Limits;
use crate::model::Model;
use crate::round::{Puzzle, State, seeded};
use crate::search::block::{Block, ENOUGH};
use crate::search::counts::Verdict;
use crate::{shares, steps};
use microlp::{ComparisonOp, OptimizationDirection, SolveOptions, Variable};
use std::time::Duration;

/// Moves of a first try; four times as many at each higher effort.
const MOVES: u32 = 20_000;
/// Times that they are made.
const ROUNDS: u64 = 2;
/// Nodes of the small program at a first try; four times as many at each higher effort.
const NODES: u64 = 30;
/// Highest effort that moves grow with.
const MOST_EFFORT: u32 = 6;
/// Time of the small program at a first try; four times as much at each higher effort.
const FIRST: Duration = Duration::from_millis(50);

/// Shares by size and type.
pub(crate) type Shares = Vec<Vec<f64>>;

/// What is known of counts: the verdict, and shares where they carry everything.
pub(crate) fn judge(
    model: &Model,
    slices: u32,
    blocks: &mut [Block],
    counts: &[u32],
    effort: u32,
    limits: &Limits,
) -> (Verdict, Shares) {
    let counts: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
    let mut shares = vec![vec![0.0; model.types.len()]; model.sizes.len()];
    let mut verdict = Verdict::Carries;
    for block in blocks.iter_mut().filter(|block| block.whole) {
        let own = block.own(&counts);
        let (said, placed) = judge_block(model, slices, block, &own, effort, limits);
        match said {
            Verdict::Cannot => return (Verdict::Cannot, shares),
            Verdict::Unknown => verdict = Verdict::Unknown,
            Verdict::Carries => {
                for (size, many) in block.sizes.iter().zip(placed.chunks_exact(block.types.len())) {
                    for (at, many) in block.types.iter().zip(many) {
                        shares[*size][*at] = f64::from(*many) / f64::from(slices);
                    }
                }
            }
        }
    }
    (verdict, shares)
}

fn judge_block(
    model: &Model,
    slices: u32,
    block: &mut Block,
    counts: &[f64],
    effort: u32,
    limits: &Limits,
) -> (Verdict, Vec<u32>) {
    let carried = block.carried(counts);
    if carried.multiple < ENOUGH {
        return (Verdict::Cannot, Vec::new());
    }
    let near = shares::few(block, counts, carried.multiple);
    let mut puzzle = Puzzle {
        slices,
        parts: block.needs.iter().map(|need| need / f64::from(slices)).collect(),
        room: counts.to_vec(),
        weights: carried.prices.iter().map(|price| price.max(1e-3 * largest(&carried.prices))).collect(),
    };
    let costs: Vec<f64> = block.types.iter().map(|at| model.types[*at].cost).collect();
    // What is ruled out raises what the rest costs, which rules out more.
    for prices in [&carried.prices, &costs, &carried.prices, &costs] {
        if !narrow(&mut puzzle, prices, counts) {
            return (Verdict::Cannot, Vec::new());
        }
    }
    let grown = 4_u32.pow(effort.min(MOST_EFFORT));
    for round in 0..ROUNDS {
        let mut state = State::of(&puzzle, &near);
        let mut random = seeded(round + ROUNDS * u64::from(effort));
        if state.settle() || state.anneal(&mut random, MOVES * grown, &|| limits.reached(0)) || state.settle() {
            return (Verdict::Carries, state.counts);
        }
        if limits.reached(0) {
            return (Verdict::Unknown, Vec::new());
        }
    }
    exact(&puzzle, NODES * u64::from(grown), FIRST * grown, limits)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Rules out what one slice alone would waste more on, at these prices, than counts have to spare; false where they do not carry
/// what is left.
fn narrow(puzzle: &mut Puzzle, prices: &[f64], counts: &[f64]) -> bool {
    let kinds = counts.len();
    let cost = |part: f64, price: f64| if part.is_finite() { part * price } else { f64::INFINITY };
    let least = |parts: &[f64]| parts.iter().zip(prices).map(|(a, b)| cost(*a, *b)).fold(f64::INFINITY, f64::min);
    let worth = puzzle.parts.chunks_exact(kinds).map(least).sum::<f64>() * f64::from(puzzle.slices);
    let spare = prices.iter().zip(counts).map(|(price, count)| price * count).sum::<f64>() - worth;
    // What rounding may make of it.
    let allowed = spare + 1e-8 * worth;
    for parts in puzzle.parts.chunks_exact_mut(kinds) {
        let least = least(parts);
        for (part, price) in parts.iter_mut().zip(prices) {
            if cost(*part, *price) - least > allowed.max(0.0) {
                *part = f64::INFINITY;
            }
        }
    }
    allowed >= 0.0
}

/// Well outside the solver's tolerance.
const OFF: f64 = 1e-6;

/// The puzzle as a program in whole numbers: settled within so many nodes, or not.
fn exact(puzzle: &Puzzle, nodes: u64, time: Duration, limits: &Limits) -> (Verdict, Vec<u32>) {
    let kinds = puzzle.room.len();
    let mut program = microlp::Problem::new(OptimizationDirection::Minimize);
    let slices = i32::try_from(puzzle.slices).unwrap_or(i32::MAX);
    let mut rows: Vec<Vec<(Variable, f64)>> = vec![Vec::new(); kinds];
    let mut room = puzzle.room.clone();
    let mut variables: Vec<Option<Variable>> = vec![None; puzzle.parts.len()];
    let mut counts = vec![0; puzzle.parts.len()];
    for (size, parts) in puzzle.parts.chunks_exact(kinds).enumerate() {
        let able: Vec<usize> = (0..kinds).filter(|kind| parts[*kind].is_finite()).collect();
        if let [only] = able.as_slice() {
            room[*only] -= parts[*only] * f64::from(puzzle.slices);
            counts[size * kinds + only] = puzzle.slices;
            continue;
        }
        let mut sum = Vec::new();
        for kind in able {
            let variable = program.add_integer_var(0.0, (0, slices));
            rows[kind].push((variable, parts[kind]));
            sum.push((variable, 1.0));
            variables[size * kinds + kind] = Some(variable);
        }
        program.add_constraint(sum.as_slice(), ComparisonOp::Eq, f64::from(slices));
    }
    if rows.iter().zip(&room).any(|(row, room)| row.is_empty() && *room < -OFF) {
        return (Verdict::Cannot, Vec::new());
    }
    for (row, room) in rows.iter().zip(&room).filter(|(row, _)| !row.is_empty()) {
        program.add_constraint(row.as_slice(), ComparisonOp::Le, *room);
    }
    let mut options = SolveOptions::default();
    options.time_limit = limits.left().map(|left| left.min(time));
    options.node_limit = Some(nodes);
    let outcome = match steps::solve(&program, options, limits, &|_| {}) {
        Ok(outcome) => outcome,
        Err(microlp::Error::Infeasible) => return (Verdict::Cannot, Vec::new()),
        Err(_) => return (Verdict::Unknown, Vec::new()),
    };
    let Ok(solution) = outcome.into_solution() else { return (Verdict::Unknown, Vec::new()) };
    for (count, variable) in counts.iter_mut().zip(&variables) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the variable's bounds")]
        if let Some(variable) = variable {
            *count = solution.var_value(*variable).round().max(0.0) as u32;
        }
    }
    let load = |kind: usize| -> f64 {
        let own = counts.iter().skip(kind).step_by(kinds).zip(puzzle.parts.iter().skip(kind).step_by(kinds));
        own.filter(|(count, _)| **count > 0).map(|(count, part)| f64::from(*count) * part).sum()
    };
    let fits = (0..kinds).all(|kind| load(kind) <= puzzle.room[kind] + crate::program::OVERLOAD);
    if fits { (Verdict::Carries, counts) } else { (Verdict::Unknown, Vec::new()) }
}
