//! Whether counts of replicas carry sizes that may be divided at will, answered in prices: for prices `u` of a replica's time, sizes
//! cost at least `v(u)`, each served where it is cheapest, so counts `y` carry them only where `u·y >= v(u)`. The highest multiple of
//! the sizes that counts carry is a linear program with a row for each type and a column for each way to place all sizes on types,
//! made as needed (Dantzig and Wolfe, 1960); its prices are either a proof that counts are enough or a cut that they miss
//! (Benders, 1962). Sizes and types that have nothing to do with others make a block of their own.

use super::lp::{Columns, End, keep};
use crate::model::Model;

/// Placements that are kept from question to question.
const POOL: usize = 300;
/// Placements of one question.
const MOST_PLACEMENTS: usize = 2_000;
/// A multiple this close to another is the same.
const SAME: f64 = 1e-10;
/// Counts carry sizes where they carry this multiple of them: what rounding makes of exactly enough.
pub(crate) const ENOUGH: f64 = 1.0 - 1e-9;

/// Types and sizes that have to do with each other.
pub(crate) struct Block {
    /// By the model's numbers, ascending.
    pub(crate) types: Vec<usize>,
    /// By the model's numbers.
    pub(crate) sizes: Vec<usize>,
    /// Replicas that a size needs of each of the types, size by size; infinite where it cannot be served.
    pub(crate) needs: Vec<f64>,
    /// Whether it is of the whole load, not of what is kept in reserve alone.
    pub(crate) whole: bool,
    /// What stands for no replicas.
    nothing: f64,
    program: Columns,
    /// The types of each column's sizes, as the columns of `program` are.
    places: Vec<Vec<u16>>,
}

/// Prices of replicas' time, by the block's types, at which the sizes cost at least 1.
pub(crate) type Prices = Vec<f64>;

/// What counts carry.
pub(crate) struct Carried {
    /// The highest multiple of the sizes.
    pub(crate) multiple: f64,
    pub(crate) prices: Prices,
}

impl Block {
    /// The blocks of a model: of all of its types and, for what must be served without spot types, of the others.
    pub(crate) fn all(model: &Model) -> Vec<Self> {
        let all: Vec<usize> = (0..model.types.len()).collect();
        let mut blocks = Self::split(model, &all, None);
        if model.reserve > 0.0 {
            let lasting: Vec<usize> = all.into_iter().filter(|at| !model.types[*at].spot).collect();
            blocks.extend(Self::split(model, &lasting, Some(model.reserve)));
        }
        blocks
    }

    /// The blocks of some types, with the whole of each size's load or a share of it.
    fn split(model: &Model, types: &[usize], share: Option<f64>) -> Vec<Self> {
        // Each type begins alone; sizes join those that can serve them.
        let mut group: Vec<usize> = (0..model.types.len()).collect();
        for size in &model.sizes {
            let mut able = types.iter().filter(|at| size.needs[**at].is_some());
            let Some(first) = able.next().map(|at| group[*at]) else { continue };
            for other in able.map(|at| group[*at]).collect::<Vec<_>>() {
                group.iter_mut().filter(|own| **own == other).for_each(|own| *own = first);
            }
        }
        let mut blocks = Vec::new();
        for head in 0..model.types.len() {
            let own: Vec<usize> = types.iter().copied().filter(|at| group[*at] == head).collect();
            let able = |at: &usize| own.iter().any(|one| model.sizes[*at].needs[*one].is_some());
            let sizes: Vec<usize> = (0..model.sizes.len()).filter(able).collect();
            if !sizes.is_empty() {
                blocks.push(Self::of(model, own, sizes, share));
            }
        }
        blocks
    }

    fn of(model: &Model, types: Vec<usize>, sizes: Vec<usize>, share: Option<f64>) -> Self {
        let need = |size: &usize, at: &usize| {
            model.sizes[*size].needs[*at].map_or(f64::INFINITY, |need| need * share.unwrap_or(1.0))
        };
        let needs: Vec<f64> = sizes.iter().flat_map(|size| types.iter().map(move |at| need(size, at))).collect();
        let least = needs.iter().copied().fold(1.0, f64::min);
        let program = Columns::new(vec![1.0; types.len()]);
        Self { types, sizes, needs, whole: share.is_none(), nothing: least * 1e-9, program, places: Vec::new() }
    }

    /// Places each size where prices make it cheapest: what that costs in all.
    pub(crate) fn place(&self, prices: &[f64], loads: &mut [f64], mut places: Option<&mut Vec<u16>>) -> f64 {
        loads.fill(0.0);
        let mut total = 0.0;
        for needs in self.needs.chunks_exact(self.types.len()) {
            let mut best = (f64::INFINITY, 0);
            for (at, (need, price)) in needs.iter().zip(prices).enumerate() {
                let cost = need * price;
                // No number, of a price of nothing for what cannot be, is not less.
                if cost < best.0 {
                    best = (cost, at);
                }
            }
            total += best.0;
            loads[best.1] += needs[best.1];
            if let Some(places) = &mut places {
                places.push(u16::try_from(best.1).unwrap_or(u16::MAX));
            }
        }
        total
    }

    /// Counts of the block's types among all.
    pub(crate) fn own(&self, counts: &[f64]) -> Vec<f64> {
        self.types.iter().map(|at| counts[*at]).collect()
    }

    /// The highest multiple of the sizes that counts of the block's types carry, and the prices that prove it.
    pub(crate) fn carried(&mut self, counts: &[f64]) -> Carried {
        let rhs: Vec<f64> = counts.iter().map(|count| count.max(self.nothing)).collect();
        if self.program.len() > POOL {
            let drop = ..self.places.len() - POOL / 2;
            let stays = self.program.forget(0..drop.end);
            keep(&mut self.places, &stays);
        }
        self.program.set_rhs(&rhs);
        let mut loads = vec![0.0; self.types.len()];
        let mut best = Carried { multiple: f64::INFINITY, prices: Vec::new() };
        for _ in 0..MOST_PLACEMENTS {
            let gains = vec![1.0; self.program.len()];
            let end = self.program.maximize(&gains);
            // Prices of nothing leave what a size costs open.
            let prices: Vec<f64> = self.program.prices().iter().map(|price| price.max(1e-300)).collect();
            let mut places = Vec::with_capacity(self.sizes.len());
            let cost = self.place(&prices, &mut loads, Some(&mut places));
            let multiple = prices.iter().zip(&rhs).map(|(price, count)| price * count).sum::<f64>() / cost;
            if cost > 0.0 && multiple < best.multiple {
                best = Carried { multiple, prices: prices.iter().map(|price| price / cost).collect() };
            }
            if cost >= 1.0 - SAME || end != End::Best {
                break;
            }
            self.program.push(&loads);
            self.places.push(places);
        }
        best
    }

    /// Shares by size and by the block's types with which counts carry the sizes, each type filled to at most the same part; to be
    /// asked after [`Block::carried`] of the same counts.
    pub(crate) fn shares(&self) -> Vec<Vec<f64>> {
        let mut shares = vec![vec![0.0; self.types.len()]; self.sizes.len()];
        let total: f64 = self.program.levels().map(|(_, level)| level).sum();
        for (column, level) in self.program.levels() {
            for (own, place) in shares.iter_mut().zip(&self.places[column]) {
                own[usize::from(*place)] += level / total;
            }
        }
        shares
    }
}
