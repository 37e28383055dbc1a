//! From shares to whole slices: round the shares down, place what is left, and move or swap slices until no type carries more than
//! its replicas do, first downhill and then by annealing (Kirkpatrick et al., "Optimization by simulated annealing", 1983). Counts
//! near those of the shares are tried, cheapest first.

use crate::greedy::Draft;
use crate::model::Model;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// Moves and swaps of one attempt.
const STEPS: usize = 400;
/// Counts that are tried.
const CANDIDATES: usize = 400;
/// Times that each is annealed, and the moves of each time.
const ROUNDS: usize = 3;
const MOVES: u32 = 12_000;
/// What rounding may make of a full replica.
const SLACK: f64 = 1e-9;

/// The cheapest whole answer near a divided one that is cheaper than `known`; none where no attempt succeeds until `stop`.
/// `shares_of` divides the sizes at will over given counts, where they carry them.
pub(crate) fn whole_slices(
    model: &Model,
    slices: u32,
    divided: &Draft,
    known: f64,
    shares_of: &dyn Fn(&[u32]) -> Option<Draft>,
    stop: &dyn Fn() -> bool,
) -> Option<Draft> {
    // The same on every machine, but for the time.
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let candidates = candidates(model, &divided.replicas, known);
    // At once, and by moves downhill alone: something to be better than.
    let settled = |replicas: &Vec<u32>| {
        let mut state = State::of(model, slices, divided, replicas);
        state.settle().then(|| state.draft(replicas))
    };
    let quick = candidates.iter().find_map(settled);
    let known = quick.as_ref().map_or(known, |quick| model.objective(&quick.replicas));
    let cheaper = candidates.into_iter().take_while(|replicas| model.objective(replicas) < known - SLACK);
    anneal_all(model, slices, cheaper, &mut random, shares_of, stop).or(quick)
}

/// The first of the counts on which annealing finds room for everything.
fn anneal_all(
    model: &Model,
    slices: u32,
    candidates: impl Iterator<Item = Vec<u32>>,
    random: &mut ChaCha8Rng,
    shares_of: &dyn Fn(&[u32]) -> Option<Draft>,
    stop: &dyn Fn() -> bool,
) -> Option<Draft> {
    for replicas in candidates {
        if stop() {
            return None;
        }
        // What does not fit even where sizes may be divided at will does not fit.
        let Some(near) = shares_of(&replicas) else { continue };
        for _ in 0..ROUNDS {
            let mut state = State::of(model, slices, &near, &replicas);
            if state.settle() {
                return Some(state.draft(&replicas));
            }
            if stop() {
                return None;
            }
            if state.anneal(random) || state.settle() {
                return Some(state.draft(&replicas));
            }
        }
    }
    None
}

/// Counts from those of the shares on, cheapest first, below a known objective: with replicas more, and some in place of others.
fn candidates(model: &Model, base: &[u32], known: f64) -> Vec<Vec<u32>> {
    let value = |counts: &Vec<u32>| model.objective(counts);
    let least = model.objective(base);
    let mut all: BTreeSet<Vec<u32>> = BTreeSet::from([base.to_vec()]);
    let mut edge = vec![base.to_vec()];
    while let Some(counts) = edge.pop() {
        for more in 0..base.len() {
            // One more of a type, and perhaps one or two fewer of another.
            for fewer in (0..base.len()).map(Some).chain([None]) {
                for many in if fewer.is_some() { 1..=2 } else { 0..=0 } {
                    let mut next = counts.clone();
                    next[more] += 1;
                    if let Some(fewer) = fewer {
                        next[fewer] = next[fewer].saturating_sub(many);
                    }
                    let within = next.iter().zip(&model.types).all(|(count, one)| (one.min..=one.max).contains(count));
                    let paid = model.budget.is_none_or(|budget| model.cost(&next) <= budget + SLACK);
                    let between = value(&next) < known - SLACK && value(&next) >= least - SLACK;
                    if within && paid && between && all.len() < 4 * CANDIDATES && all.insert(next.clone()) {
                        edge.push(next);
                    }
                }
            }
        }
    }
    let mut all: Vec<Vec<u32>> = all.into_iter().filter(|counts| value(counts) < known - SLACK).collect();
    all.sort_by(|a, b| value(a).total_cmp(&value(b)));
    all.truncate(CANDIDATES);
    all
}

/// Slices on types.
struct State<'a> {
    model: &'a Model,
    slices: u32,
    /// By size and type.
    counts: Vec<Vec<u32>>,
    loads: Vec<f64>,
    room: Vec<f64>,
}

impl<'a> State<'a> {
    fn of(model: &'a Model, slices: u32, divided: &Draft, replicas: &[u32]) -> Self {
        let kinds = model.types.len();
        let mut state = Self {
            model,
            slices,
            counts: vec![vec![0; kinds]; model.sizes.len()],
            loads: vec![0.0; model.types.len()],
            room: replicas.iter().map(|count| f64::from(*count)).collect(),
        };
        let mut left = Vec::new();
        for (at, shares) in divided.shares.iter().enumerate() {
            let mut placed = 0;
            for (kind, share) in shares.iter().enumerate() {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the slices")]
                let whole = ((share * f64::from(slices) + 1e-6).floor() as u32).min(slices - placed);
                placed += whole;
                for _ in 0..whole {
                    state.put(at, kind);
                }
            }
            left.extend(std::iter::repeat_n(at, (slices - placed) as usize));
        }
        // The largest first, each where it overloads least.
        let largest = |at: usize| (0..kinds).filter_map(|kind| state.part(at, kind)).fold(0.0, f64::max);
        let mut sized: Vec<(usize, f64)> = left.into_iter().map(|at| (at, largest(at))).collect();
        sized.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (at, _) in sized {
            let over = |kind: &usize| Some((*kind, state.loads[*kind] + state.part(at, *kind)? - state.room[*kind]));
            let best = (0..kinds).filter_map(|kind| over(&kind)).min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((kind, _)) = best {
                state.put(at, kind);
            }
        }
        state
    }

