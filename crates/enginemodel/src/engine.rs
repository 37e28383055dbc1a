//! The engine's state and what a caller may do with it, time aside.

use crate::cost::Costs;
use crate::decode::Decodes;
use crate::request::{Rejected, Request, Ticket};
use crate::spec::{EngineSpec, SpecError};
use crate::time::{Boundary, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// One engine replica. See the crate's own page for its use.
///
/// Calls come in order of time: submit what arrives at `t` and call [`Engine::advance`] to `t`, in either order. A
/// request joins the first iteration that starts at or after its arrival and after its submission.
#[derive(Debug)]
pub struct Engine {
    pub(crate) costs: Arc<Costs>,
    pub(crate) limits: Limits,
    pub(crate) slots: Vec<Slot>,
    pub(crate) free_slots: Vec<u32>,
    /// Waiting, in order of arrival; the preempted are always older than the rest and stand in front.
    pub(crate) queue: VecDeque<u32>,
    pub(crate) decodes: Decodes,
    /// In prefill, in order of arrival, all later than those that decode. At most one outlasts its iteration.
    pub(crate) prefills: Vec<Prefill>,
    pub(crate) used_blocks: u64,
    /// Start of the iteration in flight, or end of the last one.
    pub(crate) clock: Boundary,
    /// End of the iteration in flight.
    pub(crate) end: Option<Boundary>,
    /// How far `advance` has come.
    pub(crate) now: Time,
    pub(crate) counters: Counters,
    next_seq: u64,
    last_arrival: Time,
}

/// The spec's limits, in the units of the scheduler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_seqs: u32,
    pub(crate) budget: u32,
    pub(crate) block_size: u32,
    pub(crate) blocks: u64,
    pub(crate) watermark: u64,
    max_model_len: u32,
    max_waiting: u32,
}

impl Limits {
    pub(crate) fn blocks_for(&self, tokens: u32) -> u64 {
        u64::from(tokens.div_ceil(self.block_size))
    }
}

/// A submitted request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) id: u64,
    pub(crate) generation: u32,
    pub(crate) state: State,
    /// Order of submission, which is the order of service.
    pub(crate) seq: u64,
    pub(crate) arrival: Time,
    pub(crate) admitted: Option<Time>,
    pub(crate) first_token: Time,
    pub(crate) input: u32,
    pub(crate) output: u32,
    /// Prompt tokens that the prefix cache saves at each admission.
    pub(crate) hit: u32,
    /// Tokens emitted, while not decoding.
    pub(crate) emitted: u32,
    /// Tokens with KV, while in prefill.
    pub(crate) prefilled: u32,
    pub(crate) preemptions: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    Waiting,
    Prefill,
    Decode,
}

/// A request in prefill and its share of the iteration in flight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefill {
    pub(crate) slot: u32,
    pub(crate) chunk: u32,
}

/// What a scrape would read now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauges {
    /// Requests in the batch.
    pub running: u32,
    /// Requests that have arrived and are not in the batch.
    pub waiting: u32,
    /// Share of KV blocks in use, 0 to 1.
    pub kv_usage: f64,
    /// KV blocks in use.
    pub kv_blocks_used: u64,
    /// KV blocks there are.
    pub kv_blocks: u64,
}

/// What has been counted since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Prompt tokens of requests whose prefill ended, cached ones included.
    pub prompt_tokens: u64,
    /// Tokens emitted.
    pub generation_tokens: u64,
    /// Preemptions.
    pub preemptions: u64,
    /// Prompt tokens looked up in the prefix cache, at first admission.
    pub prefix_queries: u64,
    /// Prompt tokens found there.
    pub prefix_hits: u64,
    /// Iterations completed.
    pub iterations: u64,
    /// Requests finished.
    pub finished: u64,
    /// Requests cancelled.
    pub cancelled: u64,
}

