//! Sizes of prompts and answers, in tokens.

use rand::Rng;
use rand_distr::{Distribution, LogNormal};
use serde::{Deserialize, Serialize};

/// A distribution of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Sizes {
    /// Always the same.
    Fixed(u32),
    /// Lognormal, the usual shape of prompts and answers.
    LogNormal {
        /// Mean, in tokens.
        mean: f64,
        /// Standard deviation ÷ mean.
        cv: f64,
    },
}

/// Longer than any engine's context: the lognormal's tail ends here.
const LONGEST: f64 = 1e6;

impl Sizes {
    /// One size, at least 1.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range")]
    pub fn sample(&self, random: &mut impl Rng) -> u32 {
        match *self {
            Self::Fixed(tokens) => tokens.max(1),
            Self::LogNormal { mean, cv } => match LogNormal::from_mean_cv(mean, cv) {
                Ok(distribution) => distribution.sample(random).round().clamp(1.0, LONGEST) as u32,
                // Parameters are checked where they are read; what slips through is a constant.
                Err(_) => mean.clamp(1.0, LONGEST) as u32,
            },
        }
    }
}
