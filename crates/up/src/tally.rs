//! Counts the gateway's finished requests and the replicas' time, in trace seconds, for the summary.

use crate::advice::Advice;
use crate::clock::Clock;
use crate::view::DecisionView;
use gateway::{Outcome, RequestRecord};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use workload::score::Slo;

/// The counts so far.
#[derive(Debug)]
pub struct Tally {
    clock: Clock,
    slo: Slo,
    requests: u64,
    succeeded: u64,
    aborted: u64,
    attained: u64,
    ttft: Histogram<u64>,
    tpot: Histogram<u64>,
    outcomes: BTreeMap<&'static str, u64>,
    /// Replica-seconds by target, from creation to the end of the process.
    replica_seconds: BTreeMap<String, f64>,
    peak: u32,
    last_sample: Option<f64>,
}

/// The last line of `up --json`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Requests that ended.
    pub requests: u64,
    /// Answered in full.
    pub succeeded: u64,
    /// Everything else, aborted ones included.
    pub failed: u64,
    /// Cut by a scale-down.
    pub aborted: u64,
    /// Time to first token, seconds; none where no stream was seen.
    pub ttft_p50: Option<f64>,
    /// The same.
    pub ttft_p99: Option<f64>,
    /// Mean time per output token, seconds.
    pub tpot_p50: Option<f64>,
    /// The same.
    pub tpot_p99: Option<f64>,
    /// The most replicas of all targets at one time.
    pub peak_replicas: u32,
    /// The time of all replicas, from creation to the end of the process.
    pub replica_seconds: f64,
    /// Share of all requests that kept the SLO.
    pub attainment: Option<f64>,
    /// Trace seconds that the run took.
    pub seconds: f64,
    /// Decisions that changed something, by autoscaler.
    pub changes: BTreeMap<String, u64>,
    /// The latest decisions that changed something, with reasons.
    pub decisions: Vec<DecisionView>,
    /// Requests by how they ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// What autoscalers that only recommend would have used.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub advice: BTreeMap<String, Advice>,
}

/// Latencies are kept in microseconds, from one to an hour, to three digits.
const HIGHEST_MICROS: u64 = 3_600_000_000;

impl Tally {
    /// Nothing counted yet.
    pub fn new(clock: Clock, slo: Slo) -> anyhow::Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, HIGHEST_MICROS, 3);
        Ok(Self {
            clock,
            slo,
            requests: 0,
            succeeded: 0,
            aborted: 0,
            attained: 0,
            ttft: histogram()?,
            tpot: histogram()?,
            outcomes: BTreeMap::new(),
            replica_seconds: BTreeMap::new(),
            peak: 0,
            last_sample: None,
        })
    }

    /// Counts one finished request.
    pub fn request(&mut self, record: &RequestRecord) {
        self.requests += 1;
        *self.outcomes.entry(record.outcome.as_str()).or_default() += 1;
        self.succeeded += u64::from(record.succeeded());
        self.aborted += u64::from(record.outcome == Outcome::AbortedByScaling);
        if !record.succeeded() {
            return;
        }
        // Without a stream the first token cannot be seen: the whole answer has to keep the first token's limit.
        let ttft = self.clock.trace(record.ttft.unwrap_or(record.duration));
        let tpot = record.tpot.map(|tpot| self.clock.trace(tpot));
        self.attained += u64::from(self.slo.kept(ttft, tpot));
        if record.ttft.is_some() {
            self.ttft.saturating_record(micros(ttft));
        }
        if let Some(tpot) = tpot {
            self.tpot.saturating_record(micros(tpot));
        }
    }

    /// Counts the replicas that exist at `at` (trace seconds), by target.
    pub fn replicas(&mut self, at: f64, by_target: &BTreeMap<String, u32>) {
        let span = self.last_sample.map_or(0.0, |last| (at - last).max(0.0));
        self.last_sample = Some(at);
        for (target, &count) in by_target {
            *self.replica_seconds.entry(target.clone()).or_default() += f64::from(count) * span;
        }
        let total: u32 = by_target.values().sum();
        self.peak = self.peak.max(total);
    }

    /// The summary at `at` trace seconds.
    #[must_use]
    pub fn summary(&self, at: f64, changes: BTreeMap<String, u64>) -> Summary {
        Summary {
            requests: self.requests,
            succeeded: self.succeeded,
            failed: self.requests - self.succeeded,
            aborted: self.aborted,
            ttft_p50: quantile(&self.ttft, 0.5),
            ttft_p99: quantile(&self.ttft, 0.99),
            tpot_p50: quantile(&self.tpot, 0.5),
            tpot_p99: quantile(&self.tpot, 0.99),
            peak_replicas: self.peak,
            replica_seconds: round(self.replica_seconds.values().fold(0.0, |sum, seconds| sum + seconds)),
            attainment: (self.requests > 0).then(|| self.attained as f64 / self.requests as f64),
            seconds: round(at),
            changes,
            decisions: Vec::new(),
            outcomes: self.outcomes.clone(),
            advice: BTreeMap::new(),
        }
    }
}

fn quantile(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e6)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
fn micros(seconds: f64) -> u64 {
    ((seconds * 1e6) as u64).max(1)
}

/// To the millisecond: the rest is noise in a report.
fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        Tally::new(Clock::start(1.0), Slo::default()).unwrap()
    }

    #[test]
    fn without_replicas_their_time_is_a_plain_zero() {
        let seconds = tally().summary(1.0, BTreeMap::new()).replica_seconds;
        assert!(seconds == 0.0 && seconds.is_sign_positive(), "{seconds:?}");
    }

    #[test]
    fn replicas_count_until_they_are_gone() {
        let mut tally = tally();
        for (at, count) in [(0.0, 2), (10.0, 2), (12.0, 1), (15.0, 0)] {
            tally.replicas(at, &BTreeMap::from([("a".to_owned(), count)]));
        }
        let summary = tally.summary(20.0, BTreeMap::new());
        assert!((summary.replica_seconds - 22.0).abs() < 1e-9, "{}", summary.replica_seconds);
        assert_eq!(summary.peak_replicas, 2);
    }
}
