//! OpenAI-compatible reverse proxy: routing, holding at zero, draining, request records.
//!
//! A [`Gateway`] serves clients; the world that owns the replicas steers it through a [`GatewayHandle`]. The gateway
//! knows groups (what a model name leads to) and replicas (an address inside a group). It must not know why a replica
//! comes or goes: no autoscaler, process or cluster type appears here.
//!
//! What it promises:
//! - **Streaming.** Responses are passed on frame by frame with back-pressure and never altered. Requests are buffered
//!   up to a limit, because the model's name is inside them and a retry needs them again.
//! - **No request lost to scaling.** [`GatewayHandle::drain_replica`] takes a replica out of routing at once and
//!   resolves when its last request ended. A request on a crashed replica that has sent nothing to its client is sent
//!   elsewhere. What is cut nevertheless is counted as [`Outcome::AbortedByScaling`].
//! - **Holding.** With no replica a request waits, first in first out, within limits of number, bytes and time.
//! - **Everything ends.** Each request has a deadline, enforced also against a client that does not read.
//!
//! Only paths of inference lead to a replica: `/v1/…` and the engines' own, such as `/tokenize`, `/score` or `/generate`.
//! Any other path is 404 and wakes nobody; an engine's metrics and controls are not its clients' business.
//!
//! The response's head is passed on together with its first body byte, so that a replica lost while it computes the
//! first token can still be replaced unnoticed.

mod body;
mod config;
mod error;
mod forward;
mod handle;
mod headers;
mod inspect;
mod latency;
mod metrics;
mod observe;
mod paths;
mod record;
mod respond;
mod routes;
mod server;
mod service;
mod snapshot;
mod stats;
mod track;
mod upstream;
mod usage;

pub use config::{GatewayConfig, GroupConfig, HoldLimits};
pub use handle::GatewayHandle;
pub use record::{Event, Outcome, RequestRecord};
pub use routes::{DrainReport, RemoveReport, RouteError};
pub use server::Gateway;
pub use snapshot::{
    GroupSnapshot, Latencies, LatencySummary, OutcomeCounts, ReplicaSnapshot, Snapshot, Totals, Traffic,
};
