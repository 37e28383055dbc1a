//! Letting time pass: completing iterations, one by one or many at once.
//!
//! While only decodes run and nobody can join, iterations differ in nothing but the growing context. Their times
//! sum in closed form, so the engine jumps to the first boundary at which something may change: a request finishes,
//! a block runs out, somebody arrives, or the caller's time is up.

use crate::engine::{Engine, State};
use crate::event::{Completion, Event, EventKind, Iteration, Sink};
use crate::time::{Boundary, Time};

impl Engine {
    /// When the engine next has something to do or to tell, if nothing is submitted meanwhile: the end of the
    /// iteration in flight, or the start of one. [`Engine::advance`] to that time makes progress.
    pub fn next_event(&self) -> Option<Time> {
        if let Some(end) = self.end {
            return Some(end.ceil());
        }
        let &head = self.queue.front()?;
        Some(self.clock.ceil().max(self.slots[head as usize].arrival))
    }

    /// Runs all iterations that end by `to`, starts those that start by `to`, and reports what happened in order of
    /// time. A `to` in the past does nothing.
    pub fn advance<S: Sink>(&mut self, to: Time, sink: &mut S) {
        let limit = Boundary::at(to);
        while self.start_iteration(limit, sink) {
            let Some(end) = self.end else { break };
            if end > limit {
                break;
            }
            let extra = if S::EACH_ITERATION { 0 } else { self.jump(end, limit) };
            self.complete(end, extra, sink);
        }
        self.now = self.now.max(to);
    }

    /// Makes sure that an iteration is in flight, if one can start by `limit`.
    fn start_iteration<S: Sink>(&mut self, limit: Boundary, sink: &mut S) -> bool {
        if self.end.is_some() {
            return true;
        }
        if self.running() == 0 {
            let Some(&head) = self.queue.front() else { return false };
            let start = self.clock.max(Boundary::at(self.slots[head as usize].arrival));
            if start > limit {
                return false;
            }
            self.clock = start;
        }
        self.schedule(sink)
    }

    /// How many iterations after the one that ends at `end` are like it and end by `limit`. Takes their blocks.
    fn jump(&mut self, end: Boundary, limit: Boundary) -> u64 {
        let decodes = self.decodes.len();
        if decodes == 0 || !self.prefills.is_empty() {
            return 0;
        }
        let mut until = limit;
        if self.head_could_join() {
            // Iterations that start before its arrival are not affected.
            let head = self.queue.front().map_or(Time::ZERO, |&head| self.slots[head as usize].arrival);
            until = until.min(Boundary::at(head));
        }
        let most = self.decodes.next_finish - self.decodes.done - 1;
        if most == 0 || end >= until {
            return 0;
        }
        // The one in flight will have added a token to each.
        let context = self.decodes.context + u64::from(decodes);
        let fit = self.costs.decode_fit(most, decodes, context, end.picos_until(until));
        let (count, blocks) = self.decodes.blocks_fit(1, fit, self.limits.blocks - self.used_blocks);
        self.used_blocks += blocks;
        count
    }

    /// Ends the iteration in flight at `end` and `extra` pure decode iterations after it.
    fn complete<S: Sink>(&mut self, end: Boundary, extra: u64, sink: &mut S) {
        let decodes = self.decodes.len();
        let context = self.decodes.context + u64::from(decodes);
        self.clock = end.plus_picos(self.costs.decode_run(extra, decodes, context));
        self.end = None;
        self.counters.iterations += 1 + extra;
        self.counters.generation_tokens += (1 + extra) * u64::from(decodes);
        self.decodes.complete(1 + extra);
        let at = self.clock.ceil();
        if S::EACH_ITERATION {
            for &slot in &self.decodes.slots {
                sink.event(Event { id: self.slots[slot as usize].id, at, kind: EventKind::Tokens(1) });
            }
        }
        if self.decodes.next_finish <= self.decodes.done {
            self.finish_decodes(at, sink);
        }
        let prefill_tokens = self.finish_prefills(at, sink);
        if S::EACH_ITERATION {
            sink.iteration(Iteration { at, prefill_tokens, decodes });
        }
    }

    fn finish_decodes<S: Sink>(&mut self, at: Time, sink: &mut S) {
        let mut decodes = std::mem::replace(&mut self.decodes, crate::decode::Decodes::new(0));
        decodes.take_finished(|decodes, index| {
            let slot = &self.slots[index as usize];
            let context = slot.input + slot.output - 1;
            decodes.forget(context);
            self.used_blocks -= self.limits.blocks_for(context);
            self.finish(index, at, sink);
        });
        self.decodes = decodes;
    }

    /// Books the chunks of the iteration that ended; those whose prefill is over emit a token. Returns the tokens
    /// computed.
    fn finish_prefills<S: Sink>(&mut self, at: Time, sink: &mut S) -> u32 {
        let mut tokens = 0;
        let mut kept = 0;
        for place in 0..self.prefills.len() {
            let prefill = self.prefills[place];
            tokens += prefill.chunk;
            let slot = &mut self.slots[prefill.slot as usize];
            slot.prefilled += prefill.chunk;
            if slot.prefilled < slot.target() {
                self.prefills[kept] = crate::engine::Prefill { slot: prefill.slot, chunk: 0 };
                kept += 1;
            } else {
                self.end_prefill(prefill.slot, at, sink);
            }
        }
        self.prefills.truncate(kept);
        tokens
    }

    fn end_prefill<S: Sink>(&mut self, index: u32, at: Time, sink: &mut S) {
        let slot = &mut self.slots[index as usize];
        let context = slot.prefilled;
        slot.emitted += 1;
        slot.state = State::Decode;
        self.counters.generation_tokens += 1;
        if slot.emitted == 1 {
            slot.first_token = at;
            self.counters.prompt_tokens += u64::from(slot.input);
            sink.event(Event { id: slot.id, at, kind: EventKind::FirstToken });
        } else if S::EACH_ITERATION {
            sink.event(Event { id: slot.id, at, kind: EventKind::Tokens(1) });
        }
        let remaining = slot.output - slot.emitted;
        if remaining == 0 {
            self.used_blocks -= self.limits.blocks_for(context);
            self.finish(index, at, sink);
        } else {
            self.decodes.push(index, context, remaining);
        }
    }

    fn finish<S: Sink>(&mut self, index: u32, at: Time, sink: &mut S) {
        let slot = self.slots[index as usize];
        self.counters.finished += 1;
        let completion = Completion {
            arrival: slot.arrival,
            admitted: slot.admitted.unwrap_or(slot.arrival),
            first_token: slot.first_token,
            finished: at,
            input_tokens: slot.input,
            output_tokens: slot.output,
            prefix_hit_tokens: slot.hit,
            preemptions: slot.preemptions,
        };
        self.release(index);
        sink.event(Event { id: slot.id, at, kind: EventKind::Finished(completion) });
    }
}

impl crate::engine::Slot {
    /// Tokens that prefill must cover: the prompt, and after a preemption what was generated.
    pub(crate) fn target(&self) -> u32 {
        self.input + self.emitted
    }
}
