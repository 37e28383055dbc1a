//! What a source tells of a span of time, and what of it can be believed. Knows no estimate.

use serde::{Deserialize, Serialize};

/// Most tokens of a request on either side; more is cut to this. Above the longest contexts that engines serve (10 M).
pub const MAX_TOKENS: f64 = 16_777_216.0;
/// Most requests a second that are believed; a batch above it is refused. A thousand times what one gateway passes.
pub const MAX_RATE: f64 = 1e7;
/// Longest span of a batch in seconds: a day. What spans more says nothing of now.
pub const MAX_SPAN_SECONDS: f64 = 86_400.0;
/// Times beyond this, in seconds either way, are refused: 30,000 years, where a second is still exact.
pub(crate) const MAX_TIME: f64 = 1e12;

/// Tokens of a request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Prompt tokens.
    pub input: f64,
    /// Generated tokens.
    pub output: f64,
}

/// What one source tells of a span of time. Times are seconds on one clock of the caller: Unix seconds in services,
/// trace time in a simulation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Begin of the span.
    pub from: f64,
    /// End of the span.
    pub to: f64,
    /// Requests that arrived in the span. `None` where the source cannot tell: then completions, corrected by the change
    /// of what is unfinished, stand for it. `Some(0.0)` is no load; silence is a batch that is not added.
    pub arrivals: Option<f64>,
    /// Requests whose size became known in the span (mostly completions), with counts.
    pub sizes: Vec<(Size, f64)>,
    /// Unfinished requests at `to`, waiting ones included.
    pub pending: Option<f64>,
    /// Those of them that still wait.
    pub queued: Option<f64>,
}

impl Batch {
    /// A span of which nothing is told yet.
    #[must_use]
    pub fn new(from: f64, to: f64) -> Self {
        Self { from, to, arrivals: None, sizes: Vec::new(), pending: None, queued: None }
    }

    /// Length of the span in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.to - self.from
    }

    /// Requests whose size became known.
    #[must_use]
    pub fn completions(&self) -> f64 {
        self.sizes.iter().map(|(_, count)| count).sum()
    }

    /// What two sources that each see a part of the requests tell of one span, together. `None` where the spans differ.
    /// A number that one of them does not know is not known of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Option<Self> {
        if self.from != other.from || self.to != other.to {
            return None;
        }
        let both = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        Some(Self {
            from: self.from,
            to: self.to,
            arrivals: both(self.arrivals, other.arrivals),
            sizes: self.sizes.iter().chain(&other.sizes).copied().collect(),
            pending: both(self.pending, other.pending),
            queued: both(self.queued, other.queued),
        })
    }
}

/// A number of requests: finite and from 0.
pub(crate) fn is_count(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

/// Of arrivals that come out negative, what the next span owes: as much as counters and gauges that are read moments apart
/// differ by, a tenth of the completions and a few. More is a backlog that vanished, as when an engine crashes, and must not be
/// held against those who come later.
pub(crate) fn owed(arrived: f64, completions: f64) -> f64 {
    (-arrived).clamp(0.0, completions / 10.0 + 3.0)
}
