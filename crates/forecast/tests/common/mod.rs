//! Loads to forecast, made by a generator of the tests' own.

use forecast::{Forecaster, Settings};

/// A linear congruential generator (Knuth's MMIX constants): the same numbers everywhere.
pub(crate) struct Noise(pub u64);

impl Noise {
    /// Uniform between 0 and 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, mean 0 and deviation 1: the sum of twelve uniforms.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

pub(crate) fn forecaster(step: f64, horizon: f64) -> Forecaster {
    Forecaster::new(Settings { step, horizon, ..Settings::default() }).unwrap()
}

/// The middle of a step.
pub(crate) fn middle(step: f64, index: usize) -> f64 {
    (index as f64 + 0.5) * step
}
