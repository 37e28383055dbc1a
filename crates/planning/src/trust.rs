//! The trust: what really missed, beside what the risk had said, and beside what the SLO leaves free.
//!
//! Two slow corrections, both within stated limits. The *scale* multiplies the load before the risk is asked: the model of the engine
//! is wrong, or arrivals are rougher than Poisson's. The *allowance* multiplies what may be planned to miss: over a long time as many
//! requests are to miss as the SLO leaves free, no more, and not many fewer, since each of them costs replicas.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What has been learnt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trust {
    /// Requests that missed, and that were said to miss, where the risk was low.
    missed: f64,
    said: f64,
    /// Requests that the plan answers for, and those of them that missed.
    ended: f64,
    lost: f64,
    moments: VecDeque<Moment>,
}

/// How things stood at a look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Moment {
    at: f64,
    /// The risk of then.
    risk: f64,
    /// The highest risk of the minute before.
    worst: f64,
    /// Whether the plan had had the time to be carried out.
    charged: bool,
}

/// A request takes seldom longer than this many looks' time: ten minutes at one look a second.
const MOMENTS: usize = 600;
/// Only where less than this was at risk does a miss say something of the risk: beyond the knee everything misses.
const TOLD: f64 = 0.05;
/// What went wrong shows for so long in requests that were already inside, seconds.
const ECHO: f64 = 120.0;
/// Requests that the scale looks back on; a model's error changes slowly, and bursts must not be taken for it.
const SCALE_MEMORY: f64 = 200_000.0;
/// Requests that the allowance looks back on.
const ALLOWANCE_MEMORY: f64 = 300_000.0;
/// Misses by which the scale is held to 1 at the beginning.
const SCALE_PRIOR: f64 = 30.0;
/// Requests by which the allowance is held to 1 at the beginning.
const ALLOWANCE_PRIOR: f64 = 1500.0;
/// Misses grow with about the third power of the load (between 1.5 far below the knee and 4 around it), so that the load errs by this root
/// of the ratio.
const ROOT: f64 = 0.35;
/// How strongly the allowance answers: gently, since a constant one is the cheapest, and misses come in bursts.
const GAIN: f64 = 0.5;
/// Limits of both. An outage that no capacity would have averted must not be paid for by twice the fleet for hours after.
const SCALE: (f64, f64) = (0.5, 3.0);
const ALLOWANCE: (f64, f64) = (0.4, 1.2);
/// Part of what the SLO leaves free that is aimed at: a burst that has not come yet needs the rest.
const AIM: f64 = 0.85;

impl Trust {
    /// Remembers how things stand, for the requests that arrive now and end later.
    pub(crate) fn stands(&mut self, at: f64, risk: f64, charged: bool) {
        let recent = self.moments.iter().rev().take_while(|moment| moment.at >= at - ECHO);
        let worst = recent.map(|moment| moment.risk).fold(risk, f64::max);
        self.moments.push_back(Moment { at, risk, worst, charged });
        if self.moments.len() > MOMENTS {
            self.moments.pop_front();
        }
    }

    /// Takes what became of requests that arrived at a time.
    pub(crate) fn ended(&mut self, arrived: f64, ended: f64, kept: f64) {
        if !(ended.is_finite() && kept.is_finite() && ended > 0.0 && kept >= 0.0) {
            return;
        }
        let missed = (ended - kept).max(0.0);
        let at = self.moments.partition_point(|moment| moment.at <= arrived);
        // What came after the last look stands as things stood then.
        let Some(moment) = self.moments.get(at).or(self.moments.back()) else { return };
        // Of all its time: what becomes crowded after it came in makes it late, too.
        if self.moments.range(at..).all(|moment| moment.worst < TOLD) {
            let keep = (1.0 - ended / SCALE_MEMORY).max(0.0);
            self.missed = self.missed * keep + missed;
            self.said = self.said * keep + moment.risk * ended;
        }
        if moment.charged {
            let keep = (1.0 - ended / ALLOWANCE_MEMORY).max(0.0);
            self.ended = self.ended * keep + ended;
            self.lost = self.lost * keep + missed;
        }
    }

    /// By how much the load weighs more than the risk says.
    #[must_use]
    pub fn scale(&self) -> f64 {
        ((self.missed + SCALE_PRIOR) / (self.said + SCALE_PRIOR)).powf(ROOT).clamp(SCALE.0, SCALE.1)
    }

    /// The share that may be planned to miss, where the SLO leaves `free` free.
    #[must_use]
    pub fn allowed(&self, free: f64) -> f64 {
        let had = (self.lost + AIM * free * ALLOWANCE_PRIOR) / (self.ended + ALLOWANCE_PRIOR);
        free * (AIM * free / had.max(1e-9)).powf(GAIN).clamp(ALLOWANCE.0, ALLOWANCE.1)
    }

    /// The share that kept the SLO, of what the plan answers for; none before any ended.
    #[must_use]
    pub fn attainment(&self) -> Option<f64> {
        (self.ended > 0.0).then(|| 1.0 - self.lost / self.ended)
    }

    /// Whether a loaded form is one that was saved.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |value: f64| value.is_finite() && value >= 0.0;
        [self.missed, self.said, self.ended, self.lost].into_iter().all(sound) && self.moments.len() <= MOMENTS
    }

    /// After a break nobody knows how things stood.
    pub(crate) fn resume(&mut self) {
        self.moments.clear();
    }
}
