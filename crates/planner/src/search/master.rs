//! Counts of replicas that are as cheap as cuts, caps, quotas and budget allow where they need not be whole: the linear program of a
//! node of the search. It is solved in its dual, whose feasible set no node changes, so that each node goes on from the last basis.

use super::lp::{Columns, End};
use crate::model::Model;

/// Cost of what is free: a dual needs right-hand sides above 0.
const FREE: f64 = 1e-9;

pub(crate) struct Master {
    types: usize,
    program: Columns,
    /// Right-hand sides of the primal's rows `a·x >= b`, as the columns of `program` are; the first are upper bounds.
    least: Vec<f64>,
    variables: usize,
}

/// A node's program: its value and the counts.
pub(crate) struct Relaxed {
    pub(crate) bound: f64,
    pub(crate) counts: Vec<f64>,
}

impl Master {
    pub(crate) fn new(model: &Model) -> Self {
        let types = model.types.len();
        let changing: Vec<(usize, u32)> = model
            .types
            .iter()
            .enumerate()
            .filter(|_| model.change_cost > 0.0)
            .filter_map(|(at, one)| Some((at, one.current?)))
            .collect();
        let costs = model.types.iter().map(|one| one.cost.max(FREE));
        let costs: Vec<f64> = costs.chain(changing.iter().map(|_| model.change_cost)).collect();
        let variables = costs.len();
        let mut master = Self { types, program: Columns::new(costs), least: Vec::new(), variables };
        for at in 0..types {
            master.row(&[(at, -1.0)], 0.0);
        }
        for (extra, (at, now)) in changing.iter().enumerate() {
            // A change is at least the difference, either way.
            master.row(&[(types + extra, 1.0), (*at, -1.0)], -f64::from(*now));
            master.row(&[(types + extra, 1.0), (*at, 1.0)], f64::from(*now));
        }
        for limit in &model.limits {
            let terms: Vec<(usize, f64)> = limit.weights.iter().map(|(at, weight)| (*at, -weight)).collect();
            master.row(&terms, -limit.most);
        }
        master
    }

    fn row(&mut self, terms: &[(usize, f64)], least: f64) {
        let mut column = vec![0.0; self.variables];
        for (at, weight) in terms {
            column[*at] = *weight;
        }
        self.program.push(&column);
        self.least.push(least);
    }

    /// Counts of some types are worth at least 1 at these prices.
    pub(crate) fn cut(&mut self, types: &[usize], prices: &[f64]) {
        let largest = prices.iter().copied().fold(0.0, f64::max);
        let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        let terms: Vec<(usize, f64)> = types.iter().zip(prices).map(|(at, price)| (*at, price * scale)).collect();
        self.row(&terms, scale);
    }

    pub(crate) fn rows(&self) -> usize {
        self.least.len()
    }

    /// None where nothing is within the bounds.
    pub(crate) fn solve(&mut self, model: &Model, low: &[u32], high: &[u32]) -> Option<Relaxed> {
        let from: Vec<f64> = low.iter().map(|count| f64::from(*count)).collect();
        for (least, count) in self.least.iter_mut().zip(high) {
            *least = -f64::from(*count);
        }
        let gain = |(at, least): (usize, &f64)| {
            let base: f64 = self.program.column(at).iter().zip(&from).map(|(a, b)| a * b).sum();
            least - base
        };
        let gains: Vec<f64> = self.least.iter().enumerate().map(gain).collect();
        if self.program.maximize(&gains) == End::Unbounded {
            return None;
        }
        let base: f64 = model.types.iter().zip(&from).map(|(one, count)| one.cost * count).sum();
        let bound = base + self.program.value(&gains);
        let prices = self.program.prices();
        let counts = (0..self.types).map(|at| (from[at] + prices[at].max(0.0)).min(f64::from(high[at]))).collect();
        Some(Relaxed { bound, counts })
    }
}
