//! Choosing the next iteration's batch: vLLM V1's rules.
//!
//! Decodes first, one token each; then the prefill that was cut short; then the queue, first come first served,
//! while sequences, tokens and blocks allow. Where a running request lacks a block, the latest arrival gives way and
//! starts over from the head of the queue; nothing is admitted in such an iteration.

use crate::engine::{Engine, Prefill, State};
use crate::event::{Event, EventKind, Sink};
use crate::time::Boundary;

impl Engine {
    /// Starts an iteration at `self.clock`, if there is anything to do.
    pub(crate) fn schedule<S: Sink>(&mut self, sink: &mut S) -> bool {
        let preempted = self.grant_decode_blocks(sink) | self.resume_prefills(sink);
        if !preempted || self.running() == 0 {
            self.admit(sink);
        }
        if self.running() == 0 {
            return false;
        }
        let tokens = self.decodes.len() + self.chunk_tokens();
        let context = self.decodes.context + u64::from(self.decodes.len());
        let chunks = self.prefills.iter().map(|p| self.costs.chunk(self.slots[p.slot as usize].prefilled, p.chunk));
        let picos = chunks.fold(self.costs.iteration(tokens, context), u64::saturating_add);
        self.end = Some(self.clock.plus_picos(picos));
        true
    }

    fn chunk_tokens(&self) -> u32 {
        self.prefills.iter().map(|prefill| prefill.chunk).sum()
    }

    fn free_blocks(&self) -> u64 {
        self.limits.blocks - self.used_blocks
    }

    fn grant_decode_blocks<S: Sink>(&mut self, sink: &mut S) -> bool {
        let mut preempted = false;
        while self.decodes.blocks_due(0) > self.free_blocks() {
            self.preempt_latest(sink);
            preempted = true;
        }
        self.used_blocks += self.decodes.blocks_due(0);
        preempted
    }

    fn resume_prefills<S: Sink>(&mut self, sink: &mut S) -> bool {
        let mut budget = self.limits.budget - self.decodes.len();
        let mut index = 0;
        while index < self.prefills.len() {
            let slot = self.slots[self.prefills[index].slot as usize];
            let chunk = budget.min(slot.target() - slot.prefilled);
            let held = self.limits.blocks_for(slot.prefilled);
            let need = self.limits.blocks_for(slot.prefilled + chunk) - held;
            if need > self.free_blocks() {
                // The latest arrival is the last prefill, possibly this one; look again.
                self.preempt_latest(sink);
                return true;
            }
            self.used_blocks += need;
            self.prefills[index].chunk = chunk;
            budget -= chunk;
            index += 1;
        }
        false
    }

    fn admit<S: Sink>(&mut self, sink: &mut S) {
        let mut budget = self.limits.budget - self.decodes.len() - self.chunk_tokens();
        let start = self.clock.ceil();
        while let Some((index, chunk, need)) = self.admissible(budget) {
            self.queue.pop_front();
            self.used_blocks += need;
            budget -= chunk;
            self.prefills.push(Prefill { slot: index, chunk });
            let slot = &mut self.slots[index as usize];
            slot.state = State::Prefill;
            slot.prefilled = slot.hit;
            if slot.admitted.is_none() {
                slot.admitted = Some(start);
                self.counters.prefix_queries += u64::from(slot.input);
                self.counters.prefix_hits += u64::from(slot.hit);
            }
            sink.event(Event { id: slot.id, at: start, kind: EventKind::Admitted });
        }
    }

    /// The head of the queue, its first chunk and the blocks for it, if an iteration with `budget` tokens left that
    /// starts at `self.clock` can take it.
    fn admissible(&self, budget: u32) -> Option<(u32, u32, u64)> {
        let &index = self.queue.front()?;
        let slot = self.slots[index as usize];
        if budget == 0 || self.running() >= self.limits.max_seqs || Boundary::at(slot.arrival) > self.clock {
            return None;
        }
        let chunk = budget.min(slot.target() - slot.hit);
        let need = self.limits.blocks_for(slot.hit + chunk);
        (self.used_blocks + need + self.limits.watermark <= self.limits.blocks).then_some((index, chunk, need))
    }

    /// Whether the head of the queue, once arrived, could join a batch of decodes alone; if not, it cannot until one
    /// of them leaves, since blocks in use only grow.
    pub(crate) fn head_could_join(&self) -> bool {
        let Some(&index) = self.queue.front() else { return false };
        let slot = self.slots[index as usize];
        let budget = self.limits.budget - self.decodes.len();
        let need = self.limits.blocks_for(slot.hit + budget.min(slot.target() - slot.hit));
        budget > 0
            && self.running() < self.limits.max_seqs
            && self.used_blocks + need + self.limits.watermark <= self.limits.blocks
    }

    fn preempt_latest<S: Sink>(&mut self, sink: &mut S) {
        let index = if let Some(prefill) = self.prefills.pop() {
            // Between iterations: what it holds is what it has computed, and its chunk where already granted.
            let held = self.slots[prefill.slot as usize].prefilled + prefill.chunk;
            self.used_blocks -= self.limits.blocks_for(held);
            prefill.slot
        } else if let Some(&index) = self.decodes.slots.last() {
            self.drop_decode(index);
            index
        } else {
            return;
        };
        let slot = &mut self.slots[index as usize];
        slot.state = State::Waiting;
        slot.prefilled = 0;
        slot.preemptions += 1;
        self.counters.preemptions += 1;
        self.queue.push_front(index);
        sink.event(Event { id: slot.id, at: self.clock.ceil(), kind: EventKind::Preempted });
    }
}
