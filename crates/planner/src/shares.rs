//! Who serves what where counts are given and sizes may be divided at will.

use crate::model::Model;
use crate::search::block::Block;
use microlp::{ComparisonOp, OptimizationDirection, Variable};

/// Shares below are the solver's rounding.
const NOTHING: f64 = 1e-9;

/// Shares below are left out at the end: what stands for no replicas carries as little.
const DUST: f64 = 1e-8;

/// Shares by size and type: no type is filled further than it must be for the fullest to be as empty as can be, and few sizes are
/// divided. Counts must carry the sizes.
pub(crate) fn of(model: &Model, blocks: &mut [Block], counts: &[u32]) -> Vec<Vec<f64>> {
    let counts: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
    let mut shares = vec![vec![0.0; model.types.len()]; model.sizes.len()];
    for block in blocks.iter_mut().filter(|block| block.whole) {
        let own = block.own(&counts);
        let multiple = block.carried(&own).multiple;
        let few = few(block, &own, multiple);
        for (size, parts) in block.sizes.iter().zip(few) {
            for (at, part) in block.types.iter().zip(parts) {
                shares[*size][*at] = part;
            }
        }
    }
    shares
}

/// Shares of a block by its sizes and types, after it was asked whether it is carried.
pub(crate) fn few(block: &Block, counts: &[f64], multiple: f64) -> Vec<Vec<f64>> {
    let mut mixed = block.shares();
    let most: Vec<f64> = counts.iter().map(|count| count / multiple.max(1.0)).collect();
    gather(block, &mut mixed, &most);
    for own in &mut mixed {
        let kept: f64 = own.iter().filter(|share| **share > DUST).sum();
        for share in own {
            *share = if *share > DUST { *share / kept } else { 0.0 };
        }
    }
    mixed
}

/// Divides fewer sizes: a vertex of what shares there may be of those that are divided, of which no more are than there are types.
/// Leaves shares as they are where no vertex is found.
fn gather(block: &Block, shares: &mut [Vec<f64>], most: &[f64]) {
    let kinds = most.len();
    let divided: Vec<usize> =
        (0..shares.len()).filter(|at| shares[*at].iter().all(|share| *share < 1.0 - NOTHING)).collect();
    let need = |at: usize, kind: usize| block.needs[at * kinds + kind];
    let mut program = microlp::Problem::new(OptimizationDirection::Minimize);
    let mut loads = vec![0.0; kinds];
    for (at, own) in shares.iter().enumerate() {
        for (kind, share) in own.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            loads[kind] += share * need(at, kind);
        }
    }
    // At least what they carry now, so that rounding leaves an answer.
    let mut room: Vec<f64> = loads.iter().zip(most).map(|(load, most)| most.max(*load)).collect();
    for (at, own) in shares.iter().enumerate().filter(|(at, _)| !divided.contains(at)) {
        for (kind, share) in own.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            room[kind] -= share * need(at, kind);
        }
    }
    let mut rows: Vec<Vec<(Variable, f64)>> = vec![Vec::new(); kinds];
    let mut parts: Vec<(usize, usize, Variable)> = Vec::new();
    for at in &divided {
        let mut sum = Vec::new();
        for kind in (0..kinds).filter(|kind| shares[*at][*kind] > 0.0) {
            let part = program.add_var(need(*at, kind), (0.0, 1.0));
            rows[kind].push((part, need(*at, kind)));
            sum.push((part, 1.0));
            parts.push((*at, kind, part));
        }
        program.add_constraint(sum.as_slice(), ComparisonOp::Eq, 1.0);
    }
    for (row, room) in rows.iter().zip(&room).filter(|(row, _)| !row.is_empty()) {
        program.add_constraint(row.as_slice(), ComparisonOp::Le, *room + NOTHING);
    }
    let Some(solution) = program.solve().ok().and_then(|outcome| outcome.into_solution().ok()) else { return };
    for at in divided {
        shares[at].fill(0.0);
    }
    for (at, kind, part) in parts {
        let value = solution.var_value(part);
        shares[at][kind] = if value > NOTHING { value.min(1.0) } else { 0.0 };
    }
}
