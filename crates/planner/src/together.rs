//! What two searches of one problem, each on a thread of its own, tell each other: the best answer of either and the best bound of
//! either end both where they meet.

use crate::search::counts::{beaten, raised};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Of a bound, what the general solver's tolerance may make of it.
const TOLERANCE: f64 = 1e-6;

#[derive(Debug)]
pub(crate) struct Together {
    over: AtomicBool,
    /// Bits of the cheapest objective known.
    best: AtomicU64,
    /// Bits of what no answer is cheaper than.
    bound: AtomicU64,
    /// All objectives are multiples of it; 0 where that is not known.
    step: f64,
}

impl Together {
    pub(crate) fn new(step: f64) -> Self {
        let bits = |value: f64| AtomicU64::new(value.to_bits());
        Self { over: AtomicBool::new(false), best: bits(f64::INFINITY), bound: bits(0.0), step }
    }

    /// Objectives and bounds are not below 0, where bits are in the order of what they stand for.
    pub(crate) fn found(&self, objective: f64) {
        self.best.fetch_min(objective.max(0.0).to_bits(), Ordering::Relaxed);
        self.meet();
    }

    /// A bound of the general solver.
    pub(crate) fn bounded(&self, bound: f64) {
        let bound = raised(bound - TOLERANCE * bound.abs().max(1.0), self.step);
        self.bound.fetch_max(bound.max(0.0).to_bits(), Ordering::Relaxed);
        self.meet();
    }

    fn meet(&self) {
        let best = f64::from_bits(self.best.load(Ordering::Relaxed));
        if best.is_finite() && beaten(Some(best), self.bound()) {
            self.end();
        }
    }

    /// The cheapest objective known.
    pub(crate) fn best(&self) -> Option<f64> {
        Some(f64::from_bits(self.best.load(Ordering::Relaxed))).filter(|best| best.is_finite())
    }

    pub(crate) fn bound(&self) -> f64 {
        f64::from_bits(self.bound.load(Ordering::Relaxed))
    }

    /// Nothing is left to be searched.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
