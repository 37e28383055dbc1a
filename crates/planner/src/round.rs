//! From shares to whole slices: round the shares down, place what is left, and move or swap slices until no type carries more than
//! its replicas do. Where that fails, a replica more is tried, cheapest first.

use crate::greedy::Draft;
use crate::model::Model;

/// Moves and swaps of one attempt.
const STEPS: usize = 400;
/// Counts that are tried: those of the shares, and with one or two replicas more.
const ATTEMPTS: usize = 60;
/// What rounding may make of a full replica.
const SLACK: f64 = 1e-9;

/// The cheapest whole answer near a divided one; none where no attempt succeeds.
pub(crate) fn whole_slices(model: &Model, slices: u32, divided: &Draft) -> Option<Draft> {
    let attempts = candidates(model, &divided.replicas).into_iter().take(ATTEMPTS);
    attempts.into_iter().find_map(|replicas| {
        let within = model.budget.is_none_or(|budget| model.cost(&replicas) <= budget + SLACK);
        let mut state = within.then(|| State::of(model, slices, divided, &replicas))?;
        state.settle().then(|| state.draft(&replicas))
    })
}

/// Counts with up to two replicas more, cheapest first.
fn candidates(model: &Model, base: &[u32]) -> Vec<Vec<u32>> {
    let mut all = vec![base.to_vec()];
    let more = |counts: &[u32], at: usize| {
        let mut counts = counts.to_vec();
        counts[at] += 1;
        (counts[at] <= model.types[at].max).then_some(counts)
    };
    for first in 0..base.len() {
        let Some(one) = more(base, first) else { continue };
        for second in first..base.len() {
            all.extend(more(&one, second));
        }
        all.push(one);
    }
    all.sort_by(|a, b| model.objective(a).total_cmp(&model.objective(b)));
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
