//! The search over counts of replicas, the only whole numbers of a problem whose sizes may be divided at will: branch and bound,
//! cheapest bound first, each node a linear program. A judge may refuse counts that carry
//! them only divided: the search then goes on with all counts that are not as few of every type.

use super::block::Block;
use super::effects::{Decided, Effects};
use super::exchange::Cuts;
use super::master::{Master, Relaxed};
use crate::limits::Limits;
use crate::model::Model;
use crate::together::Together;
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

/// What is this close to a whole number is one.
const WHOLE: f64 = 1e-6;
/// Times that a node is solved anew after its prices ruled out where it is.
const AGAIN: usize = 3;
/// Time for the first node, however late it is: what is rounded from it is far better than what was there before.
const FIRST: Duration = Duration::from_millis(200);
/// Nodes that wait, and counts of which nothing is known: beyond this the search ends, as at its deadline.
const MOST_WAITING: usize = 500_000;

/// What a judge says of counts that carry the sizes if they are divided at will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Carries,
    /// Neither they nor fewer.
    Cannot,
    Unknown,
}

/// A judge of whole counts and what they come to.
pub(crate) type Judge<'a> = dyn FnMut(&mut [Block], &[u32], f64) -> Verdict + 'a;

pub(crate) struct Search<'a> {
    pub(crate) model: &'a Model,
    pub(crate) blocks: Vec<Block>,
    master: Master,
    effects: Effects,
    cuts: Cuts,
    waiting: BinaryHeap<Node>,
    /// The cheapest counts that the judge has let pass, and what they come to.
    pub(crate) best: Option<(f64, Vec<u32>)>,
    /// Counts of which the judge knew nothing, and what they come to.
    pub(crate) open: Vec<(f64, Vec<u32>)>,
    /// All objectives are multiples of it; 0 where that is not known.
    pub(crate) step: f64,
    nodes: u64,
    /// What was found out elsewhere: no answer is cheaper.
    floor: f64,
    /// Another search of the same problem.
    pub(crate) together: Option<Arc<Together>>,
}

#[derive(Debug, Clone)]
struct Node {
    bound: f64,
    id: u64,
    low: Vec<u32>,
    high: Vec<u32>,
    decided: Option<Decided>,
}

impl Ord for Node {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest: the lowest bound, and of several the latest.
        other.bound.total_cmp(&self.bound).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Node {}

impl<'a> Search<'a> {
    pub(crate) fn new(model: &'a Model) -> Self {
        let blocks = Block::all(model);
        let master = Master::new(model, &blocks);
        let root = Node {
            bound: 0.0,
            id: 0,
            low: model.types.iter().map(|one| one.min).collect(),
            high: highest(model),
            decided: None,
        };
        Self {
            model,
            blocks,
            master,
            cuts: Cuts::default(),
            effects: Effects::new(model.types.iter().map(|one| one.cost)),
            waiting: BinaryHeap::from([root]),
            best: None,
            open: Vec::new(),
            step: model.step(),
            nodes: 0,
            floor: 0.0,
            together: None,
        }
    }

    /// Counts that are known to be an answer.
    pub(crate) fn offer(&mut self, counts: Vec<u32>) {
        let value = self.model.objective(&counts);
        if self.best.as_ref().is_none_or(|(best, _)| value < *best) {
            self.best = Some((value, counts));
            if let Some(together) = &self.together {
                together.found(value);
            }
        }
    }

    /// No answer is cheaper than this.
    pub(crate) fn bound(&self) -> f64 {
        let best = self.best.as_ref().map_or(f64::INFINITY, |(best, _)| *best);
        let waiting = self.waiting.peek().map_or(f64::INFINITY, |node| self.raised(node.bound));
        let open = self.open.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min);
        best.min(waiting.min(open).max(self.floor))
    }

