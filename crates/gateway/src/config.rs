//! Settings and limits, each with its default and the reason for it. Knows nothing of how they are enforced.

use std::time::Duration;

use tokio::sync::Semaphore;

/// Largest request body kept in memory: long prompts and a few inline images fit, a flood does not.
pub(crate) const DEFAULT_MAX_REQUEST_BYTES: usize = 16 << 20;
/// Request bodies of all requests together, so that many large ones cannot exhaust the machine.
pub(crate) const DEFAULT_MAX_BUFFERED_BYTES: usize = 1 << 30;
/// Client connections at once; above it new ones wait in the listen backlog.
pub(crate) const DEFAULT_MAX_CONNECTIONS: usize = 8192;
/// Tries of one request, the first included: a second replica may be down too, a third failure is an outage.
pub(crate) const DEFAULT_MAX_ATTEMPTS: u32 = 3;

/// A longer time is as good as none, and adding it to a clock must not overflow.
pub(crate) const MAX_TIME: Duration = Duration::from_secs(365 * 86_400);

/// Settings of the whole gateway. [`Default`] suits a single machine.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Largest request body, in bytes (default 16 MiB). Above it: 413.
    pub max_request_bytes: usize,
    /// Request bodies held for all requests together, in bytes (default 1 GiB). Above it: 503.
    pub max_buffered_bytes: usize,
    /// Client connections at once (default 8192). Above it new connections wait to be accepted.
    pub max_connections: usize,
    /// Largest request head, in bytes (default 32 KiB). Above it: 431. At most 100 headers, else 431 too.
    pub max_header_bytes: usize,
    /// Time for a request's head to arrive in full, which also bounds how long a kept-alive connection may idle
    /// (default 30 s).
    pub header_timeout: Duration,
    /// Time for a request's body to arrive in full (default 60 s). Above it: 408.
    pub body_timeout: Duration,
    /// A request's deadline counted from its arrival (default 600 s), where its group has none of its own. The header
    /// `x-request-timeout` (seconds) lowers it. At the deadline: 504 if no byte was sent, else the connection is cut.
    pub request_timeout: Duration,
    /// Time to connect to a replica (default 2 s; replicas are near).
    pub connect_timeout: Duration,
    /// How long a replica that refused a connection is avoided while others serve (default 1 s).
    pub connect_backoff: Duration,
    /// How long an idle connection to a replica is kept (default 4 s: less than the 5 s after which vLLM's HTTP server
    /// closes one, so that a request is not written into a closing connection).
    pub upstream_idle_timeout: Duration,
    /// Tries of one request, the first included (default 3).
    pub max_attempts: u32,
    /// After a replica closed a connection before the first response byte: how long to wait for the world's word that
    /// it crashed ([`GatewayHandle::remove_replica`](crate::GatewayHandle::remove_replica)), which makes the request
    /// retriable (default 1 s). Without that word the request fails with 502.
    pub crash_grace: Duration,
    /// Path of the gateway's own metrics in Prometheus text (default `/gateway/metrics`). `None`: not served.
    pub metrics_path: Option<String>,
    /// How long [`Gateway::serve`](crate::Gateway::serve) lets requests finish after its shutdown signal (default 30 s).
    pub shutdown_timeout: Duration,
    /// How many finished requests are kept for [`GatewayHandle::recent`](crate::GatewayHandle::recent) (default 1024).
    pub recent_records: usize,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            max_buffered_bytes: DEFAULT_MAX_BUFFERED_BYTES,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_header_bytes: 32 << 10,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(2),
            connect_backoff: Duration::from_secs(1),
            upstream_idle_timeout: Duration::from_secs(4),
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            crash_grace: Duration::from_secs(1),
            metrics_path: Some("/gateway/metrics".to_owned()),
            shutdown_timeout: Duration::from_secs(30),
            recent_records: 1024,
        }
    }
}

impl GatewayConfig {
    /// Brings values into the range that clocks and semaphores can take.
    pub(crate) fn sane(mut self) -> Self {
        for time in [
            &mut self.header_timeout,
            &mut self.body_timeout,
            &mut self.request_timeout,
            &mut self.connect_timeout,
            &mut self.connect_backoff,
            &mut self.upstream_idle_timeout,
            &mut self.crash_grace,
            &mut self.shutdown_timeout,
        ] {
            *time = (*time).min(MAX_TIME);
        }
        self.max_connections = self.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        self
    }
}

/// A group: the replicas that serve the same models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupConfig {
    /// Name of the group, unique in the gateway.
    pub name: String,
    /// Model names that lead to it (a base model and its adapters, say). May be empty for the only group of a gateway,
    /// which then takes every model name.
    pub models: Vec<String>,
    /// What may wait while no replica can take a request.
    pub hold: HoldLimits,
    /// A request's deadline counted from its arrival. `None` (default): [`GatewayConfig::request_timeout`].
    pub request_timeout: Option<Duration>,
    /// Requests in flight per replica; above it requests are held. `None` (default): no limit, engines queue themselves.
    pub max_in_flight_per_replica: Option<usize>,
}

impl GroupConfig {
    /// A group with default limits.
    pub fn new(name: impl Into<String>, models: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { name: name.into(), models: models.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// Limits on requests waiting for a replica of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldLimits {
    /// Requests waiting at once (default 1024). Above it: 503. A request that comes back from a crashed replica is not
    /// counted out: it was accepted already.
    pub max_requests: usize,
    /// Bytes of their bodies together (default 256 MiB). Above it: 503.
    pub max_bytes: usize,
    /// Longest wait (default 300 s: a large model's cold start). Beyond it: 503 with `Retry-After`.
    pub timeout: Duration,
}

impl Default for HoldLimits {
    fn default() -> Self {
        Self { max_requests: 1024, max_bytes: 256 << 20, timeout: Duration::from_secs(300) }
    }
}
