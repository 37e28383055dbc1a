//! What two searches of one problem, each on a thread of its own, tell each other: the best answer of either, and that nothing is left.

use crate::greedy::Draft;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Together {
    over: AtomicBool,
    /// Bits of the cheapest objective known.
    best: AtomicU64,
    /// The cheapest draft of the one, for the other to take over.
    draft: Mutex<Option<Draft>>,
}

impl Default for Together {
    fn default() -> Self {
        Self { over: AtomicBool::new(false), best: AtomicU64::new(f64::INFINITY.to_bits()), draft: Mutex::new(None) }
    }
}

impl Together {
    /// Objectives are not below 0, where bits are in the order of what they stand for.
    pub(crate) fn found(&self, objective: f64) {
        self.best.fetch_min(objective.max(0.0).to_bits(), Ordering::Relaxed);
    }

    /// Leaves a draft that is cheaper than all before.
    pub(crate) fn leave(&self, draft: &Draft) {
        if let Ok(mut left) = self.draft.lock() {
            *left = Some(draft.clone());
        }
    }

    /// Takes what was left since this was last asked.
    pub(crate) fn take(&self) -> Option<Draft> {
        self.draft.lock().ok()?.take()
    }

    /// The cheapest objective known.
    pub(crate) fn best(&self) -> Option<f64> {
        Some(f64::from_bits(self.best.load(Ordering::Relaxed))).filter(|best| best.is_finite())
    }

    /// Nothing is left to be searched.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
