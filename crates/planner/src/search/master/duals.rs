//! What the prices of a node's program say: what replicas earn, what their time is worth, and what no counts are cheaper than (Lagrange).

use super::Master;
use crate::model::Model;
use crate::search::block::Block;

impl Master {
    /// What a replica of each type earns at the prices.
    pub(in crate::search) fn paid(&self, model: &Model, blocks: &[Block]) -> Vec<f64> {
        let mut paid = vec![0.0; model.types.len()];
        for (at, block) in blocks.iter().enumerate() {
            for (one, price) in block.types.iter().zip(self.own_prices(at, block)) {
                paid[*one] += price;
            }
        }
        for (limit, row) in model.limits.iter().zip(self.rows.limit..) {
            for (at, weight) in &limit.weights {
                paid[*at] -= self.prices[row] * weight;
            }
        }
        paid
    }

    /// Prices of the time of a block's types. Prices of nothing leave open where a size goes.
    pub(in crate::search) fn own_prices(&self, at: usize, block: &Block) -> Vec<f64> {
        let first = self.rows.capacity[at];
        self.prices[first..first + block.types.len()].iter().map(|price| price.max(1e-12)).collect()
    }

    /// What no counts within the bounds are cheaper than, at the program's prices, at which serving costs so much.
    pub(in crate::search) fn bound(
        &self,
        model: &Model,
        blocks: &[Block],
        (low, high): (&[u32], &[u32]),
        cost: f64,
    ) -> f64 {
        let mut bound = cost;
        let paid = self.paid(model, blocks);
        for (limit, row) in model.limits.iter().zip(self.rows.limit..) {
            bound -= self.prices[row] * limit.most;
        }
        for (at, one) in model.types.iter().enumerate() {
            let value = |count: u32| {
                let change = one.current.map_or(0.0, |now| f64::from(now.abs_diff(count)) * model.change_cost);
                (one.cost - paid[at]) * f64::from(count) + change
            };
            // Convex in the count: the least is at a bound or at today's.
            let now = one.current.map(|now| now.clamp(low[at], high[at]));
            let least =
                [Some(low[at]), Some(high[at]), now].into_iter().flatten().map(value).fold(f64::INFINITY, f64::min);
            bound += least;
        }
        bound
    }

    /// What a replica's time is worth to a block, after [`Master::solve`]; the block's own number of the type.
    pub(crate) fn price(&self, block: usize, own: usize) -> f64 {
        self.prices[self.rows.capacity[block] + own]
    }

    /// What one replica more of a type costs in limits that are used up.
    pub(crate) fn limited(&self, model: &Model, at: usize) -> f64 {
        let limits = model.limits.iter().zip(self.rows.limit..);
        let weight = |(limit, row): (&crate::model::Limit, usize)| {
            let own = limit.weights.iter().filter(|(other, _)| *other == at);
            own.map(|(_, weight)| weight * self.prices[row]).sum::<f64>()
        };
        limits.map(weight).sum()
    }
}
