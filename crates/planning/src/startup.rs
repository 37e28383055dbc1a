//! How long a start-up takes: the measured ones, and a guess before there are any.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The start-ups of one target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Startups {
    recent: VecDeque<f64>,
}

/// So many of the last are remembered.
const REMEMBERED: usize = 15;
/// Longest that is believed, seconds.
const LONGEST: f64 = 3600.0;

impl Startups {
    pub(crate) fn add(&mut self, seconds: f64) {
        if seconds.is_finite() && seconds > 0.0 {
            self.recent.push_back(seconds.min(LONGEST));
            if self.recent.len() > REMEMBERED {
                self.recent.pop_front();
            }
        }
    }

    pub(crate) fn is_measured(&self) -> bool {
        !self.recent.is_empty()
    }

    /// Whether a loaded form is one that was saved.
    pub(crate) fn is_sound(&self) -> bool {
        self.recent.len() <= REMEMBERED && self.recent.iter().all(|seconds| *seconds > 0.0 && *seconds <= LONGEST)
    }

    /// The upper quartile: a plan that counts on the median is late every other time.
    pub(crate) fn typical(&self, guess: f64) -> f64 {
        if self.recent.is_empty() {
            return guess;
        }
        let mut sorted: Vec<f64> = self.recent.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted[(sorted.len() * 3 / 4).min(sorted.len() - 1)]
    }
}
