//! Leadership by a `coordination.k8s.io/v1` Lease: who may write.
//!
//! The promise: a leader stops **before** anybody else can lead. It leads until `renew_deadline` after the *start* of its
//! last successful renewal, by its own monotonic clock, whether or not a call hangs or the API server is away. Another
//! takes over only after it has itself watched the record stand still for a whole `duration`, which begins later and is
//! longer; the difference (5 s by default) is the margin for clocks of different speed and for writes under way. Wall
//! clocks are written for people and never compared.
//!
//! `kube-lease-manager` 0.13 was judged and left: its state turns only when its loop comes round, so a renewal that hangs
//! leaves a leader in office; it compares the holder's wall clock with its own; and it patches, also to take an expired
//! lease away, without a resource version, so that a stale view overwrites a newer holder.
//!
//! What no lease can promise: a machine that is frozen between a check and a write, and thawed later, writes late. The
//! resource version of that write is the last fence. And who deletes the Lease by hand invites a replica that has just
//! started to lead at once; one that knew of the Lease waits.

mod elector;
mod options;
mod record;
mod term;
#[cfg(test)]
mod tests;

use elector::Elector;
pub(crate) use options::{InvalidLease, LeaseOptions};
use std::sync::{Arc, Mutex, PoisonError};
use term::{Office, View};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Whether this process leads. Clones see the same; when the last one is dropped the lease is given back.
#[derive(Debug, Clone)]
pub(crate) struct Leadership {
    view: View,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
    // A process that has forgotten its leadership must not go on renewing it.
    _guard: DropGuard,
}

impl Leadership {
    /// Begins to contend for the lease, in a task of its own.
    pub(crate) fn contend(client: kube::Client, options: LeaseOptions) -> Result<Self, InvalidLease> {
        Self::contend_at(client, options, jiff::Timestamp::now)
    }

    fn contend_at(client: kube::Client, options: LeaseOptions, wall: record::Wall) -> Result<Self, InvalidLease> {
        options.check()?;
        let (office, view) = Office::vacant(options.renew_deadline);
        let stop = CancellationToken::new();
        let task = tokio::spawn(Elector::new(client, options, office, wall).run(stop.clone()));
        Ok(Self { view, inner: Inner::new(stop, Some(task)) })
    }

    /// For a controller that is told to be the only one: leads until released, and asks nobody.
    pub(crate) fn unopposed() -> Self {
        let (mut office, view) = Office::vacant(term::FOR_EVER);
        office.renewed(tokio::time::Instant::now());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            stopped.cancelled().await;
            office.end();
        });
        Self { view, inner: Inner::new(stop, Some(task)) }
    }

    /// Whether this process may write now. Turns false by the clock alone.
    pub(crate) fn leads(&self) -> bool {
        self.view.leads()
    }

    /// Waits until this process leads; for ever where it has been released.
    pub(crate) async fn wait_until_leading(&self) {
        self.view.clone().wait_until_leading().await;
    }

    /// Waits until the present term has ended, also where another term has begun since. Returns at once where this
    /// process does not lead.
    pub(crate) async fn lost(&self) {
        self.view.clone().lost().await;
    }

    /// Does `work` as long as this process leads; none where the term ended first, and the work was dropped.
    pub(crate) async fn while_leading<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.lost() => None,
            done = work => Some(done),
        }
    }

    /// Stops leading, for all clones, and gives the lease back, so that the next takes over at its next look. Call it when
    /// the last write is done. Bounded by a few calls' deadlines; a lease that could not be given back expires.
    pub(crate) async fn release(self) {
        self.inner.stop.cancel();
        let task = self.inner.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the elector has failed; the lease expires by itself");
        }
    }
}

impl Inner {
    fn new(stop: CancellationToken, task: Option<JoinHandle<()>>) -> Arc<Self> {
        let guard = stop.clone().drop_guard();
        Arc::new(Self { stop, task: Mutex::new(task), _guard: guard })
    }
}
