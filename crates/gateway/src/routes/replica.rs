//! One replica as routing sees it, and the lease that counts a request on it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::uri::Authority;
use tokio_util::sync::CancellationToken;

use super::Routes;
use crate::upstream::{self, HttpClient};

/// Why requests on a replica are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It crashed.
    Crashed,
    /// It was being scaled down.
    ScaledDown,
}

/// A replica. Its counters are changed under the table's lock only; they are atomic to be read without it.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) id: String,
    pub(crate) addr: SocketAddr,
    /// `addr` as it stands in a URI; `None` never happens for a socket address and fails the attempt, not the process.
    pub(crate) authority: Option<Authority>,
    pub(crate) group: Arc<str>,
    pub(crate) client: HttpClient,
    /// Cancelled when requests on it must end; `cut` says why.
    pub(crate) gone: CancellationToken,
    cut: OnceLock<Cut>,
    /// Cancelled when the last request left a draining or removed replica.
    pub(super) idle: CancellationToken,
    draining: AtomicBool,
    suspended: AtomicBool,
    in_flight: AtomicUsize,
    served: AtomicUsize,
    aborted: AtomicUsize,
    failed: AtomicUsize,
}

impl Replica {
    pub(super) fn new(id: &str, addr: SocketAddr, group: Arc<str>, connect: Duration, idle: Duration) -> Self {
        Self {
            id: id.to_owned(),
            addr,
            authority: addr.to_string().parse().ok(),
            group,
            client: upstream::client(connect, idle),
            gone: CancellationToken::new(),
            cut: OnceLock::new(),
            idle: CancellationToken::new(),
            draining: false.into(),
            suspended: false.into(),
            in_flight: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            aborted: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        }
    }

    /// Ends the requests on it. Without a byte sent they go elsewhere, others fail.
    pub(super) fn cut(&self, why: Cut) {
        self.cut.get_or_init(|| why);
        self.gone.cancel();
    }

    /// How a request that breaks now is to be counted: anything on a draining replica is scaling's doing.
    pub(crate) fn cut_reason(&self) -> Cut {
        let default = if self.is_draining() { Cut::ScaledDown } else { Cut::Crashed };
        self.cut.get().copied().unwrap_or(default)
    }

    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) fn set_suspended(&self, suspended: bool) {
        self.suspended.store(suspended, Ordering::Release);
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Acquire)
    }

    /// Whether new requests go to it.
    pub(super) fn is_open(&self) -> bool {
        !self.is_draining() && !self.is_suspended()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests ever routed here.
    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }

    pub(super) fn aborted(&self) -> usize {
        self.aborted.load(Ordering::Relaxed)
    }

    /// Requests that broke off here after their first byte, for whatever reason.
    pub(crate) fn broken(&self) -> usize {
        self.aborted() + self.failed.load(Ordering::Relaxed)
    }

    /// A request was cut after its first byte.
    pub(crate) fn count_cut(&self, why: Cut) {
        let counter = if why == Cut::ScaledDown { &self.aborted } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many are left.
    pub(super) fn leave(&self) -> usize {
        self.in_flight.fetch_sub(1, Ordering::Relaxed).saturating_sub(1)
    }
}

/// A request's place on a replica, given back on drop.
#[derive(Debug)]
pub(crate) struct Lease {
    routes: Arc<Routes>,
    replica: Arc<Replica>,
}

impl Lease {
    /// The caller has counted the request on the replica (`enter`).
    pub(super) fn new(routes: &Arc<Routes>, replica: Arc<Replica>) -> Self {
        Self { routes: Arc::clone(routes), replica }
    }

    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.routes.release(&self.replica);
    }
}
