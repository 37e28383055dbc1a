//! What is known of each replica at a moment. Plain data.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

/// A replica's id, `GROUP-NUMBER`; never used twice by one supervisor.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(Arc<str>);

impl ReplicaId {
    pub(crate) fn new(group: &str, index: u32) -> Self {
        Self(format!("{group}-{index}").into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ReplicaId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where a replica is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// Not started yet.
    Pending(PendingReason),
    /// Started and never ready since.
    Starting,
    /// Answers its readiness probes.
    Ready,
    /// Was ready, and has failed several probes in a row. It runs on and may become ready again.
    NotReady,
    /// Marked as leaving; it runs on until it is stopped.
    Draining,
    /// Told to end (`SIGTERM`), by an order or because it did not become ready in time.
    Stopping,
    /// Crashed or timed out; waits for its next start. It keeps its GPUs, as a pod keeps its node.
    BackingOff,
    /// Ended as ordered. Final.
    Stopped,
    /// Ended by itself, with a failure, after it was marked as leaving. Final.
    Failed,
}

impl ReplicaState {
    /// No process is left and none will be started.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

/// Why a replica is not started yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingReason {
    /// Not enough GPUs are free, or others were first in the queue.
    NoGpu,
}

/// How a replica's process ended the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastExit {
    /// The exit code, if it exited. 126: it could not be run.
    pub code: Option<i32>,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
    /// What code and signal do not say, such as a start that failed.
    pub reason: Option<String>,
    /// When.
    pub at: Instant,
}

/// One replica at a moment. Times are the machine's, whatever the speed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The replica.
    pub id: ReplicaId,
    /// Its group.
    pub group: String,
    /// The number in its id.
    pub index: u32,
    /// Where it is in its life.
    pub state: ReplicaState,
    /// Marked as leaving: it is not counted, not chosen as a victim and not started again.
    pub leaving: bool,
    /// The command's process id while it runs.
    pub pid: Option<u32>,
    /// Its ports on 127.0.0.1 while it runs, by name. A restart brings new ones.
    pub ports: BTreeMap<String, u16>,
    /// The GPUs it holds.
    pub gpus: Vec<String>,
    /// When it was asked for.
    pub created_at: Instant,
    /// When its present process was started.
    pub started_at: Option<Instant>,
    /// When its present process first became ready.
    pub ready_at: Option<Instant>,
    /// The last change from ready to not ready or back, its creation at first.
    pub readiness_changed_at: Instant,
    /// Starts after the first one.
    pub restarts: u32,
    /// How its process ended the last time.
    pub last_exit: Option<LastExit>,
    /// The spec it runs has been replaced since ([`crate::Supervisor::set_group`]); the next start takes the new one.
    pub outdated: bool,
}
