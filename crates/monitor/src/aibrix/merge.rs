//! One key written by several gateways: the last one wins in Redis, so a reader that looks more than once may see more
//! than one of them.

use super::trace::Trace;

/// Most values of one key that are told apart.
pub const MAX_WRITERS: usize = 16;

/// Distinct values seen at one key, at different times.
///
/// A gateway writes a key once, at the end of its interval; a second, different value is therefore another gateway's, and
/// they add up. What stays hidden: a value that was overwritten before anyone looked, and two gateways that counted the
/// very same. So the sum never says too much, and may say too little; [`Check`](super::Check) notices that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merge {
    seen: Vec<Trace>,
}

impl Merge {
    /// Takes a value that was read at the key. True if it is a new one; false for one seen before, one that does not fit
    /// (another interval or precision), and those beyond [`MAX_WRITERS`].
    pub fn see(&mut self, trace: &Trace) -> bool {
        let fits = self.seen.first().is_none_or(|first| {
            first.interval == trace.interval && first.precision == trace.precision && first.version == trace.version
        });
        let new = fits && self.seen.len() < MAX_WRITERS && !self.seen.contains(trace);
        if new {
            self.seen.push(trace.clone());
        }
        new
    }

    /// How many writers were told apart.
    #[must_use]
    pub fn writers(&self) -> usize {
        self.seen.len()
    }

    /// All of them together: every count added up. Nothing before the first.
    #[must_use]
    pub fn trace(&self) -> Option<Trace> {
        let (first, others) = self.seen.split_first()?;
        let add = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
        let mut all = first.clone();
        for other in others {
            all.total = add(all.total, other.total);
            all.pending = add(all.pending, other.pending);
            all.queued = add(all.queued, other.queued);
            for (place, count) in &other.buckets {
                let bucket = all.buckets.entry(*place).or_default();
                *bucket = bucket.saturating_add(*count);
            }
        }
        Some(all)
    }
}
