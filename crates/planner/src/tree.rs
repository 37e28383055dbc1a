//! Slices on types with so much room each, settled by branch and bound: the linear program of a node mixes placements within its
//! bounds (column generation, Dantzig and Wolfe, 1960), its prices rule out what would waste more than there is room for, and what
//! is divided most is decided first, depth first, so that answers are met on the way.

use crate::domain::Domain;
use crate::limits::Limits;
use crate::round::{Puzzle, State, seeded};
use crate::search::counts::Verdict;
use crate::search::lp::Columns;
use crate::search::master::add_loads;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Placements that are kept from node to node.
const POOL: usize = 80;
/// Placements of one node.
const MOST_PLACEMENTS: usize = 60;
/// Times that a node is solved anew after its prices ruled something out.
const AGAIN: usize = 2;
/// A program ends where its bound is this close to what it has reached, as a part of what there is to spare.
const CLOSE: f64 = 0.05;
/// Of all room, what rounding may make of nothing.
const TINY: f64 = 1e-8;
/// What is this close to whole slices is whole.
const WHOLE: f64 = 1e-6;
/// What stands for no room.
const NOTHING: f64 = 1e-9;
/// Prices below stand for nothing: they leave open where a slice goes.
const FREE: f64 = 1e-12;

struct Placement {
    counts: Vec<u32>,
    loads: Vec<f64>,
}

struct Node {
    domain: Domain,
    prices: Vec<f64>,
}

/// What a node's program came to.
enum Relaxed {
    /// Nothing fits within the node's bounds.
    Nothing,
    /// Slices by place, which need not be whole.
    Mixed(Vec<f64>),
}

struct Tree<'a> {
    puzzle: &'a Puzzle,
    kinds: usize,
    rhs: Vec<f64>,
    pool: Vec<Placement>,
    chance: Option<ChaCha8Rng>,
}

/// Whether all slices fit, found out within so many nodes, and where they go. With an effort above 0 what is decided first is partly
/// left to chance: how long a tree takes varies widely, and many short ones find more than one long one (restarts; Gomes, Selman
/// and Kautz, 1998).
pub(crate) fn settle(puzzle: &Puzzle, prices: &[f64], effort: u32, nodes: u64, limits: &Limits) -> (Verdict, Vec<u32>) {
    let kinds = puzzle.room.len();
    let rhs = puzzle.room.iter().map(|room| room.max(NOTHING)).collect();
    let chance = (effort > 0).then(|| seeded(u64::from(effort)));
    let mut tree = Tree { puzzle, kinds, rhs, pool: Vec::new(), chance };
    let root = Node { domain: Domain::of(&puzzle.parts, kinds, puzzle.slices), prices: prices.to_vec() };
    let mut stack = vec![root];
    let mut verdict = Verdict::Cannot;
    for visited in 0.. {
        let Some(mut node) = stack.pop() else { break };
        // A node of many sizes takes long; a look at the clock does not.
        if visited >= nodes || visited > 0 && limits.reached(0) {
            return (Verdict::Unknown, Vec::new());
        }
        let Relaxed::Mixed(mixed) = tree.relax(&mut node) else { continue };
        if let Some(counts) = tree.rounded(&mixed) {
            return (Verdict::Carries, counts);
        }
        match tree.branch(&mixed, &node.prices) {
            Some(place) => split(&mut stack, node, place, mixed[place]),
            // Whole but for rounding: too full by no more than rounding may be wrong.
            None => verdict = Verdict::Unknown,
        }
    }
    (verdict, Vec::new())
}

/// The two sides of a place that is divided; the nearer one is visited first.
fn split(stack: &mut Vec<Node>, node: Node, place: usize, value: f64) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of slices")]
    let below = value.floor() as u32;
    let (mut less, mut more) = (Node { domain: node.domain.clone(), prices: node.prices.clone() }, node);
    less.domain.at_most(place, below);
    more.domain.at_least(place, below + 1);
    let up = value - value.floor() >= 0.5;
    stack.extend(if up { [less, more] } else { [more, less] });
}