    /// Replicas that one slice of a size takes of a type.
    fn part(&self, size: usize, kind: usize) -> Option<f64> {
        self.model.sizes[size].needs[kind].map(|need| need / f64::from(self.slices))
    }

    fn put(&mut self, size: usize, kind: usize) {
        self.counts[size][kind] += 1;
        self.loads[kind] += self.part(size, kind).unwrap_or(0.0);
    }

    fn take(&mut self, size: usize, kind: usize) {
        self.counts[size][kind] -= 1;
        self.loads[kind] -= self.part(size, kind).unwrap_or(0.0);
    }

    fn over(&self, kind: usize, change: f64) -> f64 {
        (self.loads[kind] + change - self.room[kind]).max(0.0)
    }

    /// Moves and swaps until nothing is overloaded; false where it is stuck.
    fn settle(&mut self) -> bool {
        for _ in 0..STEPS {
            let worst = (0..self.loads.len()).max_by(|a, b| self.over(*a, 0.0).total_cmp(&self.over(*b, 0.0)));
            let Some(worst) = worst else { return true };
            if self.over(worst, 0.0) <= SLACK {
                return true;
            }
            if !self.relieve(worst) {
                return false;
            }
        }
        false
    }

    /// Moves and swaps at random, uphill less and less; true as soon as nothing is overloaded.
    fn anneal(&mut self, random: &mut ChaCha8Rng) -> bool {
        let (sizes, kinds) = (self.counts.len(), self.loads.len());
        if sizes == 0 || kinds < 2 {
            return false;
        }
        let parts = (0..sizes).filter_map(|size| (0..kinds).filter_map(|kind| self.part(size, kind)).reduce(f64::min));
        let warmth = parts.sum::<f64>() / sizes as f64;
        let mut total: f64 = (0..kinds).map(|kind| self.over(kind, 0.0)).sum();
        for step in 0..MOVES {
            if total <= SLACK {
                return true;
            }
            let (size, from, to) =
                (random.random_range(0..sizes), random.random_range(0..kinds), random.random_range(0..kinds));
            if from == to || self.counts[size][from] == 0 {
                continue;
            }
            let Some((here, there)) = self.part(size, from).zip(self.part(size, to)) else { continue };
            // Every other move brings a slice back.
            let other = random.random_range(0..sizes);
            let back = (step % 2 == 0 && other != size && self.counts[other][to] > 0)
                .then(|| self.part(other, from).zip(self.part(other, to)))
                .flatten();
            let (back, gone) = back.unwrap_or_default();
            let before = self.over(from, 0.0) + self.over(to, 0.0);
            let change = self.over(from, back - here) + self.over(to, there - gone) - before;
            let heat = 0.3 * warmth * (1.0 - f64::from(step) / f64::from(MOVES));
            if change <= 0.0 || random.random::<f64>() < (-change / heat.max(1e-12)).exp() {
                self.take(size, from);
                self.put(size, to);
                if back > 0.0 {
                    self.take(other, to);
                    self.put(other, from);
                }
                total += change;
            }
        }
        total = (0..kinds).map(|kind| self.over(kind, 0.0)).sum();
        total <= SLACK
    }

    /// The move or swap that takes most overload away from a type and its partner.
    fn relieve(&mut self, from: usize) -> bool {
        let mut best: (f64, Option<(usize, usize, Option<usize>)>) = (-SLACK, None);
        for size in (0..self.counts.len()).filter(|size| self.counts[*size][from] > 0) {
            let Some(here) = self.part(size, from) else { continue };
            for to in (0..self.loads.len()).filter(|to| *to != from) {
                let Some(there) = self.part(size, to) else { continue };
                let before = self.over(from, 0.0) + self.over(to, 0.0);
                let moved = self.over(from, -here) + self.over(to, there) - before;
                if moved < best.0 {
                    best = (moved, Some((size, to, None)));
                }
                for other in (0..self.counts.len()).filter(|other| self.counts[*other][to] > 0 && *other != size) {
                    let Some((back, gone)) = self.part(other, from).zip(self.part(other, to)) else { continue };
                    let swapped = self.over(from, back - here) + self.over(to, there - gone) - before;
                    if swapped < best.0 {
                        best = (swapped, Some((size, to, Some(other))));
                    }
                }
            }
        }
        let Some((size, to, other)) = best.1 else { return false };
        self.take(size, from);
        self.put(size, to);
        if let Some(other) = other {
            self.take(other, to);
            self.put(other, from);
        }
        true
    }

    fn draft(&self, replicas: &[u32]) -> Draft {
        let share = |count: &u32| f64::from(*count) / f64::from(self.slices);
        Draft {
            shares: self.counts.iter().map(|counts| counts.iter().map(share).collect()).collect(),
            replicas: replicas.to_vec(),
        }
    }
}
