//! From shares to whole slices: round the shares down, place what is left, and move or swap slices until no type carries more than
//! its replicas do, first downhill and then also uphill by less and less (threshold accepting, Dueck and Scheuer 1990: like
//! annealing, without an exponential that machines round differently).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Moves and swaps downhill.
const STEPS: usize = 400;
/// Moves at random are cooled so many times, each time by so much: to a thousandth in all.
const CHUNKS: u32 = 64;
const COOLING: f64 = 0.9;
/// What rounding may make of a full replica.
const SLACK: f64 = 1e-9;

/// Slices of sizes to be placed on types with some room each.
#[derive(Debug, Clone)]
pub(crate) struct Puzzle {
    pub(crate) slices: u32,
    /// Replicas that one slice of a size takes of a type, size by size; infinite where it may not be there.
    pub(crate) parts: Vec<f64>,
    /// Replicas by type.
    pub(crate) room: Vec<f64>,
    /// What overload of a type weighs.
    pub(crate) weights: Vec<f64>,
}

/// Slices on types.
pub(crate) struct State<'a> {
    puzzle: &'a Puzzle,
    kinds: usize,
    /// Size by size.
    pub(crate) counts: Vec<u32>,
    loads: Vec<f64>,
    /// Sizes with a choice.
    free: Vec<usize>,
}

impl<'a> State<'a> {
    /// Slices near shares, size by size.
    pub(crate) fn of(puzzle: &'a Puzzle, shares: &[Vec<f64>]) -> Self {
        let kinds = puzzle.room.len();
        let mut state =
            Self { puzzle, kinds, counts: vec![0; puzzle.parts.len()], loads: vec![0.0; kinds], free: Vec::new() };
        let mut left = Vec::new();
        for (at, shares) in shares.iter().enumerate() {
            let mut placed = 0;
            for (kind, share) in
                shares.iter().enumerate().filter(|(kind, _)| puzzle.parts[at * kinds + kind].is_finite())
            {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the slices")]
                let whole = ((share * f64::from(puzzle.slices) + 1e-6).floor() as u32).min(puzzle.slices - placed);
                placed += whole;
                state.put(at, kind, whole);
            }
            left.extend(std::iter::repeat_n(at, (puzzle.slices - placed) as usize));
            if state.able(at).count() > 1 {
                state.free.push(at);
            }
        }
        // The largest first, each where it overloads least.
        let largest = |at: usize| state.able(at).map(|kind| state.part(at, kind)).fold(0.0, f64::max);
        let mut sized: Vec<(usize, f64)> = left.into_iter().map(|at| (at, largest(at))).collect();
        sized.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (at, _) in sized {
            let over = |kind: usize| (kind, state.loads[kind] + state.part(at, kind) - puzzle.room[kind]);
            let best = state.able(at).map(over).min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((kind, _)) = best {
                state.put(at, kind, 1);
            }
        }
        state
    }

