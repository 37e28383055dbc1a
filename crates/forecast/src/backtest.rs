//! The online back-test: every step, every candidate's bound is kept until its outcome is known, and then judged by the pinball loss.

use crate::candidates::{BLEND, Models, NAMES, PERSISTENCE, Point, SINGLE, levels, season_of};
use crate::errors::{Errors, needed};
use crate::history::History;
use crate::number::{narrow, sound_index, sound_load};
use crate::settings::{MAX_HORIZON_STEPS, Settings};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A candidate replaces the chosen one when its loss is below this share of the other's.
const MARGIN: f64 = 0.97;
/// And not before the chosen one has been chosen for this many steps, or one horizon.
const DWELL: u32 = 30;
/// A candidate is not chosen before so many losses, older ones counting less.
const JUDGED: f64 = 20.0;
/// Nor before it has this share of persistence's: a season starts late, and its losses of a quiet hour say nothing beside others' of a
/// busy one.
const COMPARABLE: f64 = 0.7;
/// Losses halve in so many steps, or in twelve horizons: there must be several independent horizons in what is remembered.
const HALF_LIFE: u32 = 360;
/// The reservoirs take every outcome up to this horizon in steps, and beyond it fewer, so that they reach back 30 horizons at least.
const DENSE: u32 = 12;
/// In the blend a candidate's weight goes with the inverse of its loss to this power.
const POWER: i32 = 4;

/// How one candidate has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Track {
    at: Errors,
    peak: Errors,
    loss: f64,
    held: f64,
    weight: f64,
}

impl Track {
    fn new(quantile: f64) -> Self {
        Self { at: Errors::new(quantile), peak: Errors::new(quantile), loss: 0.0, held: 0.0, weight: 0.0 }
    }

    /// Its mean loss.
    pub(crate) fn loss(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.loss / self.weight)
    }

    /// The share of its bounds that held.
    pub(crate) fn coverage(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.held / self.weight)
    }

    /// Whether it has errors enough for both bounds.
    pub(crate) fn enough(&self, quantile: f64) -> bool {
        self.at.len().min(self.peak.len()) >= needed(quantile)
    }

    /// The bounds at and until the horizon for what it expects.
    pub(crate) fn bounds(&self, point: Point, floor: f64, quantile: f64) -> (Option<f64>, Option<f64>) {
        (self.at.bound(point.at, floor, quantile), self.peak.bound(point.peak, floor, quantile))
    }

    fn judge(&mut self, bound: f64, outcome: f64, quantile: f64, keep: f64) {
        let miss = outcome - bound;
        let pinball = if miss > 0.0 { quantile * miss } else { (quantile - 1.0) * miss };
        self.loss = self.loss * keep + pinball;
        self.held = self.held * keep + f64::from(u8::from(miss <= 0.0));
        self.weight = self.weight * keep + 1.0;
        self.at.learn(miss <= 0.0, quantile);
    }
}

/// A forecast that waits for its outcome: expected, its bound, expected peak, its bound.
type Guess = (f32, Option<f32>, f32, Option<f32>);

/// The forecasts of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Issued {
    index: i64,
    floor: f64,
    guesses: Vec<Option<Guess>>,
}

/// The back-test at one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Backtest {
    pub(crate) ahead: u32,
    pub(crate) quantile: f64,
    pub(crate) season: Option<f64>,
    pub(crate) models: Models,
    pub(crate) tracks: Vec<Track>,
    pending: VecDeque<Issued>,
    pub(crate) chosen: usize,
    /// The step since which it is chosen; nothing before the first judgement.
    pub(crate) since: Option<i64>,
}

