//! Whether counts carry sizes whose slices go wholly to one type. Prices tell what a slice would waste where it is not at its
//! cheapest; what counts have to spare at those prices bounds the waste, so that most slices have but one place left. The rest is
//! searched: rounding, moves and swaps, and a tree that settles it either way.

use crate::limits::Limits;
use crate::model::Model;
use crate::round::{Puzzle, State, seeded};
use crate::search::block::{Block, ENOUGH};
use crate::search::counts::Verdict;
use crate::{shares, tree};

/// Moves of a first try; twice as many at each higher effort.
const MOVES: u32 = 20_000;
/// Nodes of the tree at a first try; twice as many at each higher effort.
const NODES: u64 = 200;
/// Highest effort that moves and nodes grow with.
const MOST_EFFORT: u32 = 10;

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
    let mut state = State::of(&puzzle, &near);
    if state.settle() {
        return (Verdict::Carries, state.counts);
    }
    let grown = 2_u32.pow(effort.min(MOST_EFFORT));
    let (verdict, placed) = tree::settle(&puzzle, &carried.prices, effort, NODES * u64::from(grown), limits);
    if verdict != Verdict::Unknown {
        return (verdict, placed);
    }
    let mut random = seeded(u64::from(effort));
    let found = state.anneal(&mut random, MOVES * grown, &|| limits.reached(0)) || state.settle();
    if found { (Verdict::Carries, state.counts) } else { (Verdict::Unknown, Vec::new()) }
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