impl Engine {
    /// An idle engine at time zero. Fails where `spec` is not valid.
    pub fn new(spec: &EngineSpec) -> Result<Self, SpecError> {
        spec.validate()?;
        let blocks = spec.kv_capacity_tokens / u64::from(spec.block_size);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of at most half of `blocks`"
        )]
        let watermark = (spec.watermark * blocks as f64).floor() as u64;
        Ok(Self {
            costs: Arc::new(Costs::new(spec)),
            limits: Limits {
                max_seqs: spec.max_num_seqs,
                budget: spec.max_num_batched_tokens,
                block_size: spec.block_size,
                blocks,
                watermark,
                max_model_len: spec.max_model_len,
                max_waiting: spec.max_waiting,
            },
            slots: Vec::new(),
            free_slots: Vec::new(),
            queue: VecDeque::new(),
            decodes: Decodes::new(spec.block_size),
            prefills: Vec::new(),
            used_blocks: 0,
            clock: Boundary::default(),
            end: None,
            now: Time::ZERO,
            counters: Counters::default(),
            next_seq: 0,
            last_arrival: Time::ZERO,
        })
    }

    /// A further idle engine of the same spec at time zero; shares the cost table, so it is cheap.
    #[must_use]
    pub fn replica(&self) -> Self {
        Self {
            costs: Arc::clone(&self.costs),
            limits: self.limits,
            slots: Vec::new(),
            free_slots: Vec::new(),
            queue: VecDeque::new(),
            decodes: Decodes::new(self.limits.block_size),
            prefills: Vec::new(),
            used_blocks: 0,
            clock: Boundary::default(),
            end: None,
            now: Time::ZERO,
            counters: Counters::default(),
            next_seq: 0,
            last_arrival: Time::ZERO,
        }
    }

    /// Takes a request that arrives at `now` (or, where that lies in the past, at the latest time seen).
    pub fn submit(&mut self, now: Time, request: Request) -> Result<Ticket, Rejected> {
        let (input, output) = (request.input_tokens.max(1), request.output_tokens.max(1));
        self.check(input, output)?;
        let arrival = now.max(self.now).max(self.last_arrival);
        self.last_arrival = arrival;
        // vLLM looks up whole blocks and always computes the last prompt token.
        let size = self.limits.block_size;
        let hit = request.prefix_hit_tokens.min(input - 1) / size * size;
        let slot = Slot {
            id: request.id,
            generation: 0,
            state: State::Waiting,
            seq: self.next_seq,
            arrival,
            admitted: None,
            first_token: Time::ZERO,
            input,
            output,
            hit,
            emitted: 0,
            prefilled: 0,
            preemptions: 0,
        };
        self.next_seq += 1;
        let ticket = self.store(slot);
        self.queue.push_back(ticket.slot);
        Ok(ticket)
    }

    fn check(&self, input: u32, output: u32) -> Result<(), Rejected> {
        let tokens = u64::from(input) + u64::from(output);
        let limit = self.limits.max_model_len;
        if tokens > u64::from(limit) {
            return Err(Rejected::ContextTooLong { tokens, limit });
        }
        let size = u64::from(self.limits.block_size);
        let usable = (self.limits.blocks - self.limits.watermark) * size;
        // Alone in the engine, whatever is admitted can finish: no request waits for ever.
        if tokens > usable {
            return Err(Rejected::KvTooSmall { tokens, limit: usable });
        }
        if self.queue.len() >= self.limits.max_waiting as usize {
            return Err(Rejected::QueueFull { limit: self.limits.max_waiting });
        }
        Ok(())
    }

    fn store(&mut self, mut slot: Slot) -> Ticket {
        if let Some(index) = self.free_slots.pop() {
            let place = &mut self.slots[index as usize];
            slot.generation = place.generation.wrapping_add(1);
            *place = slot;
            return Ticket { slot: index, generation: slot.generation };
        }
        #[allow(clippy::cast_possible_truncation, reason = "bounded by max_waiting + max_num_seqs")]
        let index = self.slots.len() as u32;
        self.slots.push(slot);
        Ticket { slot: index, generation: 0 }
    }

    /// Ends a request early and frees what it holds; the iteration in flight still takes its time. Returns whether
    /// there was such a request.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let Some(&slot) = self.slots.get(ticket.slot as usize) else { return false };
        if slot.generation != ticket.generation {
            return false;
        }
        match slot.state {
            State::Free => return false,
            State::Waiting => {
                let found = self.queue.binary_search_by_key(&slot.seq, |&other| self.slots[other as usize].seq);
                let Ok(index) = found else { return false };
                self.queue.remove(index);
            }
            State::Prefill => self.drop_prefill(ticket.slot),
            State::Decode => self.drop_decode(ticket.slot),
        }
        self.counters.cancelled += 1;
        self.release(ticket.slot);
        true
    }

    /// Forgets a slot whose request has left every list.
    pub(crate) fn release(&mut self, index: u32) {
        self.slots[index as usize].state = State::Free;
        self.free_slots.push(index);
    }

    pub(crate) fn drop_prefill(&mut self, index: u32) {
        self.prefills.retain(|prefill| {
            if prefill.slot == index {
                let held = self.slots[index as usize].prefilled + prefill.chunk;
                self.used_blocks -= self.limits.blocks_for(held);
            }
            prefill.slot != index
        });
    }

    pub(crate) fn drop_decode(&mut self, index: u32) {
        let seq = self.slots[index as usize].seq;
        let found = self.decodes.slots.binary_search_by_key(&seq, |&other| self.slots[other as usize].seq);
        let Ok(place) = found else { return };
        let finish = self.decodes.finish[place];
        let context = self.context_of(index, finish);
        // The iteration in flight has already taken the block of its next token.
        let held = context + u32::from(self.end.is_some());
        self.used_blocks -= self.limits.blocks_for(held);
        self.decodes.remove(place, context);
        self.slots[index as usize].emitted = self.emitted_of(index, finish);
    }

    /// Tokens emitted by a decoding request that finishes at `finish`.
    pub(crate) fn emitted_of(&self, index: u32, finish: u64) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "at most the request's output tokens")]
        let remaining = (finish - self.decodes.done) as u32;
        self.slots[index as usize].output - remaining
    }

    /// KV tokens of a decoding request: all but the token emitted last.
    pub(crate) fn context_of(&self, index: u32, finish: u64) -> u32 {
        self.slots[index as usize].input + self.emitted_of(index, finish) - 1
    }

    pub(crate) fn running(&self) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "at most max_num_seqs, which is a u32")]
        let prefills = self.prefills.len() as u32;
        self.decodes.len() + prefills
    }

    /// What a scrape would read at the time of the last [`Engine::advance`].
    pub fn gauges(&self) -> Gauges {
        let arrived = self.queue.partition_point(|&slot| self.slots[slot as usize].arrival <= self.now);
        Gauges {
            running: self.running(),
            waiting: u32::try_from(arrived).unwrap_or(u32::MAX),
            kv_usage: self.used_blocks as f64 / self.limits.blocks as f64,
            kv_blocks_used: self.used_blocks,
            kv_blocks: self.limits.blocks,
        }
    }

    /// What has been counted up to the last [`Engine::advance`].
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether no request is in the engine.
    pub fn is_idle(&self) -> bool {
        self.running() == 0 && self.queue.is_empty()
    }

    /// How far [`Engine::advance`] has come.
    pub fn now(&self) -> Time {
        self.now
    }
}
