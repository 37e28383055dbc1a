//! What a policy may look at: what the metrics, the router and the platform of a real cluster tell. Nothing of the future.

use std::collections::VecDeque;
use std::sync::Arc;

/// Where a replica is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Created, not serving yet.
    Starting,
    /// Serves.
    Ready,
    /// Finishes what it has, and takes nothing new.
    Draining,
}

/// One replica, as it was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaView {
    /// Unique in a run.
    pub name: Arc<str>,
    /// Where it is in its life.
    pub stage: Stage,
    /// When it was created, seconds.
    pub created: f64,
    /// When it began to serve, seconds.
    pub ready: f64,
    /// Its metrics page, where it was read.
    pub metrics: Option<Metrics>,
}

/// What a metrics page says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Metrics {
    /// `num_requests_running`.
    pub running: f64,
    /// `num_requests_waiting`.
    pub waiting: f64,
    /// `kv_cache_usage_perc`, 0 to 1.
    pub kv_usage: f64,
    /// `prompt_tokens_total`.
    pub prompt_tokens: f64,
    /// `generation_tokens_total`.
    pub generation_tokens: f64,
    /// When it was read, seconds.
    pub at: f64,
}

/// A request that ended well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ended {
    /// When, seconds.
    pub at: f64,
    /// When it arrived, seconds.
    pub arrived: f64,
    /// Time to first token, seconds.
    pub ttft: f64,
    /// Mean time per output token after the first, seconds; none where there was one token.
    pub tpot: Option<f64>,
    /// Prompt tokens.
    pub input: u32,
    /// Answer tokens.
    pub output: u32,
}

/// What the router has counted since the beginning, and what ended of late.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Requests that have arrived.
    pub arrivals: u64,
    /// Their prompt tokens.
    pub input_tokens: u64,
    /// Requests that have ended.
    pub ended: u64,
    /// Their prompt tokens.
    pub ended_input: u64,
    /// Their answer tokens.
    pub ended_output: u64,
    /// Prompt tokens, of requests that are in and have no first token yet.
    pub backlog_tokens: u64,
    /// Requests that ended within [`RECENT`], oldest first.
    pub recent: VecDeque<Ended>,
}

/// Seconds that ended requests are remembered.
pub const RECENT: f64 = 180.0;

/// What is seen of one group at a tick.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Seconds since the trace began.
    pub now: f64,
    /// Replicas that were wanted last.
    pub wanted: u32,
    /// Requests of its model, held because nothing serves.
    pub held: u32,
    /// All replicas of it that exist.
    pub replicas: &'a [ReplicaView],
    /// The router's counts of its model.
    pub traffic: &'a Traffic,
}

impl Seen<'_> {
    /// Replicas that serve.
    #[must_use]
    pub fn ready(&self) -> u32 {
        self.count(Stage::Ready)
    }

    /// Replicas on their way.
    #[must_use]
    pub fn starting(&self) -> u32 {
        self.count(Stage::Starting)
    }

    fn count(&self, stage: Stage) -> u32 {
        let found = self.replicas.iter().filter(|replica| replica.stage == stage).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    }

    /// The pages of replicas that serve and were read.
    pub fn pages(&self) -> impl Iterator<Item = &Metrics> {
        self.replicas
            .iter()
            .filter(|replica| replica.stage == Stage::Ready)
            .filter_map(|replica| replica.metrics.as_ref())
    }
}
