//! Counts of replicas that need not be whole, as cheap as caps, quotas and budget allow: the linear program of a node of the search.
//! Each block serves a mixture of placements of its sizes, made as needed (column generation; Dantzig and Wolfe, 1960), and counts
//! are what types carry of it. Any prices of replicas' time give a bound, whatever the program was stopped at (Lagrange).

use super::block::Block;
use super::lp::{Columns, End, keep};
use crate::domain::Domain;
use crate::model::Model;
use rows::Rows;

mod duals;
mod rows;

/// Placements that are kept: making one anew takes less than weighing many at each pivot.
const POOL: usize = 50;
/// Placements that one node makes at most.
const MOST_PLACEMENTS: usize = 3_000;
/// Of what a block is worth, a placement must gain this much.
const GAIN: f64 = 1e-10;
/// A program ends where its bound is as close to what it has reached as this part of what is left below the cutoff.
const CLOSE: f64 = 0.3;
/// Part of a block that may be left: what rounding makes of none.
const LEFT: f64 = 1e-9;

pub(crate) struct Master {
    program: Columns,
    gains: Vec<f64>,
    /// By column: the type whose count it adds to, or the block that it serves.
    meaning: Vec<Meaning>,
    /// Rows: capacities of each block's types, one after the other, then upper bounds, then counts up to today's, then blocks, then
    /// limits.
    rows: Rows,
    /// What serving a block gains: more than it can cost.
    worth: f64,
    prices: Vec<f64>,
    /// What is dearer is of no interest; infinite where nothing is known.
    pub(crate) cutoff: f64,
    /// By block, where its slices may go; none where sizes are divided at will.
    bounds: Vec<Option<Bounds>>,
    /// By column, slices by place; empty where there are no bounds.
    placed: Vec<Vec<u32>>,
}

/// Where slices of a block may go.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// What one slice takes of each type, size by size.
    pub(crate) parts: std::sync::Arc<[f64]>,
    pub(crate) domain: Domain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Count(usize),
    Block(usize),
}

/// A node's program: what no whole counts within its bounds are cheaper than, and counts.
pub(crate) struct Relaxed {
    pub(crate) bound: f64,
    pub(crate) counts: Vec<f64>,
}

impl Master {
    pub(crate) fn new(model: &Model, blocks: &[Block]) -> Self {
        let rows = Rows::of(model, blocks);
        let dearest = model.types.iter().map(|one| one.cost + model.change_cost).fold(0.0, f64::max);
        let mut master = Self {
            program: Columns::new(vec![1.0; rows.all]),
            gains: Vec::new(),
            meaning: Vec::new(),
            prices: vec![0.0; rows.all],
            rows,
            worth: 3.0 * (model.simple_bound() + dearest) + 1.0,
            cutoff: f64::INFINITY,
            bounds: vec![None; blocks.len()],
            placed: Vec::new(),
        };
        for (at, one) in model.types.iter().enumerate() {
            let mut column = vec![0.0; master.rows.all];
            for (first, block) in master.rows.capacity.iter().zip(blocks) {
                if let Some(own) = block.types.iter().position(|other| *other == at) {
                    column[first + own] = -1.0;
                }
            }
            column[master.rows.high + at] = 1.0;
            for (limit, row) in model.limits.iter().zip(master.rows.limit..) {
                column[row] = limit.weights.iter().filter(|(other, _)| *other == at).map(|(_, weight)| weight).sum();
            }
            let change = if let Some(row) = master.rows.current[at] {
                // Up to today's count a replica more is a change less.
                let mut below = column.clone();
                below[row] = 1.0;
                master.push(&below, model.change_cost - one.cost, Meaning::Count(at));
                model.change_cost
            } else {
                0.0
            };
            master.push(&column, -(one.cost + change), Meaning::Count(at));
        }
        // To begin with, each block where it is cheapest.
        for (at, block) in blocks.iter().enumerate() {
            let costs: Vec<f64> = block.types.iter().map(|one| model.types[*one].cost.max(1e-9)).collect();
            master.place(at, block, &costs);
        }
        master
    }

