//! The outlook: what load to expect a start-up from now, as a distribution.
//!
//! Load is looked at as a level and what becomes of it: for each of several levels (means over two minutes to four hours, and a
//! forecast) the ratios of the load that came a horizon later to the level then are counted. All of these distributions are true to
//! what happened; those that ask for little capacity weigh most (`kinds`). Short levels win where load drifts, long ones where it comes
//! in bursts that nobody can foresee, and the forecast where it has a trend or a season.

use crate::rise::Rise;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Prompt tokens and requests a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Prompt tokens a second.
    pub input: f64,
    /// Requests a second.
    pub requests: f64,
}

impl Flow {
    /// Goes a share of the way to `other`.
    fn approach(&mut self, other: Self, share: f64) {
        self.input += (other.input - self.input) * share;
        self.requests += (other.requests - self.requests) * share;
    }
}

/// Lengths of the levels, seconds: two minutes follow a drift, four hours see bursts as what they are, a day is nearly a constant.
pub const LEVELS: [f64; 5] = [120.0, 600.0, 3600.0, 14_400.0, 86_400.0];
/// The forecast comes after the levels.
pub(crate) const FORECAST: usize = LEVELS.len();
/// The level that also goes with the root of itself, the other root being the day's: how much stands by for bursts grows with the root of
/// the load and not with it, where bursts are of single users (the square-root staffing of Halfin and Whitt 1981).
const ROOTS: [usize; 1] = [1];
/// Levels, the forecast and the root.
pub const KINDS: usize = LEVELS.len() + 1 + ROOTS.len();
/// What a level is called.
pub const NAMES: [&str; KINDS] = ["2 min", "10 min", "1 h", "4 h", "a day", "forecast", "10 min's root"];
/// The load of now: about as long as a request takes, so that the work of an answer is where it is done, seconds.
const NOW: f64 = 15.0;
/// Ratios are counted in steps of a tenth (60 from e^-3 to e^3).
const BINS: usize = 60;
const RANGE: f64 = 3.0;
/// What has been counted is halved in so many seconds: half a day, so that a day's bursts are known on the next.
const HALF_LIFE: f64 = 43_200.0;
/// Before anything is counted: ratios around 1 with this spread of their logarithm, which weigh so many counts.
const PRIOR: (f64, f64) = (0.35, 10.0);
/// The beginning is not learnt from: load rises from nothing as it never does again, seconds.
const SETTLED: f64 = 300.0;
/// Most looks between now and a horizon ago.
const PENDING: usize = 4000;

/// The levels and their distributions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    now: Flow,
    levels: [Flow; LEVELS.len()],
    began: Option<f64>,
    last: f64,
    /// Looks whose future is not known yet: when, the levels, and the forecast's requests a second.
    pending: VecDeque<(f64, [Flow; LEVELS.len()], Option<f64>)>,
    counts: [Vec<f64>; KINDS],
    /// How it began, until the levels are found.
    #[serde(skip)]
    rise: Rise,
}

impl Default for Outlook {
    fn default() -> Self {
        let counts = std::array::from_fn(|_| vec![0.0; BINS]);
        let (now, levels) = (Flow::default(), [Flow::default(); LEVELS.len()]);
        Self { now, levels, began: None, last: 0.0, pending: VecDeque::new(), counts, rise: Rise::default() }
    }
}

impl Outlook {
    /// Takes the flow since the look before, and learns from looks that are a horizon old. `work` says what a flow asks for;
    /// `forecast` is the mean that is foreseen, in requests a second.
    pub fn observe(&mut self, now: f64, flow: Flow, horizon: f64, work: &dyn Fn(Flow) -> f64, forecast: Option<f64>) {
        let began = *self.began.get_or_insert(now);
        let passed = (now - self.last).max(0.0);
        self.last = now;
        // A mean over what there is, until there is more than a length.
        let known = (now - began + passed).max(1e-3);
        let share = |length: f64| (1.0 - (-passed / length).exp()).max(passed / known).min(1.0);
        self.now.approach(flow, share(NOW).min(1.0));
        for (level, length) in self.levels.iter_mut().zip(LEVELS) {
            level.approach(flow, share(length));
        }
        if now - began < SETTLED {
            self.rise.observe(now, passed, flow.requests);
        } else {
            self.pending.push_back((now, self.levels, forecast));
        }
        let load = work(self.now);
        while let Some((at, levels, foreseen)) = self.pending.front().copied() {
            if at + horizon > now && self.pending.len() <= PENDING {
                break;
            }
            self.pending.pop_front();
            let kept = 0.5_f64.powf(passed / HALF_LIFE);
            let all: [Option<Flow>; KINDS] = std::array::from_fn(|kind| self.of(&levels, kind, foreseen));
            for (level, counts) in all.into_iter().zip(&mut self.counts) {
                let Some(level) = level.map(work).filter(|level| *level > 0.0) else { continue };
                for count in counts.iter_mut() {
                    *count *= kept;
                }
                counts[bin(load / level)] += 1.0;
            }
        }
    }

