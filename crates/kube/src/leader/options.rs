//! What an election is told: which Lease, who contends, and how patiently.

use std::time::Duration;

/// Which lease, who asks for it, and its times. client-go's are 15 s, 10 s and 2 s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaseOptions {
    /// The namespace of the Lease.
    pub(crate) namespace: String,
    /// The name of the Lease.
    pub(crate) name: String,
    /// Who contends, for people: the pod's name. Each contention adds random letters, so that neither a restarted process
    /// nor a second one under the same name is taken for the holder.
    pub(crate) identity: String,
    /// How long others wait for a holder that is silent.
    pub(crate) duration: Duration,
    /// How long after the start of its last renewal a holder leads; shorter than `duration`.
    pub(crate) renew_deadline: Duration,
    /// How often the holder renews and the others look.
    pub(crate) retry: Duration,
}

/// Why options make no sound election.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidLease {
    /// A name is missing.
    #[error("the lease needs a namespace, a name and an identity")]
    Unnamed,
    /// The order of the times is what makes it safe.
    #[error(
        "the lease's times must satisfy 0 < 2 x retry <= renew deadline < lease duration, and 1 s <= lease duration"
    )]
    Times,
}

impl LeaseOptions {
    /// Whether the times keep the promise of the module.
    pub(super) fn check(&self) -> Result<(), InvalidLease> {
        if self.namespace.is_empty() || self.name.is_empty() || self.identity.is_empty() {
            return Err(InvalidLease::Unnamed);
        }
        let ordered = self.retry > Duration::ZERO
            && self.retry.saturating_mul(2) <= self.renew_deadline
            && self.renew_deadline < self.duration;
        if ordered && self.duration >= Duration::from_secs(1) { Ok(()) } else { Err(InvalidLease::Times) }
    }

    /// The deadline of one call: a holder whose call hangs has time for a second one.
    pub(super) fn call_timeout(&self) -> Duration {
        self.renew_deadline / 2
    }

    /// The duration as the Lease states it: whole seconds, rounded up, since others wait for it.
    pub(super) fn duration_seconds(&self) -> i32 {
        let rounded = self.duration.as_secs() + u64::from(self.duration.subsec_nanos() > 0);
        i32::try_from(rounded).unwrap_or(i32::MAX)
    }
}
