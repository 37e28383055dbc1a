//! The rows of a node's program, and their right-hand sides. Must not know columns.

use super::Master;
use crate::model::Model;
use crate::search::block::Block;

/// What stands for nothing in a right-hand side, which must be above it.
const NOTHING: f64 = 1e-10;

#[derive(Debug, Default)]
pub(super) struct Rows {
    /// First row of each block's types.
    pub(super) capacity: Vec<usize>,
    pub(super) high: usize,
    /// Row of the counts up to today's, of types where a change costs.
    pub(super) current: Vec<Option<usize>>,
    pub(super) block: usize,
    pub(super) limit: usize,
    pub(super) all: usize,
}

impl Rows {
    pub(super) fn of(model: &Model, blocks: &[Block]) -> Self {
        let mut rows = Self::default();
        for block in blocks {
            rows.capacity.push(rows.all);
            rows.all += block.types.len();
        }
        rows.high = rows.all;
        rows.all += model.types.len();
        for one in &model.types {
            let changes = one.current.is_some() && model.change_cost > 0.0;
            rows.current.push(changes.then_some(rows.all));
            rows.all += usize::from(changes);
        }
        rows.block = rows.all;
        rows.limit = rows.block + blocks.len();
        rows.all = rows.limit + model.limits.len();
        rows
    }
}

impl Master {
    /// Right-hand sides at a node's bounds; none where lower bounds break a limit.
    pub(super) fn right(&self, model: &Model, blocks: &[Block], low: &[u32], high: &[u32]) -> Option<Vec<f64>> {
        let mut rhs = vec![1.0; self.rows.all];
        for (first, block) in self.rows.capacity.iter().zip(blocks) {
            for (own, at) in block.types.iter().enumerate() {
                rhs[first + own] = f64::from(low[*at]);
            }
        }
        for at in 0..low.len() {
            rhs[self.rows.high + at] = f64::from(high[at] - low[at]);
            if let Some((row, now)) = self.rows.current[at].zip(model.types[at].current) {
                rhs[row] = f64::from(now.clamp(low[at], high[at]) - low[at]);
            }
        }
        for (limit, row) in model.limits.iter().zip(self.rows.limit..) {
            let taken: f64 = limit.weights.iter().map(|(at, weight)| weight * f64::from(low[*at])).sum();
            rhs[row] = limit.most - taken;
            if rhs[row] < -1e-9 * limit.most.max(1.0) {
                return None;
            }
        }
        for own in &mut rhs {
            *own = own.max(NOTHING);
        }
        Some(rhs)
    }
}