impl Backtest {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            ahead: settings.horizon_steps(),
            quantile: settings.quantile,
            season: settings.season,
            models: Models::new(),
            tracks: vec![Track::new(settings.quantile); NAMES.len()],
            pending: VecDeque::new(),
            chosen: PERSISTENCE,
            since: None,
        }
    }

    /// What the back-test would be, had it run with these settings over the steps that are kept.
    pub(crate) fn replay(settings: &Settings, history: &History) -> Self {
        let mut backtest = Self::new(settings);
        for (index, value) in history.fine.iter() {
            backtest.step(history, index, value);
        }
        backtest
    }

    /// Takes a step that is over and is in the history. Of the history only what was known then is used, so that a replay does not
    /// know more than the original.
    pub(crate) fn step(&mut self, history: &History, index: i64, value: f64) {
        while let Some(first) = self.pending.front()
            && first.index + i64::from(self.ahead) <= index
        {
            if let Some(issued) = self.pending.pop_front()
                && issued.index + i64::from(self.ahead) == index
            {
                self.score(history, &issued, value);
            }
        }
        self.choose(history, index);
        self.models.absorb(index, value);
        let points = self.points(history, &self.models, self.ahead);
        let floor = self.models.floor();
        let guesses = points.iter().zip(&self.tracks).map(|(point, track)| {
            let point = (*point)?;
            let (at, peak) = track.bounds(point, floor, self.quantile);
            Some((narrow(point.at), at.map(narrow), narrow(point.peak), peak.map(narrow)))
        });
        self.pending.push_back(Issued { index, floor, guesses: guesses.collect() });
    }

    /// What every candidate expects `ahead` steps after the latest step of `models`.
    pub(crate) fn points(&self, history: &History, models: &Models, ahead: u32) -> [Option<Point>; NAMES.len()] {
        let better = levels().filter_map(|level| Some((level, self.tracks[level].loss()?)));
        let better = better.min_by(|one, other| one.1.total_cmp(&other.1)).map(|(level, _)| level);
        let single = models.points(history, self.season, ahead, better);
        let mut points = [None; NAMES.len()];
        points[..SINGLE].copy_from_slice(&single);
        let now = models.last().map_or(0, |(index, _)| index);
        let blended = self.weights(history, now).into_iter().zip(single);
        let (at, peak, sum) = blended.fold((0.0, 0.0, 0.0), |(at, peak, sum), (weight, point)| match point {
            Some(point) => (at + weight * point.at, peak + weight * point.peak, sum + weight),
            None => (at, peak, sum),
        });
        if sum > 0.0 {
            points[BLEND] = Some(Point { at: at / sum, peak: peak / sum });
        }
        points
    }

    /// The weights of the candidates in the blend; they sum to 1, or are all 0 before the first losses.
    pub(crate) fn weights(&self, history: &History, now: i64) -> [f64; SINGLE] {
        let mut losses = [None; SINGLE];
        for (candidate, loss) in losses.iter_mut().enumerate() {
            *loss = self.judged(candidate).filter(|_| self.admitted(history, candidate, now));
        }
        let least = losses.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let mut weights = losses.map(|loss| match loss {
            Some(loss) if loss > 0.0 => (least / loss).powi(POWER),
            Some(_) => 1.0,
            None => 0.0,
        });
        let sum: f64 = weights.iter().sum();
        if sum > 0.0 {
            for weight in &mut weights {
                *weight /= sum;
            }
        }
        weights
    }

    /// Whether a candidate may be chosen at all: a season must have been seen twice.
    pub(crate) fn admitted(&self, history: &History, candidate: usize, now: i64) -> bool {
        let Some(season) = season_of(candidate, self.season) else { return true };
        history.begin().is_some_and(|begin| (now + 1) as f64 * history.step - begin >= 2.0 * season)
    }

    fn judged(&self, candidate: usize) -> Option<f64> {
        let least = JUDGED.max(COMPARABLE * self.tracks[PERSISTENCE].weight);
        let track = self.tracks.get(candidate).filter(|track| track.weight >= least)?;
        track.loss()
    }

    fn score(&mut self, history: &History, issued: &Issued, value: f64) {
        let keep = 0.5_f64.powf(1.0 / f64::from(HALF_LIFE.max(12 * self.ahead)));
        let every = i64::from(self.ahead.div_ceil(DENSE).max(1));
        let sampled = issued.index.rem_euclid(every) == 0;
        let highest = history.highest(issued.index + 1, issued.index + i64::from(self.ahead));
        for (track, guess) in self.tracks.iter_mut().zip(&issued.guesses) {
            let Some((at, bound, peak, peak_bound)) = *guess else { continue };
            if let Some(bound) = bound {
                track.judge(f64::from(bound), value, self.quantile, keep);
            }
            if let (Some(bound), Some(highest)) = (peak_bound, highest) {
                track.peak.learn(highest <= f64::from(bound), self.quantile);
            }
            if sampled {
                track.at.take(f64::from(at), issued.floor, value);
                if let Some(highest) = highest {
                    track.peak.take(f64::from(peak), issued.floor, highest);
                }
            }
        }
    }

    fn choose(&mut self, history: &History, index: i64) {
        let able = |candidate: &usize| self.admitted(history, *candidate, index);
        let judged = (0..NAMES.len()).filter(able).filter_map(|candidate| Some((candidate, self.judged(candidate)?)));
        let Some((best, least)) = judged.min_by(|one, other| one.1.total_cmp(&other.1)) else { return };
        let settled = self.since.is_some_and(|since| index - since < i64::from(self.ahead.max(DWELL)));
        let current = self.judged(self.chosen).filter(|_| able(&self.chosen));
        if best != self.chosen && (self.since.is_none() || current.is_none_or(|loss| !settled && least < MARGIN * loss))
        {
            (self.chosen, self.since) = (best, Some(index));
        } else if self.since.is_none() {
            self.since = Some(index);
        }
    }

    /// Makes a saved back-test usable; whether it could have been saved by this program.
    pub(crate) fn revive(&mut self) -> bool {
        let number = |value: f64| value.is_finite() && value >= 0.0;
        let guess = |guess: &Guess| {
            let bounds = [guess.1, guess.3].into_iter().flatten();
            bounds.chain([guess.0, guess.2]).all(|value| value.is_finite() && value >= 0.0)
        };
        let issued = |issued: &Issued| {
            issued.guesses.len() == NAMES.len()
                && sound_index(issued.index)
                && sound_load(issued.floor)
                && issued.guesses.iter().flatten().all(guess)
        };
        (1..=MAX_HORIZON_STEPS).contains(&self.ahead)
            && self.tracks.len() == NAMES.len()
            && self.chosen < NAMES.len()
            && self.since.is_none_or(sound_index)
            && self.pending.len() <= self.ahead as usize
            && self.pending.iter().all(issued)
            && self.models.sound()
            && self.tracks.iter_mut().all(|track| {
                let sums = [track.loss, track.held, track.weight].into_iter().all(number);
                track.at.revive() && track.peak.revive() && sums
            })
    }
}
