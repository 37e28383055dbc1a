//! The sizes of late, as a bounded sample.

use crate::seen::Sized;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Prompt and answer tokens.
pub(crate) type Size = (u32, u32);

/// The sizes of the last requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sizes {
    known: VecDeque<Size>,
    /// Those of requests that arrived so lately that others of their time are still being answered.
    early: VecDeque<(f64, Size)>,
    /// How many there have ever been.
    total: f64,
    /// Mean answer, tokens.
    output: f64,
    /// Mean prompt, tokens.
    input: f64,
}

/// Sizes that are kept: twenty at the hundredth's end, so that one percent can be told.
const KEPT: usize = 2000;
/// Sizes are known at the end of a request, so the first ones known are short. One is taken once its contemporaries have had this
/// long to end, seconds.
const SETTLED: f64 = 45.0;
/// Requests that the mean of sizes looks back on.
const MEMORY: f64 = 5000.0;
/// What the typical request that somebody stated weighs, in requests.
const STATED: f64 = 100.0;
/// One size stands for no more requests than this in a look.
const MOST: usize = 200;
/// Most requests of one size in a look that are believed.
const LARGEST: f64 = 1e9;
/// Longest that is believed, tokens.
const LONGEST: f64 = 1e7;

impl Sizes {
    /// Before any: a typical request.
    pub(crate) fn new(typical: Option<(f64, f64)>) -> Self {
        let (input, output) = typical.unwrap_or(TYPICAL);
        Self { output, input, ..Self::default() }
    }

    pub(crate) fn add(&mut self, now: f64, seen: &[Sized]) {
        for one in seen {
            let sound = |tokens: f64| tokens.is_finite() && tokens >= 0.0;
            if !(sound(one.input) && sound(one.output) && one.count.is_finite() && one.count > 0.0) {
                continue;
            }
            let (input, output) = (one.input.clamp(1.0, LONGEST), one.output.clamp(1.0, LONGEST));
            let count = one.count.min(LARGEST);
            self.total += count;
            let share = (count / (self.total + STATED)).max(count / MEMORY).min(1.0);
            self.input += (input - self.input) * share;
            self.output += (output - self.output) * share;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are clamped")]
            let (size, count) = ((input as u32, output as u32), (count.round() as usize).clamp(1, MOST));
            for _ in 0..count {
                self.early.push_back((one.arrived, size));
            }
        }
        let mut waiting = VecDeque::new();
        for (arrived, size) in self.early.drain(..) {
            // A time in the future is a clock of somebody else's.
            if arrived <= now - SETTLED || arrived > now || !arrived.is_finite() {
                self.known.push_back(size);
            } else {
                waiting.push_back((arrived, size));
            }
        }
        self.early = waiting;
        self.known.drain(..self.known.len().saturating_sub(KEPT));
        self.early.drain(..self.early.len().saturating_sub(KEPT));
    }

    pub(crate) fn output(&self) -> f64 {
        self.output
    }

    pub(crate) fn input(&self) -> f64 {
        self.input
    }

    /// How many there have ever been.
    pub(crate) fn total(&self) -> f64 {
        self.total
    }

    /// The sample; before there is one, sizes around the typical request, as spread as lengths of chats are (exponential).
    pub(crate) fn sample(&self) -> Vec<Size> {
        if self.known.len() >= ENOUGH {
            return self.known.iter().copied().collect();
        }
        let mut random = crate::fleet::Random::new(1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let mut length = |mean: f64| (-random.share().ln() * mean).ceil().clamp(1.0, LONGEST) as u32;
        (0..ENOUGH).map(|_| (length(self.input), length(self.output))).collect()
    }

    /// Whether the sample is of requests that were seen.
    pub(crate) fn enough(&self) -> bool {
        self.known.len() >= ENOUGH
    }

    /// Whole numbers in a form that cannot be loaded are no sizes.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |value: f64| value.is_finite() && value >= 0.0;
        sound(self.total)
            && sound(self.input)
            && sound(self.output)
            && self.known.len() <= KEPT
            && self.early.len() <= KEPT
    }
}

/// Before anything is known: a chat (Azure's conversation trace of 2023 has 1,155 and 211 tokens in the mean).
const TYPICAL: (f64, f64) = (1000.0, 200.0);
/// So many tell a distribution.
const ENOUGH: usize = 300;