    /// Whether no counts are left that nobody has judged.
    pub(crate) fn seen(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A bound, up to the next value that an objective can have.
    fn raised(&self, bound: f64) -> f64 {
        raised(bound, self.step)
    }

    /// Whether nothing with this bound is cheaper than what is known.
    pub(crate) fn beaten(&self, bound: f64) -> bool {
        beaten(self.known(), self.raised(bound))
    }

    /// What the cheapest answer comes to that this search or another knows.
    fn known(&self) -> Option<f64> {
        let own = self.best.as_ref().map(|(best, _)| *best);
        own.into_iter().chain(self.together.as_ref().and_then(|together| together.best())).reduce(f64::min)
    }

    /// No answer is cheaper than this, as found out elsewhere.
    pub(crate) fn settle(&mut self, bound: f64) {
        self.floor = self.floor.max(bound);
    }

    /// Searches until nothing is left or the limits are reached.
    pub(crate) fn run(&mut self, limits: &Limits, judge: &mut Judge<'_>) {
        while let Some(node) = self.waiting.pop() {
            if self.beaten(node.bound) {
                self.waiting.clear();
                break;
            }
            // The root is visited however late it is, so that there is an answer.
            if (self.nodes > 0 && limits.reached(self.nodes)) || self.waiting.len() + self.open.len() > MOST_WAITING {
                self.waiting.push(node);
                return;
            }
            self.nodes += 1;
            let known = self.best.as_ref().map(|(best, _)| *best);
            let first = (self.nodes == 1).then(|| limits.all(FIRST));
            let limits = first.as_ref().unwrap_or(limits);
            self.visit(node, judge, limits);
            self.improve(known, limits);
        }
    }

    fn visit(&mut self, mut node: Node, judge: &mut Judge<'_>, limits: &Limits) {
        let (best, step) = (self.known(), self.step);
        let ended = Cell::new(false);
        let enough = |bound: f64| {
            let enough = beaten(best, raised(bound, step));
            // Where nothing is known it is solved however late it is.
            ended.set(!enough && best.is_some() && limits.reached(0));
            enough || ended.get()
        };
        self.master.cutoff = best.map_or(f64::INFINITY, |best| best - step);
        let mut relaxed = self.master.solve(self.model, &self.blocks, (&node.low, &node.high), &enough);
        if let (true, Some(relaxed)) = (ended.get(), &relaxed) {
            return self.cut_short(node, relaxed, judge, limits);
        }
        if let (Some(decided), Some(relaxed)) = (node.decided.take(), &relaxed) {
            self.effects.learn(decided, relaxed.bound);
        }
        for _ in 0..AGAIN {
            let Some(known) = &relaxed else { return };
            node.bound = node.bound.max(known.bound);
            if self.beaten(node.bound) || !self.narrow(&mut node) {
                return;
            }
            let bounds = node.low.iter().zip(&node.high);
            if bounds
                .zip(&known.counts)
                .all(|((low, high), count)| f64::from(*low) <= count + WHOLE && *count <= f64::from(*high) + WHOLE)
            {
                break;
            }
            relaxed = self.master.solve(self.model, &self.blocks, (&node.low, &node.high), &enough);
            if let (true, Some(relaxed)) = (ended.get(), &relaxed) {
                return self.cut_short(node, relaxed, judge, limits);
            }
        }
        let Some(relaxed) = relaxed else { return };
        node.bound = node.bound.max(relaxed.bound);
        let counts = relaxed.counts;
        if counts.iter().all(|count| (count - count.round()).abs() <= WHOLE) {
            let whole: Vec<u32> = counts.iter().map(|count| as_count(count.round())).collect();
            if self.carries(&whole) && self.model.within(&whole) {
                return self.judged(node, &whole, judge);
            }
        }
        if self.nodes.is_power_of_two() {
            self.round_up(&node, &counts, judge, limits);
        }
        self.branch(&node, &counts);
    }

    /// Keeps a node whose program was ended by the clock, for nothing is known of it but a bound. Of the first one, what the program
    /// has come to is taken as it is.
    fn cut_short(&mut self, node: Node, relaxed: &Relaxed, judge: &mut Judge<'_>, limits: &Limits) {
        if self.nodes == 1 {
            self.round_up(&node, &relaxed.counts, judge, limits);
        }
        self.waiting.push(Node { bound: node.bound.max(relaxed.bound), ..node });
    }

    /// Looks near counts that are better than what was known. Where sizes go whole, a judge would have to be asked of each.
    fn improve(&mut self, known: Option<f64>, limits: &Limits) {
        let least = self.bound();
        let Some((best, counts)) = &self.best else { return };
        if self.model.slices.is_none() && known.is_none_or(|known| *best < known) {
            let found = self.cuts.descend(self.model, &mut self.blocks, counts, least, limits);
            if let Some(counts) = found {
                self.offer(counts);
            }
        }
    }

    /// Cheaper counts near the best answer, those with most room first: where sizes go whole, that is where they may fit.
    pub(crate) fn roomiest(&mut self, limits: &Limits) -> Vec<Vec<u32>> {
        let least = self.bound();
        let Some((_, counts)) = &self.best else { return Vec::new() };
        self.cuts.roomiest(self.model, &mut self.blocks, counts, least, limits)
    }

    /// Rules out counts that are not cheaper than what is known; false where that leaves none.
    fn narrow(&self, node: &mut Node) -> bool {
        let Some(best) = self.known() else { return true };
        // A little more than the next lower value that an objective can have.
        let most = best - 0.999 * self.step;
        self.master.narrow(self.model, &self.blocks, (&mut node.low, &mut node.high), &mut [], most)
    }

    /// Whether whole counts carry the sizes where these may be divided at will.
    pub(crate) fn carries(&mut self, counts: &[u32]) -> bool {
        self.cuts.carries(&mut self.blocks, counts)
    }

    fn judged(&mut self, node: Node, counts: &[u32], judge: &mut Judge<'_>) {
        let value = self.model.objective(counts);
        match judge(&mut self.blocks, counts, value) {
            Verdict::Carries => return self.offer(counts.to_vec()),
            Verdict::Unknown => self.open.push((value, counts.to_vec())),
            Verdict::Cannot => {}
        }
        // All that is not as few of every type, each once.
        let mut rest = node;
        for at in 0..counts.len() {
            if counts[at] < rest.high[at] {
                let mut low = rest.low.clone();
                low[at] = low[at].max(counts[at] + 1);
                self.wait(Node { low, high: rest.high.clone(), ..rest });
            }
            rest.high[at] = rest.high[at].min(counts[at]);
        }
    }

    fn wait(&mut self, node: Node) {
        if node.low.iter().zip(&node.high).any(|(low, high)| low > high) {
            return;
        }
        let id = self.nodes * 1000 + self.waiting.len() as u64 % 1000;
        self.waiting.push(Node { id, ..node });
    }

    fn branch(&mut self, node: &Node, counts: &[f64]) {
        let weight = |at: &usize| {
            let part = counts[*at] - counts[*at].floor();
            let free = f64::from(node.high[*at] > node.low[*at]);
            // Where none is fractional, what was whole but for rounding is divided somewhere.
            let fractional = f64::from(part.min(1.0 - part) > WHOLE);
            free * (fractional * self.effects.weight(*at, part) + 1e-30)
        };
        let Some(at) = (0..counts.len()).max_by(|a, b| weight(a).total_cmp(&weight(b))) else { return };
        if node.high[at] <= node.low[at] {
            return;
        }
        let below = as_count(counts[at].floor()).clamp(node.low[at], node.high[at] - 1);
        let (mut high, mut low) = (node.high.clone(), node.low.clone());
        (high[at], low[at]) = (below, below + 1);
        let part = counts[at] - counts[at].floor();
        let decided = |up: bool, way: f64| Some(Decided { at, up, way, bound: node.bound });
        self.wait(Node { low: node.low.clone(), high, decided: decided(false, part), ..*node });
        self.wait(Node { low, high: node.high.clone(), decided: decided(true, 1.0 - part), ..*node });
    }

    /// Whole counts near fractional ones that carry the sizes: all rounded up, then fewer of the dearest types where that is enough.
    fn round_up(&mut self, node: &Node, counts: &[f64], judge: &mut Judge<'_>, limits: &Limits) {
        let up = counts.iter().zip(&node.high).map(|(count, high)| as_count((count - WHOLE).ceil()).min(*high));
        let mut counts: Vec<u32> = up.collect();
        if !self.carries(&counts) {
            return;
        }
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by(|a, b| self.model.types[*b].cost.total_cmp(&self.model.types[*a].cost));
        for at in order {
            if counts[at] > node.low[at] && !limits.reached(0) {
                counts[at] -= 1;
                if !self.carries(&counts) {
                    counts[at] += 1;
                }
            }
        }
        let value = self.model.objective(&counts);
        if self.model.within(&counts)
            && !self.beaten(value)
            && judge(&mut self.blocks, &counts, value) == Verdict::Carries
        {
            self.offer(counts);
        }
    }
}

/// A bound, up to the next multiple of a step.
pub(crate) fn raised(bound: f64, step: f64) -> f64 {
    if step > 0.0 { ((bound - 1e-7) / step).ceil() * step } else { bound }
}

/// Whether nothing with this bound is cheaper than the best.
pub(crate) fn beaten(best: Option<f64>, bound: f64) -> bool {
    best.is_some_and(|best| bound >= best - 1e-9 * best.max(1.0))
}

/// Of each type no more than all its sizes need, or than there are where a change costs: the least that its maximum may be.
pub(crate) fn highest(model: &Model) -> Vec<u32> {
    let most = |(at, one): (usize, &crate::model::Type)| {
        let all: f64 = model.sizes.iter().filter_map(|size| size.needs[at]).sum();
        let kept = if model.change_cost > 0.0 { one.current.unwrap_or(0) } else { 0 };
        // One more than whole, for what rounding makes of it.
        as_count(all.ceil() + 1.0).max(kept).max(one.min).min(one.max)
    };
    model.types.iter().enumerate().map(most).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
pub(crate) fn as_count(count: f64) -> u32 {
    count.max(0.0) as u32
}