    /// Passes over a time in which nobody knew what arrived: the look after it stands for its own time alone.
    pub fn gap(&mut self, now: f64) {
        if self.began.is_some() {
            self.last = now;
        }
    }

    /// The flow of now at another rate of requests.
    fn scaled(&self, requests: f64) -> Flow {
        let level = self.levels[1];
        let each = if level.requests > 0.0 { level.input / level.requests } else { 0.0 };
        Flow { input: each * requests, requests }
    }

    /// The load of now.
    #[must_use]
    pub fn now(&self) -> Flow {
        self.now
    }

    /// By how much the load of a horizon from now is above the levels as far as can be seen before they have been found; then 1.
    #[must_use]
    pub(crate) fn rising(&self, horizon: f64) -> f64 {
        if self.is_settled() { 1.0 } else { self.rise.ahead(horizon) }
    }

    /// A level; none where there is no forecast.
    #[must_use]
    pub fn level(&self, kind: usize, forecast: Option<f64>) -> Option<Flow> {
        self.of(&self.levels, kind, forecast)
    }

    fn of(&self, levels: &[Flow; LEVELS.len()], kind: usize, forecast: Option<f64>) -> Option<Flow> {
        if let Some(level) = levels.get(kind) {
            return Some(*level);
        }
        let Some(at) = kind.checked_sub(FORECAST + 1) else { return forecast.map(|rate| self.scaled(rate)) };
        let (level, day) = (levels[*ROOTS.get(at)?], levels[LEVELS.len() - 1]);
        let root = |level: f64, day: f64| (level * day).max(0.0).sqrt();
        Some(Flow { input: root(level.input, day.input), requests: root(level.requests, day.requests) })
    }

    /// Whether the levels have been found.
    pub(crate) fn is_settled(&self) -> bool {
        self.began.is_some_and(|began| self.last - began >= SETTLED)
    }

    /// Ratios and their weights, which sum up to 1. Weighted by load: it is requests that miss, not seconds.
    #[must_use]
    pub fn ratios(&self, kind: usize) -> Vec<(f64, f64)> {
        let Some(counts) = self.counts.get(kind) else { return vec![(1.0, 1.0)] };
        let prior = |ratio: f64| (-(ratio.ln() / PRIOR.0).powi(2) / 2.0).exp();
        let scale = PRIOR.1 / (0..BINS).map(|at| prior(value(at))).sum::<f64>();
        let weighted =
            counts.iter().enumerate().map(|(at, count)| (value(at), value(at) * (count + scale * prior(value(at)))));
        let mut ratios: Vec<(f64, f64)> = weighted.filter(|(_, weight)| *weight > NOTHING).collect();
        let total: f64 = ratios.iter().map(|(_, weight)| weight).sum();
        for (_, weight) in &mut ratios {
            *weight /= total.max(NOTHING);
        }
        ratios
    }

    /// Whether a loaded form is one that was saved.
    pub(crate) fn is_sound(&self) -> bool {
        let flow = |flow: &Flow| {
            flow.input.is_finite() && flow.requests.is_finite() && flow.input >= 0.0 && flow.requests >= 0.0
        };
        let counts = self
            .counts
            .iter()
            .all(|counts| counts.len() == BINS && counts.iter().all(|count| count.is_finite() && *count >= 0.0));
        counts
            && flow(&self.now)
            && self.levels.iter().all(flow)
            && self.last.is_finite()
            && self.pending.len() <= PENDING + 1
    }

    /// After a break: levels go on, and what was pending is forgotten, since nobody saw what came of it.
    pub(crate) fn resume(&mut self, now: f64) {
        self.pending.clear();
        self.last = now;
        self.began = Some(self.began.map_or(now, |began| began.min(now)));
    }
}

/// Weights below are not worth a computation.
const NOTHING: f64 = 1e-3;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the bins")]
fn bin(ratio: f64) -> usize {
    let place = (ratio.max(1e-9).ln() + RANGE) / (2.0 * RANGE) * BINS as f64;
    place.clamp(0.0, (BINS - 1) as f64) as usize
}

fn value(bin: usize) -> f64 {
    ((bin as f64 + 0.5) / BINS as f64 * 2.0 * RANGE - RANGE).exp()
}
