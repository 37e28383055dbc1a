//! Counts and whole slices searched together, depth first: what is divided most is decided first, be it a type's count or where a
//! slice goes. Where few sizes make most of the load, that rules out many counts at once.

use super::block::Block;
use super::counts::{as_count, beaten, highest, raised};
use super::master::{Bounds, Master, add_loads};
use crate::domain::Domain;
use crate::greedy::{Draft, whole};
use crate::limits::Limits;
use crate::model::Model;
use std::cell::Cell;

/// What is this close to a whole number is one.
const WHOLE: f64 = 1e-6;

/// What the search came to.
pub(crate) struct Found {
    /// The cheapest draft that is cheaper than what was known.
    pub(crate) draft: Option<Draft>,
    /// Whether nothing is left that may be cheaper than it or what was known.
    pub(crate) all: bool,
}

struct Node {
    low: Vec<u32>,
    high: Vec<u32>,
    bounds: Vec<Option<Bounds>>,
}

struct Joint<'a> {
    model: &'a Model,
    slices: u32,
    blocks: Vec<Block>,
    master: Master,
    step: f64,
    best: Option<f64>,
    draft: Option<Draft>,
    /// Whether something was whole but for rounding, and no answer; or was not looked at to its end.
    doubt: bool,
}

/// What is decided next.
enum Branch {
    Count(usize, f64),
    Place { block: usize, place: usize, value: f64 },
}

/// Searches for what is cheaper than `best`, which is what is known.
pub(crate) fn search(model: &Model, slices: u32, best: Option<f64>, limits: &Limits) -> Found {
    let blocks = Block::all(model);
    let master = Master::new(model, &blocks);
    let bounds = blocks.iter().map(|block| block.whole.then(|| bounds(block, slices))).collect();
    let root = Node { low: model.types.iter().map(|one| one.min).collect(), high: highest(model), bounds };
    let mut joint = Joint { model, slices, blocks, master, step: model.step(), best, draft: None, doubt: false };
    let mut stack = vec![root];
    for visited in 0.. {
        let Some(node) = stack.pop() else { break };
        if limits.reached(visited) {
            return Found { draft: joint.draft, all: false };
        }
        if let Some(known) = limits.best() {
            joint.best = Some(joint.best.map_or(known, |best| best.min(known)));
        }
        joint.visit(node, &mut stack, limits);
    }
    Found { draft: joint.draft, all: !joint.doubt }
}

fn bounds(block: &Block, slices: u32) -> Bounds {
    let parts: Vec<f64> = block.needs.iter().map(|need| need / f64::from(slices)).collect();
    Bounds { domain: Domain::of(&parts, block.types.len(), slices), parts: parts.into() }
}

impl Joint<'_> {
    fn visit(&mut self, mut node: Node, stack: &mut Vec<Node>, limits: &Limits) {
        let (best, step) = (self.best, self.step);
        let ended = Cell::new(false);
        let enough = |bound: f64| {
            let enough = beaten(best, raised(bound, step));
            ended.set(!enough && limits.reached(0));
            enough || ended.get()
        };
        self.master.cutoff = best.map_or(f64::INFINITY, |best| best - step);
        self.master.within(&node.bounds);
        let Some(relaxed) = self.master.solve(self.model, &self.blocks, (&node.low, &node.high), &enough) else {
            return;
        };
        if ended.get() {
            // Of this node nothing is known.
            self.doubt = true;
            return;
        }
        if beaten(best, raised(relaxed.bound, step)) {
            return;
        }
        let mixed: Vec<Vec<f64>> = (0..self.blocks.len()).map(|at| self.master.mixed(at)).collect();
        self.round(&relaxed.counts, &node.bounds, &mixed, limits);
        let branch = self.branch(&node, &relaxed.counts, &mixed);
        if beaten(self.best, raised(relaxed.bound, step)) {
            return;
        }
        if let Some(best) = self.best {
            let range = (&mut node.low[..], &mut node.high[..]);
            if !self.master.narrow(self.model, &self.blocks, range, &mut node.bounds, best - 0.999 * self.step) {
                return;
            }
        }
        match branch {
            Some(branch) => split(node, &branch, stack),
            None => self.doubt |= !beaten(self.best, raised(relaxed.bound, step)),
        }
    }

    /// Each slice where most of its size is, each count as large as that needs.
    fn round(&mut self, counts: &[f64], bounds: &[Option<Bounds>], mixed: &[Vec<f64>], limits: &Limits) {
        let kinds = self.model.types.len();
        let mut shares = vec![vec![0.0; kinds]; self.model.sizes.len()];
        let mut all = vec![0.0; kinds];
        for ((block, mixed), bounds) in self.blocks.iter().zip(mixed).zip(bounds) {
            let Some(bounds) = bounds else { continue };
            let own = block.types.len();
            let mut placed = vec![0; mixed.len()];
            for (placed, mixed) in placed.chunks_exact_mut(own).zip(mixed.chunks_exact(own)) {
                nearest(mixed, self.slices, placed);
            }
            let mut loads = vec![0.0; own];
            add_loads(&bounds.parts, &placed, &mut loads);
            for (load, at) in loads.iter().zip(&block.types) {
                all[*at] += load;
            }
            for (placed, size) in placed.chunks_exact(own).zip(&block.sizes) {
                for (count, at) in placed.iter().zip(&block.types) {
                    shares[*size][*at] = f64::from(*count) / f64::from(self.slices);
                }
            }
        }
        let least = self.model.types.iter().zip(&all).map(|(one, load)| whole(*load).max(one.min));
        let least: Vec<u32> = least.collect();
        // More where that is for a reserve, or because a change costs more than a replica.
        let more =
            least.iter().zip(counts).map(|(least, count)| as_count((count - WHOLE).ceil()).max(*least)).collect();
        for replicas in [least, more] {
            self.offer(&shares, replicas, limits);
        }
    }

    fn offer(&mut self, shares: &[Vec<f64>], replicas: Vec<u32>, limits: &Limits) {
        let value = self.model.objective(&replicas);
        let few = self.model.types.iter().zip(&replicas).all(|(one, count)| *count <= one.max);
        if few && !beaten(self.best, value) && self.model.within(&replicas) && self.carries(&replicas) {
            self.best = Some(value);
            let draft = Draft { shares: shares.to_vec(), replicas };
            limits.found(value, &draft);
            self.draft = Some(draft);
        }
    }

    /// Whether replicas carry what is kept in reserve.
    fn carries(&mut self, replicas: &[u32]) -> bool {
        let counts: Vec<f64> = replicas.iter().map(|count| f64::from(*count)).collect();
        let mut reserves = self.blocks.iter_mut().filter(|block| !block.whole);
        reserves.all(|block| block.carried(&block.own(&counts)).multiple >= super::block::ENOUGH)
    }

    /// What is divided most, weighed by what it costs; none where all is whole.
    fn branch(&self, node: &Node, counts: &[f64], mixed: &[Vec<f64>]) -> Option<Branch> {
        let divided = |value: f64| (value - value.floor()).min(value.ceil() - value);
        let mut best = (0.0, None);
        for (at, count) in counts.iter().enumerate().filter(|(at, _)| node.low[*at] < node.high[*at]) {
            let weight = divided(*count) * self.model.types[at].cost;
            if divided(*count) > WHOLE && weight >= best.0 {
                best = (weight, Some(Branch::Count(at, *count)));
            }
        }
        for (block, (mixed, bounds)) in mixed.iter().zip(&node.bounds).enumerate() {
            let Some(bounds) = bounds else { continue };
            let prices = self.master.own_prices(block, &self.blocks[block]);
            for (place, value) in mixed.iter().enumerate().filter(|(_, value)| divided(**value) > WHOLE) {
                let weight = divided(*value) * bounds.parts[place] * prices[place % prices.len()];
                if weight >= best.0 {
                    best = (weight, Some(Branch::Place { block, place, value: *value }));
                }
            }
        }
        best.1
    }
}