impl Tree<'_> {
    /// Solves a node's program, and narrows its bounds by what it says.
    fn relax(&mut self, node: &mut Node) -> Relaxed {
        for round in 0.. {
            let (spare, placed, mixed) = self.mix(node);
            let worth: f64 = node.prices.iter().zip(&self.rhs).map(|(price, room)| price * room).sum();
            if spare < -TINY * worth {
                break;
            }
            let allowed = spare + TINY * worth;
            // What is mixed last is within the bounds as they are then.
            if round == AGAIN || !node.domain.narrow(&self.puzzle.parts, &node.prices, allowed, &placed) {
                return Relaxed::Mixed(mixed);
            }
        }
        Relaxed::Nothing
    }

    /// The mixture of placements that takes least of the room: what the best prices leave to spare, the placement at them, and the
    /// mixture. These prices become the node's. Ends as soon as nothing can be spared, with nothing mixed.
    fn mix(&mut self, node: &mut Node) -> (f64, Vec<u32>, Vec<f64>) {
        self.trim();
        let mut columns = Columns::new(self.rhs.clone());
        let mut used = Vec::new();
        for (at, placement) in self.pool.iter().enumerate().filter(|(_, one)| node.domain.allows(&one.counts)) {
            columns.push(&placement.loads);
            used.push(at);
        }
        let mut prices = node.prices.clone();
        let mut best: (f64, Vec<u32>) = (f64::INFINITY, Vec::new());
        let mut least = f64::INFINITY;
        for _ in 0..MOST_PLACEMENTS {
            let mut counts = vec![0; self.puzzle.parts.len()];
            let Some(cost) = node.domain.place(&self.puzzle.parts, &prices, &mut counts) else {
                return (f64::NEG_INFINITY, Vec::new(), Vec::new());
            };
            let worth: f64 = prices.iter().zip(&self.rhs).map(|(price, room)| price * room).sum();
            if worth / cost < least {
                least = worth / cost;
                best = (worth - cost, counts.clone());
                node.prices.clone_from(&prices);
            }
            if least < 1.0 - TINY {
                return (f64::NEG_INFINITY, Vec::new(), Vec::new());
            }
            // What is mixed carries so much of everything, and nothing carries more than the least.
            let reached: f64 = columns.levels().map(|(_, level)| level).sum();
            if least - reached <= CLOSE * (least - 1.0) + TINY {
                break;
            }
            columns.push(&self.loads(&counts));
            used.push(self.pool.len());
            self.pool.push(Placement { loads: self.loads(&counts), counts });
            columns.maximize(&vec![1.0; columns.len()]);
            prices = columns.prices().iter().map(|price| price.max(FREE)).collect();
        }
        (best.0, best.1, self.mixed(&columns, &used))
    }

    fn mixed(&self, columns: &Columns, used: &[usize]) -> Vec<f64> {
        let total: f64 = columns.levels().map(|(_, level)| level).sum();
        let mut mixed = vec![0.0; self.puzzle.parts.len()];
        for (column, level) in columns.levels() {
            for (own, count) in mixed.iter_mut().zip(&self.pool[used[column]].counts) {
                *own += level / total * f64::from(*count);
            }
        }
        mixed
    }

    fn loads(&self, counts: &[u32]) -> Vec<f64> {
        let mut loads = vec![0.0; self.kinds];
        add_loads(&self.puzzle.parts, counts, &mut loads);
        loads
    }

    /// Drops the oldest placements where there are too many.
    fn trim(&mut self) {
        if self.pool.len() > POOL {
            self.pool.drain(..self.pool.len() - POOL / 2);
        }
    }

    /// Whole slices near a mixture, if they fit.
    fn rounded(&self, mixed: &[f64]) -> Option<Vec<u32>> {
        let slices = f64::from(self.puzzle.slices);
        let shares: Vec<Vec<f64>> =
            mixed.chunks_exact(self.kinds).map(|own| own.iter().map(|count| count / slices).collect()).collect();
        let mut state = State::of(self.puzzle, &shares);
        (state.fits() || state.settle()).then_some(state.counts)
    }

    /// The place where what is divided weighs most, give or take chance; none where all is whole.
    fn branch(&mut self, mixed: &[f64], prices: &[f64]) -> Option<usize> {
        let mut best = (0.0, None);
        for (place, value) in mixed.iter().enumerate() {
            let part = (value - value.floor()).min(value.ceil() - value);
            if part > WHOLE {
                let luck = self.chance.as_mut().map_or(1.0, |random| random.random_range(0.5..1.5));
                let weight = luck * part * self.puzzle.parts[place] * prices[place % self.kinds];
                if weight > best.0 {
                    best = (weight, Some(place));
                }
            }
        }
        best.1
    }
}
