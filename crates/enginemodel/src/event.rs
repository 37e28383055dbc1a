//! What the engine tells its caller while time advances.

use crate::time::Time;
use std::time::Duration;

/// Something that happened to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The request's own name.
    pub id: u64,
    /// When, rounded up to a nanosecond.
    pub at: Time,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It left the queue for the batch; again after each preemption.
    Admitted,
    /// Its first token was emitted, by the iteration that ended its prefill.
    FirstToken,
    /// It emitted this many further tokens at this instant. Only for a sink with [`Sink::EACH_ITERATION`].
    Tokens(u32),
    /// It lost its KV blocks and went back to the head of the queue.
    Preempted,
    /// It emitted its last token and left.
    Finished(Completion),
}

/// The times of a finished request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Submitted.
    pub arrival: Time,
    /// First taken into the batch.
    pub admitted: Time,
    /// First token emitted.
    pub first_token: Time,
    /// Last token emitted.
    pub finished: Time,
    /// Prompt length, tokens.
    pub input_tokens: u32,
    /// Tokens generated.
    pub output_tokens: u32,
    /// Prompt tokens skipped by the prefix cache at first admission.
    pub prefix_hit_tokens: u32,
    /// How often it was preempted.
    pub preemptions: u32,
}

impl Completion {
    /// Time to first token.
    pub fn ttft(&self) -> Duration {
        self.first_token.since(self.arrival)
    }

    /// Mean time per output token after the first; zero for a single token.
    pub fn tpot(&self) -> Duration {
        let gaps = self.output_tokens.saturating_sub(1);
        self.finished.since(self.first_token).checked_div(gaps).unwrap_or_default()
    }

    /// From submission to the last token.
    pub fn e2e(&self) -> Duration {
        self.finished.since(self.arrival)
    }

    /// From submission to first admission.
    pub fn queued(&self) -> Duration {
        self.admitted.since(self.arrival)
    }
}

/// One finished iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iteration {
    /// When it ended, rounded up to a nanosecond.
    pub at: Time,
    /// Prompt tokens computed.
    pub prefill_tokens: u32,
    /// Sequences that decoded one token.
    pub decodes: u32,
}

/// Receives the events of [`crate::Engine::advance`] in order of time.
pub trait Sink {
    /// Whether to report every iteration and every token. It costs the jumps over iterations in which nothing else
    /// happens, so a simulation leaves it off; the times are the same.
    const EACH_ITERATION: bool = false;

    /// Something happened to a request.
    fn event(&mut self, event: Event);

    /// An iteration ended; called after the events of its requests, and only with [`Sink::EACH_ITERATION`].
    fn iteration(&mut self, iteration: Iteration) {
        let _ = iteration;
    }
}

impl<F: FnMut(Event)> Sink for F {
    fn event(&mut self, event: Event) {
        self(event);
    }
}
