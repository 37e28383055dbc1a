//! What is gathered of one group between two looks of its planning: arrivals, ended requests, start-ups. In trace seconds.

use crate::clock::Clock;
use autoscaler_planning::{Objective, Outcome, Seen, Sized, TargetSeen};
use gateway::{Outcome as Ending, RequestRecord, Traffic};
use local_world::ReplicaStatus;
use std::collections::BTreeSet;

/// Ended requests that are kept for the next look: more than any loop of ours serves in one.
const MOST: usize = 65_536;
/// A text's tokens are guessed at arrival and counted by the engine; a guess is off by no more than so many times.
const FARTHEST_GUESS: f64 = 8.0;
/// Tokens that the comparison of guesses and counts goes back: some hundred requests of usual sizes.
const COMPARED: f64 = 100_000.0;

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    before: Option<Traffic>,
    sizes: Vec<Sized>,
    outcomes: Vec<Outcome>,
    starts: Vec<f64>,
    /// Processes whose start-up was taken: replica and number of its start.
    measured: BTreeSet<(String, u32)>,
    guessed: f64,
    counted: f64,
}

/// One look, to be shown to a planning elsewhere.
#[derive(Debug)]
pub(crate) struct Look {
    now: f64,
    arrivals: f64,
    input_tokens: f64,
    backlog_tokens: f64,
    sizes: Vec<Sized>,
    outcomes: Vec<Outcome>,
    starts: Vec<f64>,
    wanted: u32,
    ready: u32,
}

impl Feed {
    /// Takes a request that ended.
    pub(crate) fn ended(&mut self, record: &RequestRecord, objective: &Objective, clock: Clock) {
        let arrived = clock.at(record.arrived);
        let tokens = |count: Option<u64>| count.filter(|count| *count > 0).map(|count| count as f64);
        if record.succeeded()
            && self.sizes.len() < MOST
            && let (Some(input), Some(output)) = (tokens(record.prompt_tokens), tokens(record.output_tokens))
        {
            self.sizes.push(Sized { arrived, input, output, count: 1.0 });
            if let Some(guess) = tokens(record.prompt_at_arrival).filter(|_| !record.prompt_estimated) {
                let fading = if self.guessed > COMPARED { 0.5 } else { 1.0 };
                (self.guessed, self.counted) = (self.guessed * fading + guess, self.counted * fading + input);
            }
        }
        if let Some(kept) = kept(record, objective, clock).filter(|_| self.outcomes.len() < MOST) {
            self.outcomes.push(Outcome { arrived, ended: 1.0, kept: f64::from(u8::from(kept)) });
        }
    }

    /// Takes start-ups that are over.
    pub(crate) fn replicas(&mut self, group: &str, statuses: &[ReplicaStatus], clock: Clock) {
        let own = || statuses.iter().filter(|status| status.group == group);
        let key = |status: &ReplicaStatus| (status.id.to_string(), status.restarts);
        self.measured.retain(|known| own().any(|status| key(status) == *known));
        for status in own() {
            let Some((started, ready)) = status.started_at.zip(status.ready_at) else { continue };
            if self.measured.insert(key(status)) && self.starts.len() < MOST {
                self.starts.push(clock.trace(ready.saturating_duration_since(started)));
            }
        }
    }

    /// What was gathered since the last look.
    pub(crate) fn look(&mut self, now: f64, traffic: Traffic, wanted: u32, ready: u32) -> Look {
        let before = self.before.replace(traffic).unwrap_or(traffic);
        let ratio = if self.guessed > 0.0 { self.counted / self.guessed } else { 1.0 };
        let ratio = ratio.clamp(1.0 / FARTHEST_GUESS, FARTHEST_GUESS);
        Look {
            now,
            arrivals: traffic.requests.saturating_sub(before.requests) as f64,
            input_tokens: traffic.prompt_tokens.saturating_sub(before.prompt_tokens) as f64 * ratio,
            backlog_tokens: traffic.unanswered_prompt_tokens as f64 * ratio,
            sizes: std::mem::take(&mut self.sizes),
            outcomes: std::mem::take(&mut self.outcomes),
            starts: std::mem::take(&mut self.starts),
            wanted,
            ready,
        }
    }
}

impl Look {
    /// Shows it.
    pub(crate) fn show(&self, to: &mut autoscaler_planning::Planning) {
        let target = TargetSeen { wanted: self.wanted, ready: self.ready, started: &self.starts };
        to.observe(&Seen {
            now: self.now,
            arrivals: Some(self.arrivals),
            // Requests without a readable prompt, such as audio, say nothing of its size.
            input_tokens: (self.input_tokens > 0.0 || self.arrivals <= 0.0).then_some(self.input_tokens),
            backlog_tokens: self.backlog_tokens,
            sizes: &self.sizes,
            outcomes: &self.outcomes,
            targets: &[target],
        });
    }
}

/// Whether a request kept the objective; none where it says nothing of the replicas: its client left, or it was refused for
/// what it is, or the whole world ended.
fn kept(record: &RequestRecord, objective: &Objective, clock: Clock) -> Option<bool> {
    match record.outcome {
        Ending::ClientGone | Ending::BadRequest | Ending::Unroutable | Ending::Shutdown => return None,
        Ending::UpstreamError | Ending::Timeout | Ending::RejectedHold | Ending::AbortedByScaling => {
            return Some(false);
        }
        Ending::Ok => {}
    }
    let trace = |span| clock.trace(span);
    let whole = trace(record.duration);
    if let Some(ttft) = record.ttft {
        return Some(objective.kept(trace(ttft), record.tpot.map(trace), whole));
    }
    // The answer came as a whole: it may take what the objectives give to all its tokens.
    let tokens = record.output_tokens.unwrap_or(1).saturating_sub(1) as f64;
    let limit = objective.ttft.unwrap_or(f64::INFINITY) + objective.tpot.map_or(f64::INFINITY, |each| each * tokens);
    Some(whole <= limit && objective.e2e.is_none_or(|limit| whole <= limit))
}