    fn push(&mut self, column: &[f64], gain: f64, meaning: Meaning) {
        self.program.push(column);
        self.gains.push(gain);
        self.meaning.push(meaning);
        self.placed.push(Vec::new());
    }

    /// Takes bounds of slices, by block: placements beyond them are no longer used.
    pub(crate) fn within(&mut self, bounds: &[Option<Bounds>]) {
        self.bounds.clone_from_slice(bounds);
        self.regain(self.worth);
    }

    /// What placements gain: nothing that is beyond its block's bounds is worth having.
    fn regain(&mut self, worth: f64) {
        for ((gain, meaning), placed) in self.gains.iter_mut().zip(&self.meaning).zip(&self.placed) {
            if let Meaning::Block(at) = meaning {
                let allowed =
                    self.bounds[*at].as_ref().is_none_or(|own| !placed.is_empty() && own.domain.allows(placed));
                *gain = if allowed { worth } else { -worth };
            }
        }
    }

    /// Places a block's sizes at prices, and adds that; what it costs at them.
    fn place(&mut self, at: usize, block: &Block, prices: &[f64]) -> f64 {
        let mut loads = vec![0.0; prices.len()];
        let mut placed = Vec::new();
        let cost = match &self.bounds[at] {
            None => block.place(prices, &mut loads, None),
            Some(own) => {
                placed.resize(own.parts.len(), 0);
                let cost = own.domain.place(&own.parts, prices, &mut placed).unwrap_or(f64::INFINITY);
                add_loads(&own.parts, &placed, &mut loads);
                cost
            }
        };
        let mut column = vec![0.0; self.rows.all];
        column[self.rows.capacity[at]..self.rows.capacity[at] + loads.len()].copy_from_slice(&loads);
        column[self.rows.block + at] = 1.0;
        self.push(&column, self.worth, Meaning::Block(at));
        if let Some(last) = self.placed.last_mut() {
            *last = placed;
        }
        cost
    }

    /// None where nothing is within the bounds. Stops as soon as the bound is beyond `enough`.
    pub(crate) fn solve(
        &mut self,
        model: &Model,
        blocks: &[Block],
        (low, high): (&[u32], &[u32]),
        enough: &dyn Fn(f64) -> bool,
    ) -> Option<Relaxed> {
        self.forget();
        let rhs = self.right(model, blocks, low, high)?;
        self.program.set_rhs(&rhs);
        let mut bound = f64::NEG_INFINITY;
        // Where something is left, either nothing more can be, or serving is not worth enough yet.
        for _ in 0..6 {
            bound = bound.max(self.generate(model, blocks, (low, high), enough));
            if self.served(blocks.len()) || enough(bound) {
                return Some(Relaxed { bound, counts: self.counts(low) });
            }
            if !self.can(blocks) {
                return None;
            }
            self.worth *= 20.0;
            self.regain(self.worth);
        }
        Some(Relaxed { bound, counts: self.counts(low) })
    }

    /// Makes placements until none gains more; the best bound on the way.
    fn generate(
        &mut self,
        model: &Model,
        blocks: &[Block],
        range: (&[u32], &[u32]),
        enough: &dyn Fn(f64) -> bool,
    ) -> f64 {
        let mut best = f64::NEG_INFINITY;
        for _ in 0..MOST_PLACEMENTS {
            let end = self.program.maximize(&self.gains);
            let (added, cost) = self.improve(blocks);
            best = best.max(self.bound(model, blocks, range, cost));
            if !added || end != End::Best || enough(best) || self.close(model, blocks.len(), range.0, best) {
                break;
            }
        }
        best
    }

    /// Whether the program's optimum, between a bound and what has been reached, is known well enough: what has been reached is so far
    /// below the cutoff that the node will be branched in any case.
    fn close(&self, model: &Model, blocks: usize, low: &[u32], bound: f64) -> bool {
        if !self.cutoff.is_finite() {
            return false;
        }
        let gained: f64 = self.program.levels().map(|(column, level)| self.gains[column] * level).sum();
        let reached = model.objective(low) + self.worth * blocks as f64 - gained;
        reached - bound <= CLOSE * (self.cutoff - reached).max(0.0)
    }

