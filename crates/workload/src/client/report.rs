//! What became of a load: counts, percentiles and attainment, in trace seconds.

use super::Config;
use super::request::Done;
use crate::score::{Latency, Percentiles};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

/// How a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No connection.
    Connect,
    /// An answer with this status.
    Status(u16),
    /// The stream broke off or never said that it was done.
    Broken,
    /// The stream was no stream of events.
    Malformed,
    /// The deadline passed.
    Timeout,
    /// Not sent: too many were under way.
    Dropped,
}

impl Failure {
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if error.is_connect() { Self::Connect } else { Self::Broken }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Broken => f.write_str("broken stream"),
            Self::Malformed => f.write_str("malformed stream"),
            Self::Timeout => f.write_str("timeout"),
            Self::Dropped => f.write_str("dropped"),
        }
    }
}

/// The load so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Requests that ended.
    pub ended: u64,
    /// Of them, those that failed.
    pub failed: u64,
}

/// What became of a load.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// All arrivals.
    pub requests: u64,
    /// Answered in full.
    pub succeeded: u64,
    /// All others.
    pub failed: u64,
    /// The others, by how they failed.
    pub failures: BTreeMap<String, u64>,
    /// Time to first token, from when a request was due.
    pub ttft: Percentiles,
    /// Mean time per output token after the first.
    pub tpot: Percentiles,
    /// From when a request was due to its end.
    pub e2e: Percentiles,
    /// Share of all arrivals that kept the SLO.
    pub attainment: Option<f64>,
    /// Tokens of all prompts.
    pub input_tokens: u64,
    /// Tokens of all answers.
    pub output_tokens: u64,
    /// Trace seconds from the first arrival's schedule to the last end.
    pub seconds: f64,
    /// How late requests were sent; much of it means that this machine could not keep the schedule.
    pub lateness: Percentiles,
}

pub(super) struct Collector {
    config: Config,
    latencies: [Latency; 4],
    failures: BTreeMap<String, u64>,
    requests: u64,
    succeeded: u64,
    attained: u64,
    input_tokens: u64,
    output_tokens: u64,
}

/// Time between calls of the progress callback.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

impl Collector {
    pub(super) fn new(config: &Config) -> Option<Self> {
        let latencies = [Latency::new()?, Latency::new()?, Latency::new()?, Latency::new()?];
        Some(Self {
            config: config.clone(),
            latencies,
            failures: BTreeMap::new(),
            requests: 0,
            succeeded: 0,
            attained: 0,
            input_tokens: 0,
            output_tokens: 0,
        })
    }

    /// Collects until the last sender is gone.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Done>, mut progress: impl FnMut(&Progress)) -> Report {
        let start = Instant::now();
        let mut ticks = tokio::time::interval(PROGRESS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                done = inbox.recv() => match done {
                    Some(done) => self.take(&done),
                    None => break,
                },
                _ = ticks.tick() => progress(&self.progress()),
            }
        }
        progress(&self.progress());
        self.report(start.elapsed().as_secs_f64())
    }

    fn progress(&self) -> Progress {
        Progress { ended: self.requests, failed: self.requests - self.succeeded }
    }

    fn take(&mut self, done: &Done) {
        let speed = self.config.speed;
        self.requests += 1;
        self.latencies[3].record(done.late * speed);
        if let Some(failure) = done.failure {
            *self.failures.entry(failure.to_string()).or_default() += 1;
            return;
        }
        self.succeeded += 1;
        self.input_tokens += done.input_tokens;
        self.output_tokens += done.output_tokens;
        let tpot = done.tpot.map(|tpot| tpot * speed);
        self.latencies[2].record(done.total * speed);
        if let Some(tpot) = tpot {
            self.latencies[1].record(tpot);
        }
        if let Some(ttft) = done.ttft.map(|ttft| ttft * speed) {
            self.latencies[0].record(ttft);
            self.attained += u64::from(self.config.slo.kept(ttft, tpot));
        }
    }

    fn report(self, seconds: f64) -> Report {
        let [ttft, tpot, e2e, lateness] = self.latencies.map(|latency| latency.percentiles());
        Report {
            requests: self.requests,
            succeeded: self.succeeded,
            failed: self.requests - self.succeeded,
            failures: self.failures,
            ttft,
            tpot,
            e2e,
            attainment: (self.requests > 0).then(|| self.attained as f64 / self.requests as f64),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            seconds: seconds * self.config.speed,
            lateness,
        }
    }
}
