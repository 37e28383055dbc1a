//! What is going to happen, in order of time; of equal times, in the order in which it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Planned {
    /// A replica begins to serve.
    Ready(u32),
    /// A replica crashes.
    Crash(u32),
    /// A draining replica is stopped, whatever it has.
    Cut(u32),
    /// All metrics pages are read.
    Scrape,
    /// The policy takes a sample.
    Sample,
    /// The policy decides.
    Tick,
}

/// The plan. Times are nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(u64, u64, Planned)>>,
    planned: u64,
}

impl Queue {
    pub(super) fn plan(&mut self, at: u64, what: Planned) {
        self.heap.push(Reverse((at, self.planned, what)));
        self.planned += 1;
    }

    pub(super) fn next_time(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Planned)> {
        self.heap.pop().map(|Reverse((at, _, what))| (at, what))
    }
}
