//! What a monitor remembers, for another process to go on with. Knows no file.

use crate::bins::Bins;
use crate::mix::Mix;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};

/// The version that is written; others are not read.
const VERSION: u32 = 1;

/// All that a [`Monitor`](crate::Monitor) remembers. Times in it are on the caller's clock, so that after a restart the age is told
/// from the time of the data and not from that of the restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    pub(crate) memory: Memory,
}

/// The parts of the memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) settings: Settings,
    pub(crate) bins: Bins,
    /// What is before is not used any more.
    pub(crate) since: Option<f64>,
    pub(crate) mix: Mix,
    /// Unfinished and waiting requests, and when.
    pub(crate) backlog: Option<Backlog>,
    /// Arrivals that came out negative in the span before, to be taken from the next.
    pub(crate) owed: f64,
    /// Batches refused as too old, one after the other.
    pub(crate) strays: u32,
}

/// What was unfinished at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Backlog {
    pub(crate) at: f64,
    pub(crate) pending: Option<f64>,
    pub(crate) queued: Option<f64>,
}

impl State {
    pub(crate) fn of(memory: Memory) -> Self {
        Self { version: VERSION, memory }
    }

    /// Whether it can be gone on with: the version is known and everything is within its bounds.
    pub(crate) fn is_sound(&self) -> bool {
        let memory = &self.memory;
        let backlog = |backlog: Backlog| {
            let count = |value: Option<f64>| value.is_none_or(crate::batch::is_count);
            backlog.at.is_finite() && count(backlog.pending) && count(backlog.queued)
        };
        self.version == VERSION
            && memory.settings == memory.settings.sound()
            && memory.bins.is_sound()
            && memory.mix.is_sound(memory.settings.max_cells)
            && memory.since.is_none_or(f64::is_finite)
            && memory.backlog.is_none_or(backlog)
            && crate::batch::is_count(memory.owed)
    }
}
