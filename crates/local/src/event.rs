//! What happened to a replica, as it happens. Plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::status::{PendingReason, ReplicaId};

/// Something happened to a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which replica.
    pub replica: ReplicaId,
    /// Its group.
    pub group: String,
    /// When, in machine time.
    pub at: Instant,
    /// What.
    pub kind: EventKind,
}

/// What can happen to a replica. Durations are in trace time: multiplied by the speed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It has to wait for its start.
    Pending(PendingReason),
    /// Its process was started.
    Started {
        /// The command's process id.
        pid: u32,
        /// Its ports on 127.0.0.1, by name.
        ports: BTreeMap<String, u16>,
        /// Its GPUs.
        gpus: Vec<String>,
    },
    /// It became ready, for the first time in this life or again.
    Ready {
        /// Time since its process was started, or since it was last ready.
        after: Duration,
    },
    /// It failed several probes in a row.
    NotReady {
        /// What the last probe got.
        reason: String,
    },
    /// It was marked as leaving.
    Draining,
    /// It was taken back from draining.
    Resumed,
    /// It did not become ready in time and is being stopped; a restart follows.
    StartTimedOut {
        /// The time it had.
        after: Duration,
    },
    /// Its process has ended, with all that it had started.
    Exited {
        /// The exit code, if it exited.
        code: Option<i32>,
        /// The signal, if one ended it.
        signal: Option<i32>,
    },
    /// Its process could not be started at all; a restart follows.
    StartFailed {
        /// Why.
        reason: String,
    },
    /// It will be started again.
    Restarting {
        /// The wait before that.
        after: Duration,
    },
    /// It is gone for good.
    Stopped,
}
