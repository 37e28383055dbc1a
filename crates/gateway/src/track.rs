//! Follows one request from its arrival to its record. Dropped in the middle (which is how a client's leaving shows),
//! it still leaves a record, so that every request that began is counted exactly once.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;

use crate::handle::Shared;
use crate::observe::Seen;
use crate::record::{Outcome, RequestRecord};
use crate::routes::{Cut, Lease, Replica};

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Tracker {
    shared: Arc<Shared>,
    record: Option<RequestRecord>,
    lease: Option<Lease>,
    /// Its group and prompt tokens, while it counts as waiting for its first token.
    waiting: Option<(Arc<str>, u64)>,
    streams: bool,
    pub(crate) deadline: tokio::time::Instant,
}

impl Tracker {
    pub(crate) fn new(shared: &Arc<Shared>, path: &str) -> Self {
        let arrived = Instant::now();
        let record = RequestRecord {
            id: shared.stats.begin(),
            group: None,
            model: None,
            replica: None,
            path: path.to_owned(),
            arrival: SystemTime::now(),
            arrived,
            prompt_tokens: None,
            prompt_estimated: false,
            prompt_at_arrival: None,
            output_tokens: None,
            output_estimated: false,
            stream: false,
            first_byte: None,
            ttft: None,
            tpot: None,
            held: Duration::ZERO,
            duration: Duration::ZERO,
            status: None,
            outcome: Outcome::ClientGone,
            retries: 0,
        };
        let deadline = tokio::time::Instant::now() + shared.config.request_timeout;
        Self { shared: Arc::clone(shared), record: Some(record), lease: None, waiting: None, streams: false, deadline }
    }

    /// Changes the record in the making.
    pub(crate) fn note(&mut self, change: impl FnOnce(&mut RequestRecord)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    /// The request reached its group, and asks for a stream or not.
    pub(crate) fn reached(&mut self, group: &Arc<str>, streams: bool) {
        let tokens = self.record.as_ref().and_then(|record| record.prompt_tokens).unwrap_or(0);
        self.note(|record| (record.group, record.prompt_at_arrival) = (Some(group.to_string()), record.prompt_tokens));
        self.shared.stats.arrived(group, tokens);
        (self.waiting, self.streams) = (Some((Arc::clone(group), tokens)), streams);
    }

    fn waits_no_more(&mut self) {
        if let Some((group, tokens)) = self.waiting.take() {
            self.shared.stats.answered(&group, tokens);
        }
    }

    pub(crate) fn hold_lease(&mut self, lease: Lease) {
        self.note(|record| record.replica = Some(lease.replica().id.clone()));
        self.lease = Some(lease);
        // Of an answer that comes as a whole nobody sees when its first token was there.
        if !self.streams {
            self.waits_no_more();
        }
    }

    pub(crate) fn drop_lease(&mut self) {
        self.lease = None;
    }

    pub(crate) fn replica(&self) -> Option<&Arc<Replica>> {
        self.lease.as_ref().map(Lease::replica)
    }

    /// The head goes to the client, with the first byte.
    pub(crate) fn committed(&mut self, status: StatusCode) {
        self.waits_no_more();
        self.note(|record| {
            record.status = Some(status.as_u16());
            record.first_byte = Some(record.arrived.elapsed());
        });
    }

    /// The request ended. The record is out before the replica is given back, so that a drain's end finds it counted.
    pub(crate) fn finish(&mut self, outcome: Outcome, seen: Option<Seen>) {
        self.waits_no_more();
        let Some(mut record) = self.record.take() else { return };
        record.outcome = outcome;
        record.duration = record.arrived.elapsed();
        if let Some(seen) = seen {
            fill(&mut record, &seen);
        }
        self.shared.stats.finish(record);
        self.lease = None;
    }

    /// The replica broke off after the first byte: counted on it, and told apart by cause.
    pub(crate) fn finish_broken(&mut self, seen: Option<Seen>) {
        let why = self.replica().map_or(Cut::Crashed, |replica| replica.cut_reason());
        if let Some(replica) = self.replica() {
            replica.count_cut(why);
        }
        let outcome = if why == Cut::ScaledDown { Outcome::AbortedByScaling } else { Outcome::UpstreamError };
        self.finish(outcome, seen);
    }

    /// Dropped without an end: the connection task was cut by us, or the client left.
    pub(crate) fn finish_dropped(&mut self, seen: Option<Seen>) {
        if self.shared.is_killed() {
            self.finish(Outcome::Shutdown, seen);
        } else if tokio::time::Instant::now() >= self.deadline {
            self.finish(Outcome::Timeout, seen);
        } else if self.replica().is_some_and(|replica| replica.gone.is_cancelled()) {
            self.finish_broken(seen);
        } else {
            self.finish(Outcome::ClientGone, seen);
        }
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.finish_dropped(None);
    }
}

fn fill(record: &mut RequestRecord, seen: &Seen) {
    record.stream = seen.stream;
    if let Some(prompt) = seen.usage.and_then(|usage| usage.prompt) {
        (record.prompt_tokens, record.prompt_estimated) = (Some(prompt), false);
    }
    let reported = seen.usage.and_then(|usage| usage.output);
    let counted = seen.stream.then_some(seen.chunks);
    record.output_tokens = reported.or(counted);
    record.output_estimated = reported.is_none() && counted.is_some();
    let (Some(first), Some(last)) = (seen.first_chunk, seen.last_chunk) else { return };
    record.ttft = Some(first.saturating_duration_since(record.arrived));
    let steps = record.output_tokens.unwrap_or(0).saturating_sub(1);
    if steps > 0 {
        let per_token = last.saturating_duration_since(first).as_secs_f64() / steps as f64;
        record.tpot = Some(Duration::from_secs_f64(per_token));
    }
}
