//! The world's side of the gateway: groups and replicas in, snapshots and events out.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};

use crate::body::Budget;
use crate::config::{GatewayConfig, GroupConfig, MAX_TIME};
use crate::record::{Event, RequestRecord};
use crate::routes::{DrainReport, RemoveReport, RouteError, Routes};
use crate::snapshot::Snapshot;
use crate::stats::Stats;

/// What all parts of one gateway share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: GatewayConfig,
    pub(crate) routes: Arc<Routes>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) budget: Arc<Budget>,
    /// Seconds since the Unix epoch.
    pub(crate) started_epoch: u64,
    stopping: AtomicBool,
    killed: AtomicBool,
    shutdown_timeout: Mutex<Duration>,
}

impl Shared {
    pub(crate) fn new(config: GatewayConfig) -> Arc<Self> {
        let config = config.sane();
        let stats = Stats::new(config.recent_records);
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Arc::new(Self {
            routes: Routes::new(&config, Arc::clone(&stats)),
            stats,
            budget: Budget::new(config.max_buffered_bytes),
            started_epoch: epoch.map_or(0, |since| since.as_secs()),
            stopping: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            shutdown_timeout: Mutex::new(config.shutdown_timeout),
            config,
        })
    }

    /// Shutdown began: requests in flight go on, waiting ones do not.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.routes.close();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn shutdown_timeout(&self) -> Duration {
        *self.shutdown_timeout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_shutdown_timeout(&self, timeout: Duration) {
        *self.shutdown_timeout.lock().unwrap_or_else(PoisonError::into_inner) = timeout.min(MAX_TIME);
    }

    /// The shutdown's patience is over: what ends now, ends because of it.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }
}

/// Steers a [`Gateway`](crate::Gateway). Cheap to clone; every call is short and may be made from any thread.
#[derive(Debug, Clone)]
pub struct GatewayHandle {
    shared: Arc<Shared>,
}

impl GatewayHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Adds a group, or changes the models and limits of the one with this name; replicas and waiting requests stay.
    ///
    /// Fails if a model name leads to another group; nothing is changed then.
    pub fn set_group(&self, config: GroupConfig) -> Result<(), RouteError> {
        self.shared.routes.set_group(config)
    }

    /// Makes these the groups, and no others, in one step: a model may move from one group to another. A group that is
    /// not among them is removed as by [`remove_group`](Self::remove_group).
    ///
    /// Fails if a model name is in two groups; nothing is changed then.
    pub fn set_groups(&self, configs: Vec<GroupConfig>) -> Result<(), RouteError> {
        self.shared.routes.set_groups(configs)
    }

    /// Removes a group. Requests waiting on it get 404, new ones too, and its model names are free. Its replicas keep
    /// the requests they have, and are to be drained.
    pub fn remove_group(&self, name: &str) -> Result<(), RouteError> {
        self.shared.routes.remove_group(name)
    }

    /// Adds a ready replica; waiting requests go to it at once. `id` is unique in the gateway.
    pub fn add_replica(&self, group: &str, id: &str, addr: SocketAddr) -> Result<(), RouteError> {
        self.shared.routes.add_replica(group, id, addr)
    }

    /// Takes a replica out of routing at once. The future resolves when its last request ended, which is at that
    /// request's own deadline at the latest; the replica is gone from the gateway then. Dropping the future does not
    /// undo the drain.
    pub fn drain_replica(&self, id: &str) -> Result<impl Future<Output = DrainReport> + Send + use<>, RouteError> {
        self.shared.routes.drain(id, None)
    }

    /// As [`drain_replica`](Self::drain_replica), but after `limit` the requests left are cut: those without a byte sent
    /// go elsewhere, the others count as [`Outcome::AbortedByScaling`](crate::Outcome::AbortedByScaling).
    pub fn drain_replica_within(
        &self,
        id: &str,
        limit: Duration,
    ) -> Result<impl Future<Output = DrainReport> + Send + use<>, RouteError> {
        self.shared.routes.drain(id, Some(limit))
    }

    /// Sends nothing new to a replica that is not well, and leaves it what it has. It stays known until it is resumed,
    /// drained or removed. Asked again, nothing changes.
    pub fn suspend_replica(&self, id: &str) -> Result<(), RouteError> {
        self.shared.routes.suspend(id)
    }

    /// Takes a suspended replica back; waiting requests go to it at once.
    pub fn resume_replica(&self, id: &str) -> Result<(), RouteError> {
        self.shared.routes.resume(id)
    }

    /// Removes a crashed replica. Requests on it that sent nothing to their client are retried elsewhere, the others
    /// fail: as [`Outcome::UpstreamError`](crate::Outcome::UpstreamError), or as aborted by scaling if it was draining.
    pub fn remove_replica(&self, id: &str) -> Result<RemoveReport, RouteError> {
        self.shared.routes.remove_replica(id)
    }

    /// Changes [`GatewayConfig::shutdown_timeout`].
    pub fn set_shutdown_timeout(&self, timeout: Duration) {
        self.shared.set_shutdown_timeout(timeout);
    }

    /// The gateway's state now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.shared)
    }

    /// Events from now on, through a channel of `capacity` (at least 1). What does not fit is dropped and counted in
    /// [`Snapshot::dropped_events`].
    pub fn subscribe(&self, capacity: usize) -> mpsc::Receiver<Event> {
        self.shared.stats.subscribe(capacity)
    }

    /// Changes whenever a request begins to wait on a group without replicas. Unlike [`Event::Wake`] it cannot be missed;
    /// [`snapshot`](Self::snapshot) says which group.
    pub fn wakeups(&self) -> watch::Receiver<u64> {
        self.shared.routes.wakes()
    }

    /// Up to `count` of the last finished requests, oldest first.
    pub fn recent(&self, count: usize) -> Vec<Arc<RequestRecord>> {
        self.shared.stats.recent(count)
    }

    /// The gateway's own metrics in Prometheus text format 0.0.4.
    pub fn render_metrics(&self) -> String {
        crate::metrics::render(&self.shared)
    }
}
