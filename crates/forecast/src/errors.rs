//! How wrong a candidate was lately: a bounded reservoir of relative errors, and the quantile of them that has held.

use crate::number::{count, narrow};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// At most so many errors.
pub(crate) const ERRORS: usize = 360;
/// Errors beyond this many times the forecast count as this.
const LARGEST: f64 = 20.0;
/// How fast the level follows misses: adaptive conformal inference (Gibbs and Candès 2021), which keeps the long-run coverage also where
/// the load drifts. A miss moves it by about half a percent.
const GAIN: f64 = 0.005;
/// The level stays within so much of the quantile asked for.
const BELOW: f64 = 0.15;
const ABOVE: f64 = 0.995;

/// Relative errors, newest last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Errors {
    recent: VecDeque<f32>,
    /// The level of the reservoir that is used in place of the quantile asked for.
    level: f64,
    /// The same errors by size; made anew after a restart.
    #[serde(skip)]
    sorted: Vec<f32>,
}

impl Errors {
    pub(crate) fn new(quantile: f64) -> Self {
        Self { recent: VecDeque::new(), level: quantile, sorted: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.recent.len()
    }

    /// Takes the outcome of a forecast of `point`.
    pub(crate) fn take(&mut self, point: f64, floor: f64, outcome: f64) {
        let base = point + floor;
        let relative = if base > 0.0 { (outcome - point) / base } else { LARGEST * f64::from(u8::from(outcome > 0.0)) };
        // four digits behind the point: shorter to save, and far finer than what it is for
        let error = narrow((relative.clamp(-1.0, LARGEST) * 1e4).round() / 1e4);
        if self.recent.len() >= ERRORS
            && let Some(oldest) = self.recent.pop_front()
        {
            let place = self.sorted.partition_point(|known| *known < oldest);
            if place < self.sorted.len() {
                self.sorted.remove(place);
            }
        }
        self.recent.push_back(error);
        self.sorted.insert(self.sorted.partition_point(|known| *known < error), error);
    }

    /// Learns whether the bound that was given held.
    pub(crate) fn learn(&mut self, held: bool, quantile: f64) {
        let miss = f64::from(u8::from(!held));
        self.level = (self.level + GAIN * (miss - (1.0 - quantile))).clamp(quantile - BELOW, ABOVE);
    }

    /// The bound for a forecast of `point`, once there are errors enough: the ⌈(n+1)·level⌉-th smallest error, which is conformal
    /// prediction's correction for few samples.
    pub(crate) fn bound(&self, point: f64, floor: f64, quantile: f64) -> Option<f64> {
        if self.sorted.len() < needed(quantile) {
            return None;
        }
        let rank = count(((self.sorted.len() + 1) as f64 * self.level).ceil()).clamp(1, self.sorted.len());
        let error = f64::from(*self.sorted.get(rank - 1)?);
        Some((point + error * (point + floor)).max(0.0))
    }

    /// Sorts what was saved unsorted; whether it could have been saved by this program.
    pub(crate) fn revive(&mut self) -> bool {
        self.sorted = self.recent.iter().copied().collect();
        self.sorted.sort_by(f32::total_cmp);
        self.recent.len() <= ERRORS
            && self.recent.iter().all(|error| (-1.0..=narrow(LARGEST)).contains(error))
            && (0.0..=1.0).contains(&self.level)
    }
}

/// So many errors are needed: thirty, and enough that the quantile is not beyond the largest.
pub(crate) fn needed(quantile: f64) -> usize {
    30.max(count((1.0 / (1.0 - quantile)).ceil())).min(ERRORS)
}
