//! The gateway's state as plain data.

use std::net::SocketAddr;
use std::time::Duration;

use crate::handle::Shared;
use crate::latency::Latency;
use crate::record::Outcome;
use crate::routes::{GroupView, Replica};
use crate::stats::GroupStats;

/// State of the whole gateway.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Groups by name.
    pub groups: Vec<GroupSnapshot>,
    /// Requests that began and have not ended, held ones included.
    pub active: u64,
    /// Request bodies in memory, in bytes.
    pub buffered_bytes: usize,
    /// Events that a subscriber's channel had no room for.
    pub dropped_events: u64,
    /// Finished requests that reached no group.
    pub unrouted: Totals,
}

impl Snapshot {
    /// The group of this name.
    pub fn group(&self, name: &str) -> Option<&GroupSnapshot> {
        self.groups.iter().find(|group| group.name == name)
    }
}

/// State of one group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupSnapshot {
    /// Name of the group.
    pub name: String,
    /// True once it was removed: it serves nothing new, and is here until its last replica has left.
    pub removed: bool,
    /// Its replicas, draining ones included, in the order they were added.
    pub replicas: Vec<ReplicaSnapshot>,
    /// Requests waiting for a replica.
    pub held: usize,
    /// Bytes of their bodies.
    pub held_bytes: usize,
    /// Counts over all requests that reached it, from their arrival on.
    pub traffic: Traffic,
    /// Counts over finished requests.
    pub totals: Totals,
    /// Latencies over requests that succeeded.
    pub latencies: Latencies,
}

impl GroupSnapshot {
    /// Requests on replicas now.
    pub fn in_flight(&self) -> usize {
        self.replicas.iter().map(|replica| replica.in_flight).sum()
    }
}

/// State of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSnapshot {
    /// Its id.
    pub id: String,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Requests on it now.
    pub in_flight: usize,
    /// Requests ever sent to it.
    pub served: usize,
    /// Requests that broke off on it after their first byte, for whatever reason.
    pub broken: usize,
    /// True once its drain began.
    pub draining: bool,
    /// True while it is suspended: nothing new goes to it.
    pub suspended: bool,
}

/// Counts over requests that reached a group, ended or not. Prompt tokens are those known at arrival: exact for token ids, else
/// characters ÷ 4.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests.
    pub requests: u64,
    /// Their prompt tokens.
    pub prompt_tokens: u64,
    /// Requests that wait for a replica, or asked for a stream and have no byte of it yet.
    pub unanswered: u64,
    /// Their prompt tokens.
    pub unanswered_prompt_tokens: u64,
}

/// Counts over finished requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Finished requests.
    pub requests: u64,
    /// Answered in full with a status below 400.
    pub succeeded: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Prompt tokens, reported or estimated.
    pub prompt_tokens: u64,
    /// Output tokens, reported or estimated.
    pub output_tokens: u64,
    /// By outcome.
    pub outcomes: OutcomeCounts,
}

/// Finished requests by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutcomeCounts([u64; Outcome::ALL.len()]);

impl OutcomeCounts {
    /// How many ended so.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }
}

/// Latencies of the requests of one group that succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Time to first token, of streams.
    pub ttft: LatencySummary,
    /// Mean time per output token after the first, of streams.
    pub tpot: LatencySummary,
    /// Arrival to end.
    pub duration: LatencySummary,
    /// Time waited for a replica, over all finished requests.
    pub held: LatencySummary,
}

/// Percentiles with a precision of 1 %.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatencySummary {
    /// Number of values; all else is 0 if there are none.
    pub count: u64,
    /// Median.
    pub p50: Duration,
    /// 90th percentile.
    pub p90: Duration,
    /// 95th percentile.
    pub p95: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// Largest.
    pub max: Duration,
}

impl LatencySummary {
    fn of(latency: &Latency) -> Self {
        let at = |quantile| latency.quantile(quantile);
        let (count, max) = (latency.count(), latency.max());
        Self { count, p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), max }
    }
}

impl Snapshot {
    pub(crate) fn take(shared: &Shared) -> Self {
        let mut snapshot = Self {
            active: shared.stats.active(),
            buffered_bytes: shared.budget.used(),
            dropped_events: shared.stats.dropped_events(),
            ..Self::default()
        };
        shared.routes.each_group(|group| snapshot.groups.push(GroupSnapshot::of(group)));
        shared.stats.each(|name, stats| match name {
            None => snapshot.unrouted = Totals::of(stats),
            Some(name) => {
                if let Some(group) = snapshot.groups.iter_mut().find(|group| group.name == name) {
                    group.traffic = Traffic::of(stats);
                    group.totals = Totals::of(stats);
                    group.latencies = Latencies::of(stats);
                }
            }
        });
        snapshot
    }
}

impl GroupSnapshot {
    fn of(group: &GroupView) -> Self {
        let (held, held_bytes) = group.held();
        let replicas = group.replicas().map(|replica| ReplicaSnapshot::of(replica)).collect();
        Self {
            name: group.name().to_owned(),
            replicas,
            held,
            held_bytes,
            removed: group.is_retired(),
            ..Self::default()
        }
    }
}

impl ReplicaSnapshot {
    fn of(replica: &Replica) -> Self {
        Self {
            id: replica.id.clone(),
            addr: replica.addr,
            in_flight: replica.in_flight(),
            served: replica.served(),
            broken: replica.broken(),
            draining: replica.is_draining(),
            suspended: replica.is_suspended(),
        }
    }
}

impl Traffic {
    fn of(stats: &GroupStats) -> Self {
        Self {
            requests: stats.arrived,
            prompt_tokens: stats.arrived_prompt_tokens,
            unanswered: stats.unanswered,
            unanswered_prompt_tokens: stats.unanswered_prompt_tokens,
        }
    }
}

impl Totals {
    fn of(stats: &GroupStats) -> Self {
        Self {
            requests: stats.finished,
            succeeded: stats.succeeded,
            retries: stats.retries,
            prompt_tokens: stats.prompt_tokens,
            output_tokens: stats.output_tokens,
            outcomes: OutcomeCounts(stats.outcomes),
        }
    }
}

impl Latencies {
    fn of(stats: &GroupStats) -> Self {
        Self {
            ttft: LatencySummary::of(&stats.ttft),
            tpot: LatencySummary::of(&stats.tpot),
            duration: LatencySummary::of(&stats.duration),
            held: LatencySummary::of(&stats.held),
        }
    }
}