    /// Types that a size may be on.
    fn able(&self, size: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.kinds).filter(move |kind| self.part(size, *kind).is_finite())
    }

    fn part(&self, size: usize, kind: usize) -> f64 {
        self.puzzle.parts[size * self.kinds + kind]
    }

    fn count(&self, size: usize, kind: usize) -> u32 {
        self.counts[size * self.kinds + kind]
    }

    fn put(&mut self, size: usize, kind: usize, many: u32) {
        self.counts[size * self.kinds + kind] += many;
        self.loads[kind] += self.part(size, kind) * f64::from(many);
    }

    fn take(&mut self, size: usize, kind: usize) {
        self.counts[size * self.kinds + kind] -= 1;
        self.loads[kind] -= self.part(size, kind);
    }

    fn over(&self, kind: usize, change: f64) -> f64 {
        (self.loads[kind] + change - self.puzzle.room[kind]).max(0.0) * self.puzzle.weights[kind]
    }

    /// Whether nothing is overloaded, reckoned anew.
    pub(crate) fn fits(&self) -> bool {
        (0..self.kinds).all(|kind| {
            let own = self.counts.iter().skip(kind).step_by(self.kinds);
            let parts = self.puzzle.parts.iter().skip(kind).step_by(self.kinds);
            let load: f64 =
                own.zip(parts).filter(|(count, _)| **count > 0).map(|(count, part)| f64::from(*count) * part).sum();
            load <= self.puzzle.room[kind] + SLACK
        })
    }

    /// Moves and swaps until nothing is overloaded; false where it is stuck.
    pub(crate) fn settle(&mut self) -> bool {
        for _ in 0..STEPS {
            let worst = (0..self.kinds).max_by(|a, b| self.over(*a, 0.0).total_cmp(&self.over(*b, 0.0)));
            let Some(worst) = worst else { return true };
            if self.loads[worst] - self.puzzle.room[worst] <= SLACK {
                return self.fits();
            }
            if !self.relieve(worst) {
                return false;
            }
        }
        false
    }

    /// So many moves and swaps at random, uphill less and less; true as soon as nothing is overloaded.
    pub(crate) fn anneal(&mut self, random: &mut ChaCha8Rng, moves: u32, stop: &dyn Fn() -> bool) -> bool {
        if self.free.is_empty() {
            return self.fits();
        }
        let weighed = |size: &usize| {
            let parts = self.able(*size).map(|kind| self.part(*size, kind) * self.puzzle.weights[kind]);
            parts.fold(f64::INFINITY, f64::min)
        };
        let warmth = self.free.iter().map(weighed).sum::<f64>() / self.free.len() as f64;
        let total = |state: &Self| (0..state.kinds).map(|kind| state.over(kind, 0.0)).sum::<f64>();
        let mut now = total(self);
        // As small as what weighs least, by the end: sizes differ by orders of magnitude.
        let mut threshold = 0.5 * warmth;
        for step in 0..moves {
            if step % (moves / CHUNKS).max(1) == 0 {
                threshold *= COOLING;
            }
            if step % 16_384 == 0 && stop() {
                return false;
            }
            if now <= 1e-15 {
                now = total(self);
                if now <= 1e-15 && self.fits() {
                    return true;
                }
            }
            let size = self.free[random.random_range(0..self.free.len())];
            let (from, to) = (random.random_range(0..self.kinds), random.random_range(0..self.kinds));
            if from == to || self.count(size, from) == 0 || !self.part(size, to).is_finite() {
                continue;
            }
            let (here, there) = (self.part(size, from), self.part(size, to));
            // Every other move brings a slice back.
            let other = self.free[random.random_range(0..self.free.len())];
            let both =
                step % 2 == 0 && other != size && self.count(other, to) > 0 && self.part(other, from).is_finite();
            let (back, gone) = if both { (self.part(other, from), self.part(other, to)) } else { (0.0, 0.0) };
            let before = self.over(from, 0.0) + self.over(to, 0.0);
            let change = self.over(from, back - here) + self.over(to, there - gone) - before;
            if change <= threshold * random.random::<f64>() {
                self.take(size, from);
                self.put(size, to, 1);
                if both {
                    self.take(other, to);
                    self.put(other, from, 1);
                }
                now += change;
            }
        }
        self.fits()
    }

    /// The move or swap that takes most overload away from a type and its partner.
    fn relieve(&mut self, from: usize) -> bool {
        let mut best: (f64, Option<(usize, usize, Option<usize>)>) = (-1e-15, None);
        for size in self.free.iter().copied().filter(|size| self.count(*size, from) > 0) {
            let here = self.part(size, from);
            for to in self.able(size).filter(|to| *to != from) {
                let there = self.part(size, to);
                let before = self.over(from, 0.0) + self.over(to, 0.0);
                let moved = self.over(from, -here) + self.over(to, there) - before;
                if moved < best.0 {
                    best = (moved, Some((size, to, None)));
                }
                let others = self.free.iter().copied().filter(|other| {
                    *other != size && self.count(*other, to) > 0 && self.part(*other, from).is_finite()
                });
                for other in others {
                    let (back, gone) = (self.part(other, from), self.part(other, to));
                    let swapped = self.over(from, back - here) + self.over(to, there - gone) - before;
                    if swapped < best.0 {
                        best = (swapped, Some((size, to, Some(other))));
                    }
                }
            }
        }
        let Some((size, to, other)) = best.1 else { return false };
        self.take(size, from);
        self.put(size, to, 1);
        if let Some(other) = other {
            self.take(other, to);
            self.put(other, from, 1);
        }
        true
    }
}

/// The same on every machine.
pub(crate) fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