    /// Adds the placements that gain at the program's prices; whether there were any, and what all blocks cost at them.
    fn improve(&mut self, blocks: &[Block]) -> (bool, f64) {
        self.prices.clear();
        self.prices.extend(self.program.prices().iter().map(|price| price.max(0.0)));
        let (mut added, mut total) = (false, 0.0);
        for (at, block) in blocks.iter().enumerate() {
            let own = self.own_prices(at, block);
            let cost = self.place(at, block, &own);
            total += cost;
            let gain = self.gains.last().copied().unwrap_or(0.0) - cost - self.prices[self.rows.block + at];
            if gain > GAIN * self.worth.max(1.0) {
                added = true;
            } else {
                self.program.pop();
                self.gains.pop();
                self.meaning.pop();
                self.placed.pop();
            }
        }
        (added, total)
    }

    fn served(&self, blocks: usize) -> bool {
        let mut served = vec![0.0; blocks];
        for (column, level) in self.program.levels() {
            if let Meaning::Block(at) = self.meaning[column] {
                served[at] += level;
            }
        }
        served.iter().all(|served| *served >= 1.0 - LEFT)
    }

    /// Whether all can be served, whatever it costs.
    fn can(&mut self, blocks: &[Block]) -> bool {
        let (gains, worth) = (self.gains.clone(), self.worth);
        self.gains.fill(0.0);
        self.worth = 1.0;
        self.regain(1.0);
        for _ in 0..MOST_PLACEMENTS {
            let end = self.program.maximize(&self.gains);
            if self.served(blocks.len()) || !self.improve(blocks).0 || end != End::Best {
                break;
            }
        }
        let served = self.served(blocks.len());
        self.gains[..gains.len()].copy_from_slice(&gains);
        self.gains[gains.len()..].fill(worth);
        self.worth = worth;
        served
    }

    /// What a block's slices are mixed of, by place; after [`Master::solve`] within bounds.
    pub(crate) fn mixed(&self, block: usize) -> Vec<f64> {
        let mut mixed = vec![0.0; self.bounds[block].as_ref().map_or(0, |own| own.parts.len())];
        let own = self.program.levels().filter(|(column, _)| self.meaning[*column] == Meaning::Block(block));
        for (column, level) in own {
            for (sum, count) in mixed.iter_mut().zip(&self.placed[column]) {
                *sum += level * f64::from(*count);
            }
        }
        mixed
    }

    fn counts(&self, low: &[u32]) -> Vec<f64> {
        let mut counts: Vec<f64> = low.iter().map(|count| f64::from(*count)).collect();
        for (column, level) in self.program.levels() {
            if let Meaning::Count(at) = self.meaning[column] {
                counts[at] += level;
            }
        }
        counts
    }

    /// Drops the oldest placements where there are too many.
    fn forget(&mut self) {
        let fixed = self.meaning.iter().take_while(|one| matches!(one, Meaning::Count(_))).count();
        let pool = POOL.max(3 * self.rows.all);
        if self.meaning.len() > fixed + pool {
            let drop = fixed..self.meaning.len() - pool / 2;
            let stays = self.program.forget(drop);
            keep(&mut self.gains, &stays);
            keep(&mut self.meaning, &stays);
            keep(&mut self.placed, &stays);
        }
    }
}

/// Adds what slices take of each type.
pub(crate) fn add_loads(parts: &[f64], placed: &[u32], loads: &mut [f64]) {
    for (placed, parts) in placed.chunks_exact(loads.len()).zip(parts.chunks_exact(loads.len())) {
        for ((load, count), part) in loads.iter_mut().zip(placed).zip(parts).filter(|((_, count), _)| **count > 0) {
            *load += f64::from(*count) * part;
        }
    }
}
