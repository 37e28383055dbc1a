//! Arrival rates over time.

use serde::{Deserialize, Serialize};

/// Arrivals per second as a function of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    /// Poisson at one rate.
    Poisson {
        /// Per second.
        rate: f64,
    },
    /// Evenly spaced at one rate.
    Even {
        /// Per second.
        rate: f64,
    },
    /// Poisson at a base rate, and at a peak rate for a while in each period.
    Burst {
        /// Per second, between bursts.
        base: f64,
        /// Per second, in a burst.
        peak: f64,
        /// Seconds from one burst's start to the next; the first comes after one such span.
        every: f64,
        /// Seconds that a burst lasts.
        lasts: f64,
    },
    /// Poisson with a rate that swings.
    Sinus {
        /// Per second.
        mean: f64,
        /// Per second above and below the mean; the rate does not go below zero.
        amplitude: f64,
        /// Seconds of a swing.
        period: f64,
    },
    /// Poisson through phases, each from one rate to another; after the last its end rate goes on.
    Phases(Vec<Phase>),
}

/// One phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Seconds.
    pub length: f64,
    /// Rate at its start, per second.
    pub from: f64,
    /// Rate at its end, per second.
    pub to: f64,
}

impl Shape {
    /// Arrivals per second at `at` seconds.
    #[must_use]
    pub fn rate(&self, at: f64) -> f64 {
        match self {
            Self::Poisson { rate } | Self::Even { rate } => *rate,
            Self::Burst { base, peak, every, lasts } => {
                let bursting = at >= *every && at.rem_euclid(*every) < *lasts;
                if bursting { *peak } else { *base }
            }
            Self::Sinus { mean, amplitude, period } => {
                (mean + amplitude * (std::f64::consts::TAU * at / period).sin()).max(0.0)
            }
            Self::Phases(phases) => phase_rate(phases, at),
        }
    }

    /// The highest rate.
    #[must_use]
    pub fn peak(&self) -> f64 {
        match self {
            Self::Poisson { rate } | Self::Even { rate } => *rate,
            Self::Burst { base, peak, .. } => base.max(*peak),
            Self::Sinus { mean, amplitude, .. } => mean + amplitude,
            Self::Phases(phases) => phases.iter().map(|phase| phase.from.max(phase.to)).fold(0.0, f64::max),
        }
    }
}

fn phase_rate(phases: &[Phase], at: f64) -> f64 {
    let mut start = 0.0;
    for phase in phases {
        if at < start + phase.length {
            return phase.from + (phase.to - phase.from) * (at - start) / phase.length;
        }
        start += phase.length;
    }
    phases.last().map_or(0.0, |phase| phase.to)
}
