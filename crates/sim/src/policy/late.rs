//! The late oracle: it knows the demand of this moment, and nothing of the next. What it cannot reach, nothing that only reacts
//! can.

use crate::demand::Demand;
use crate::world::{Policy, Seen};
use std::sync::Arc;

/// The late oracle.
#[derive(Debug, Clone)]
pub struct Late {
    demand: Arc<Demand>,
    /// Replicas for one replica's work.
    headroom: f64,
    /// Seconds that a replica is kept after it was needed last. The start-up time is the best there is without knowing the
    /// future (as in ski rental); zero may be better on a given trace.
    hold: f64,
}

impl Late {
    /// With a head-room and a hold.
    #[must_use]
    pub fn new(demand: Arc<Demand>, headroom: f64, hold: f64) -> Self {
        Self { demand, headroom, hold }
    }
}

impl Policy for Late {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        let step = self.demand.step;
        // The last window that is over.
        let last = ((seen.now / step) as usize).min(self.demand.work.len());
        let kept = (self.hold / step) as usize + 1;
        let recent = &self.demand.work[last.saturating_sub(kept)..last];
        let most = recent.iter().copied().fold(0.0, f64::max);
        if recent.is_empty() { seen.wanted } else { (most * self.headroom).ceil() as u32 }
    }

    fn why(&self) -> String {
        "the demand of now".to_owned()
    }
}