/// The two sides of what is decided; the nearer one is visited first.
fn split(node: Node, branch: &Branch, stack: &mut Vec<Node>) {
    let (Branch::Count(_, value) | Branch::Place { value, .. }) = branch;
    let below = as_count(value.floor());
    let copy = Node { low: node.low.clone(), high: node.high.clone(), bounds: node.bounds.clone() };
    let (mut less, mut more) = (copy, node);
    match branch {
        Branch::Count(at, _) => {
            less.high[*at] = less.high[*at].min(below);
            more.low[*at] = more.low[*at].max(below + 1);
        }
        Branch::Place { block, place, .. } => {
            if let (Some(less), Some(more)) = (&mut less.bounds[*block], &mut more.bounds[*block]) {
                less.domain.at_most(*place, below);
                more.domain.at_least(*place, below + 1);
            }
        }
    }
    let mut sides = [less, more];
    if value - value.floor() < 0.5 {
        sides.reverse();
    }
    let possible = |side: &Node| side.low.iter().zip(&side.high).all(|(low, high)| low <= high);
    stack.extend(sides.into_iter().filter(possible));
}

/// Whole slices of a size near a mixture: what is whole, and then where most is left.
fn nearest(mixed: &[f64], slices: u32, placed: &mut [u32]) {
    for (placed, value) in placed.iter_mut().zip(mixed) {
        *placed = as_count((value + WHOLE).floor());
    }
    while placed.iter().sum::<u32>() < slices {
        let left = |at: &usize| mixed[*at] - f64::from(placed[*at]);
        let Some(most) = (0..mixed.len()).max_by(|a, b| left(a).total_cmp(&left(b))) else { return };
        placed[most] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;
    use crate::solve;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn counts_and_slices_together_come_to_what_counts_alone_come_to(
            costs in proptest::collection::vec(0.2_f64..5.0, 3),
            sizes in proptest::collection::vec((0.05_f64..9.0, proptest::collection::vec(0.2_f64..4.0, 3)), 1..6),
            slices in 1_u32..4,
            change in 0_u32..3,
            reserve in 0.0_f64..1.0,
        ) {
            let names = ["a", "b", "c"];
            let gpu = |at: usize| json!({"cost": costs[at], "min": at % 2, "current": 2 * at, "spot": at == 1});
            let gpus: serde_json::Map<String, Value> = (0..3).map(|at| (names[at].to_owned(), gpu(at))).collect();
            let load: Vec<Value> = sizes.iter().map(|(rate, own)| {
                json!({"rate": rate, "capacity": {"a": own[0], "b": own[1], "c": own[2]}})
            }).collect();
            let text = json!({"gpus": gpus, "load": load, "split": {"slices": slices}, "spotReserve": reserve,
                "changeCost": f64::from(change) * 0.4}).to_string();
            let problem = Problem::from_json(&text).unwrap();
            let found = search(&Model::of(&problem), slices, None, &Limits::new(60.0, None));
            let (draft, answer) = (found.draft.unwrap(), solve(&problem).unwrap());
            prop_assert!(found.all);
            let value = Model::of(&problem).objective(&draft.replicas);
            prop_assert!((value - answer.objective).abs() < 1e-6, "{value}: {answer:?}");
        }
    }
}
