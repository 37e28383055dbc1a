//! What is remembered of one request. Plain data: no counters, no channels.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Answered in full by a replica with a status below 400.
    Ok,
    /// The client went away before the answer was complete.
    ClientGone,
    /// A replica answered with 5xx or 429, broke off, crashed after the first byte, or could not be reached.
    UpstreamError,
    /// The request's deadline passed.
    Timeout,
    /// No replica became free in time, or too much was waiting already.
    RejectedHold,
    /// No group serves the model or path.
    Unroutable,
    /// Refused for what it is, by the gateway or by a replica with 4xx: malformed, too large, too slow to arrive, a method that is not proxied.
    BadRequest,
    /// Cut because its replica was scaled down. Must not happen; hence counted apart.
    AbortedByScaling,
    /// Refused or cut because the gateway itself was shutting down.
    Shutdown,
}

impl Outcome {
    /// Every outcome, in the order of their discriminants.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::ClientGone,
        Self::UpstreamError,
        Self::Timeout,
        Self::RejectedHold,
        Self::Unroutable,
        Self::BadRequest,
        Self::AbortedByScaling,
        Self::Shutdown,
    ];

    /// The label value in metrics, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientGone => "client_gone",
            Self::UpstreamError => "upstream_error",
            Self::Timeout => "timeout",
            Self::RejectedHold => "rejected_hold",
            Self::Unroutable => "unroutable",
            Self::BadRequest => "bad_request",
            Self::AbortedByScaling => "aborted_by_scaling",
            Self::Shutdown => "shutdown",
        }
    }
}

/// One finished request.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRecord {
    /// Number of the request in this gateway, from 1, in order of arrival.
    pub id: u64,
    /// Group it was routed to; `None` if it never was.
    pub group: Option<String>,
    /// Model name the client gave.
    pub model: Option<String>,
    /// Replica of the last attempt.
    pub replica: Option<String>,
    /// Request path, without the query.
    pub path: String,
    /// Arrival of the complete head, wall clock.
    pub arrival: SystemTime,
    /// The same moment on the monotonic clock.
    pub arrived: Instant,
    /// Prompt tokens: the engine's count where its answer carries `usage`, else see `prompt_estimated`.
    pub prompt_tokens: Option<u64>,
    /// True if `prompt_tokens` is the prompt's characters ÷ 4 and not the engine's count.
    pub prompt_estimated: bool,
    /// What was known of the prompt's tokens at arrival, whatever the engine counted later.
    pub prompt_at_arrival: Option<u64>,
    /// Output tokens: the engine's count where its answer carries `usage`, else see `output_estimated`.
    pub output_tokens: Option<u64>,
    /// True if `output_tokens` is the number of SSE data chunks and not the engine's count.
    pub output_estimated: bool,
    /// True if the answer was an SSE stream.
    pub stream: bool,
    /// Arrival to the answer's first body byte.
    pub first_byte: Option<Duration>,
    /// Time to first token: arrival to the first SSE data chunk. `None` for an answer that is not a stream, where the
    /// first token's time cannot be seen.
    pub ttft: Option<Duration>,
    /// Mean time per output token after the first: (last chunk − first chunk) ÷ (output tokens − 1). `None` with fewer
    /// than two tokens or without a stream.
    pub tpot: Option<Duration>,
    /// Time spent waiting for a replica.
    pub held: Duration,
    /// Arrival to end.
    pub duration: Duration,
    /// HTTP status sent, or `None` if the client left before one was.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Attempts after the first.
    pub retries: u32,
}

impl RequestRecord {
    /// Arrival in seconds since the Unix epoch; 0 for a clock before it.
    pub fn arrival_epoch_seconds(&self) -> f64 {
        self.arrival.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
    }

    /// Answered in full with a status below 400.
    pub fn succeeded(&self) -> bool {
        self.outcome == Outcome::Ok
    }
}

/// What a subscriber is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// A request began to wait on a group that has no replica: time to scale from zero. Sent for the first such request
    /// of a queue, not for each.
    Wake {
        /// Name of the group.
        group: String,
    },
    /// A request ended.
    Finished(Arc<RequestRecord>),
}
