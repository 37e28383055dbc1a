//! Spans of time with their arrivals: in order, none counted twice, bounded. Knows no estimate.

use serde::{Deserialize, Serialize};

/// Most spans kept. Over ten minutes they are at least a second each, and old ones are joined first.
pub(crate) const MAX_BINS: usize = 512;
/// Spans shorter than this, in seconds, are joined with the one before: no estimate looks closer.
const FINEST: f64 = 1.0;
/// Two times closer than this are one, in seconds: Unix seconds as `f64` are exact to a quarter of a microsecond.
pub(crate) const TOUCH: f64 = 1e-6;

/// A span and what arrived in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bin {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) count: f64,
}

impl Bin {
    pub(crate) fn seconds(&self) -> f64 {
        self.to - self.from
    }

    fn touches(&self, next: &Self) -> bool {
        (next.from - self.to).abs() <= TOUCH
    }
}

/// Spans by time; no two overlap.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bins(Vec<Bin>);

impl Bins {
    pub(crate) fn all(&self) -> &[Bin] {
        &self.0
    }

    /// The end of the newest span.
    pub(crate) fn newest(&self) -> Option<f64> {
        self.0.last().map(|bin| bin.to)
    }

    /// The parts of a span that no bin covers, in order.
    pub(crate) fn uncovered(&self, from: f64, to: f64) -> Vec<(f64, f64)> {
        let mut parts = Vec::new();
        let mut at = from;
        let first = self.0.partition_point(|bin| bin.to <= from);
        for bin in self.0[first..].iter().take_while(|bin| bin.from < to) {
            if bin.from - at > TOUCH {
                parts.push((at, bin.from));
            }
            at = at.max(bin.to);
        }
        if to - at > TOUCH {
            parts.push((at, to));
        }
        parts
    }

    /// Adds a span that is not covered. `step` is a time that no joined bin may lie across.
    pub(crate) fn add(&mut self, bin: Bin, step: Option<f64>) {
        let at = self.0.partition_point(|known| known.to <= bin.from + TOUCH);
        let joins = |before: &Bin| {
            before.touches(&bin) && bin.to - before.from <= FINEST + TOUCH && !lies_across(before, &bin, step)
        };
        match at.checked_sub(1).map(|before| &mut self.0[before]) {
            Some(before) if joins(before) => {
                before.to = bin.to;
                before.count += bin.count;
            }
            _ => self.0.insert(at, bin),
        }
        while self.0.len() > MAX_BINS {
            self.shorten(step);
        }
    }

    /// Forgets spans that ended before a time, all but the newest.
    pub(crate) fn forget_before(&mut self, time: f64) {
        let old = self.0.partition_point(|bin| bin.to < time).min(self.0.len().saturating_sub(1));
        self.0.drain(..old);
    }

    /// Joins the two neighbours that are shortest beside their age; where none touch, the oldest span goes.
    fn shorten(&mut self, step: Option<f64>) {
        let Some(newest) = self.newest() else { return };
        let coarseness = |pair: &[Bin]| (pair[1].to - pair[0].from) / (newest - pair[1].to + FINEST);
        let pairs = self.0.windows(2).enumerate();
        let can = pairs.filter(|(_, pair)| pair[0].touches(&pair[1]) && !lies_across(&pair[0], &pair[1], step));
        let best = can.min_by(|(_, a), (_, b)| coarseness(a).total_cmp(&coarseness(b))).map(|(at, _)| at);
        let Some(at) = best else {
            self.0.remove(0);
            return;
        };
        let later = self.0.remove(at + 1);
        self.0[at].to = later.to;
        self.0[at].count += later.count;
    }

    /// Whether it is what [`Bins::add`] could have made.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |bin: &Bin| bin.from.is_finite() && bin.to.is_finite() && bin.to > bin.from;
        self.0.len() <= MAX_BINS
            && self.0.iter().all(|bin| sound(bin) && crate::batch::is_count(bin.count))
            && self.0.windows(2).all(|pair| pair[0].to <= pair[1].from + TOUCH)
    }
}

fn lies_across(before: &Bin, after: &Bin, step: Option<f64>) -> bool {
    step.is_some_and(|step| before.from < step && step < after.to)
}
