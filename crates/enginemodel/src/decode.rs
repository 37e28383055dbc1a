//! The decoding part of the batch, kept so that many iterations cost as much as one.
//!
//! Every decoding sequence gains one token in every iteration, so nothing is stored per token: a counter of
//! iterations says how far each has come. A sequence is known by the counter's value at which it finishes, and by the
//! phase (counter modulo block size) at which it needs its next KV block.

/// Sequences that decode, in order of arrival.
#[derive(Debug)]
pub(crate) struct Decodes {
    /// Slot of each.
    pub(crate) slots: Vec<u32>,
    /// Value of `done` at which each has emitted its last token.
    pub(crate) finish: Vec<u64>,
    /// Iterations completed since the engine began.
    pub(crate) done: u64,
    /// KV tokens of all of them together.
    pub(crate) context: u64,
    /// Smallest of `finish`; `u64::MAX` when empty.
    pub(crate) next_finish: u64,
    /// How many need a block in the iteration after `done = phase (mod block size)`.
    phases: Vec<u32>,
}

impl Decodes {
    pub(crate) fn new(block_size: u32) -> Self {
        Self {
            slots: Vec::new(),
            finish: Vec::new(),
            done: 0,
            context: 0,
            next_finish: u64::MAX,
            phases: vec![0; block_size as usize],
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most max_num_seqs, which is a u32")]
    pub(crate) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Adds the latest arrival, with `context` KV tokens and `remaining` (at least 1) tokens to go.
    pub(crate) fn push(&mut self, slot: u32, context: u32, remaining: u32) {
        let finish = self.done + u64::from(remaining);
        self.slots.push(slot);
        self.finish.push(finish);
        self.next_finish = self.next_finish.min(finish);
        self.context += u64::from(context);
        let phase = self.phase_of(context);
        self.phases[phase] += 1;
    }

    /// Takes out the sequence at `index`, which has `context` KV tokens now.
    pub(crate) fn remove(&mut self, index: usize, context: u32) {
        self.slots.remove(index);
        self.finish.remove(index);
        self.next_finish = self.finish.iter().copied().min().unwrap_or(u64::MAX);
        self.forget(context);
    }

    /// Forgets the KV tokens of a sequence that leaves.
    pub(crate) fn forget(&mut self, context: u32) {
        self.context -= u64::from(context);
        let phase = self.phase_of(context);
        self.phases[phase] -= 1;
    }

    /// Takes out, in order, all that finish now, and calls `leave` with the slot of each.
    pub(crate) fn take_finished(&mut self, mut leave: impl FnMut(&mut Self, u32)) {
        let mut kept = 0;
        let mut next = u64::MAX;
        for index in 0..self.slots.len() {
            let (slot, finish) = (self.slots[index], self.finish[index]);
            if finish <= self.done {
                leave(self, slot);
            } else {
                self.slots[kept] = slot;
                self.finish[kept] = finish;
                next = next.min(finish);
                kept += 1;
            }
        }
        self.slots.truncate(kept);
        self.finish.truncate(kept);
        self.next_finish = next;
    }

    /// Completes `count` iterations.
    pub(crate) fn complete(&mut self, count: u64) {
        self.done += count;
        self.context += count * u64::from(self.len());
    }

    /// Blocks that the iteration `ahead` iterations from the next one takes.
    pub(crate) fn blocks_due(&self, ahead: u64) -> u64 {
        u64::from(self.phases[self.phase_index(ahead)])
    }

    /// The most iterations, up to `limit` and counted from `ahead`, whose blocks fit into `free`, and those blocks.
    pub(crate) fn blocks_fit(&self, ahead: u64, limit: u64, free: u64) -> (u64, u64) {
        let size = self.phases.len() as u64;
        let each = u64::from(self.len());
        // Whole rounds of `size` iterations take one block for each sequence.
        let rounds = (limit / size).min(free.checked_div(each).unwrap_or(u64::MAX));
        let (mut count, mut blocks) = (rounds * size, rounds * each);
        while count < limit {
            let due = self.blocks_due(ahead + count);
            if blocks + due > free {
                break;
            }
            blocks += due;
            count += 1;
        }
        (count, blocks)
    }

    fn phase_index(&self, ahead: u64) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "a remainder of the block size")]
        let index = ((self.done + ahead) % self.phases.len() as u64) as usize;
        index
    }

    /// A sequence needs a block when its context is a multiple of the block size; both grow by one together with
    /// `done`, so their difference names the phase for as long as the sequence decodes.
    fn phase_of(&self, context: u32) -> usize {
        let size = self.phases.len() as u64;
        let behind = u64::from(context) % size;
        #[allow(clippy::cast_possible_truncation, reason = "a remainder of the block size")]
        let phase = ((self.done % size + size - behind) % size) as usize;
        phase
    }
}
