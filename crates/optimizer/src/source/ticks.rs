//! Which traces are still to be read. A trace stands for the ten seconds before its tick and is alive for ten minutes; what was
//! missed is read later, and what was not there when it was due is looked for once more. Pure.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Seconds between ticks: AIBrix's gateway, `pkg/cache/cache_trace.go`.
pub(crate) const TICK: u64 = 10;
/// Seconds that a trace is alive, there.
const ALIVE: u64 = 600;
/// A tick without a trace is looked at again for so many seconds: gateways' clocks differ, and their writes may be late.
const LATE: u64 = 40;

/// What has been read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Ticks {
    /// All up to this one are settled.
    settled: u64,
    /// Later ones that have been read.
    read: BTreeSet<u64>,
    /// The newest tick that had a trace.
    pub(crate) newest: Option<u64>,
    /// Up to this tick, absent traces have been taken for seconds without requests.
    pub(crate) told: u64,
}

impl Ticks {
    /// The ticks to ask for, oldest first.
    pub(crate) fn due(&self, now: f64) -> Vec<u64> {
        let now = aligned(now);
        let first = self.settled.max(now.saturating_sub(ALIVE)) + TICK;
        // A clock that was set back: nothing is due until it has caught up.
        (first..=now).step_by(usize::try_from(TICK).unwrap_or(10)).filter(|tick| !self.read.contains(tick)).collect()
    }

    /// All ticks up to this one have been looked at, with time for late writes.
    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }

    /// Takes note of what those that were due brought.
    pub(crate) fn looked(&mut self, now: f64, found: impl IntoIterator<Item = u64>) {
        self.read.extend(found);
        self.newest = self.read.iter().next_back().copied().max(self.newest);
        let settled = aligned(now).saturating_sub(LATE);
        self.settled = self.settled.max(settled);
        self.read = self.read.split_off(&(self.settled + 1));
    }
}

/// The last multiple of ten seconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
pub(crate) fn aligned(now: f64) -> u64 {
    let seconds = now.max(0.0) as u64;
    seconds - seconds % TICK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_takes_all_that_are_alive_in_order_of_time() {
        let due = Ticks::default().due(10_003.0);
        assert_eq!((due.first(), due.last(), due.len()), (Some(&9_410), Some(&10_000), 60));
        assert!(due.is_sorted());
    }

    #[test]
    fn what_was_read_is_not_read_again_and_what_was_missed_is() {
        let mut ticks = Ticks::default();
        ticks.looked(1_002.0, [990, 1_000]);
        assert_eq!(ticks.due(1_012.0), [970, 980, 1_010], "absent ones once more");
        // Redis is away for a while: nothing was looked at, so all of it is due.
        assert_eq!(ticks.due(1_062.0), [970, 980, 1_010, 1_020, 1_030, 1_040, 1_050, 1_060]);
        ticks.looked(1_062.0, [1_010]);
        assert_eq!((ticks.due(1_062.0).first(), ticks.newest), (Some(&1_030), Some(1_010)));
    }

    #[test]
    fn a_clock_that_goes_back_reads_nothing_twice_and_a_long_pause_only_what_is_alive() {
        let mut ticks = Ticks::default();
        ticks.looked(10_002.0, [10_000]);
        assert_eq!(ticks.due(9_000.0), [0; 0]);
        assert_eq!(ticks.due(20_000.0).len(), 60);
    }
}
