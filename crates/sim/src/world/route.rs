//! How requests find replicas, and wait where there is none.

use super::replica::Replica;
use super::run::World;
use super::seen::Stage;
use super::setup::Router;
use engine_model::{Request, Time};
use rand::RngExt;
use workload::Arrival;

impl World<'_> {
    pub(super) fn arrive(&mut self, id: usize, at: u64) {
        let now = Time::from_nanos(at);
        self.book.arrives(id);
        let model = self.book.model(id);
        if let Some(index) = self.route(id, now) {
            self.give(index, id, now);
        } else {
            self.held[model].push_back(id);
        }
    }

    /// The replica for a request: of those that are meant for its size, where there are any.
    pub(super) fn route(&mut self, id: usize, now: Time) -> Option<usize> {
        let (model, prompt) = (self.book.model(id), self.arrivals[id].input_tokens);
        let meant = self.groups.iter().any(|one| one.group.longest < prompt);
        let first = if meant { self.least_loaded(model, prompt, now) } else { None };
        first.or_else(|| self.least_loaded(model, 0, now))
    }

    /// Of the replicas of a model that are meant for prompts of this length.
    fn least_loaded(&mut self, model: usize, prompt: u32, now: Time) -> Option<usize> {
        let count = self.replicas.len();
        let serves = |world: &Self, at: usize| {
            let replica = &world.replicas[at];
            let group = world.groups[replica.group].group;
            replica.stage == Stage::Ready && group.model == model && group.longest >= prompt
        };
        if self.setup.router == Router::Random {
            let ready: Vec<usize> = (0..count).filter(|at| serves(self, *at)).collect();
            if ready.is_empty() {
                return None;
            }
            let index = ready[self.random.random_range(0..ready.len())];
            self.advance(index, now);
            return Some(index);
        }
        self.turn = self.turn.wrapping_add(1);
        let mut best: Option<(f64, usize)> = None;
        for step in 0..count {
            let index = (self.turn + step) % count;
            if !serves(self, index) {
                continue;
            }
            self.advance(index, now);
            let replica = &self.replicas[index];
            // With one more, so that of two idle ones the larger is next.
            let load = (replica.in_flight + 1) as f64 / self.groups[replica.group].group.weight;
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, index));
            }
        }
        best.map(|(_, index)| index)
    }

    pub(super) fn give(&mut self, index: usize, id: usize, now: Time) {
        let arrival = self.arrivals[id];
        let hit = self.hit(&arrival, self.replicas[index].group);
        self.book.computes(id, arrival.input_tokens - hit);
        let request = Request {
            id: id as u64,
            input_tokens: arrival.input_tokens,
            output_tokens: arrival.output_tokens,
            prefix_hit_tokens: hit,
        };
        let replica = &mut self.replicas[index];
        if !replica.take(now, request, id) {
            self.book.rejected(id);
            return;
        }
        // What ended needs no place; a list twice as long as what is inside costs little.
        if replica.requests.len() as u64 > 64 + 2 * replica.in_flight {
            let book = &self.book;
            replica.requests.retain(|id| !book.is_over(*id));
        }
    }

    /// Tokens of the prompt that the replica's prefix cache has.
    pub(super) fn hit(&mut self, arrival: &Arrival, group: usize) -> u32 {
        let ideal = arrival.prefix_hit_tokens.min(arrival.input_tokens);
        if ideal == 0 || self.setup.router == Router::PrefixAware {
            return ideal;
        }
        // The prefix is in one of the caches.
        let model = self.groups[group].group.model;
        let serves =
            |replica: &&Replica| replica.stage == Stage::Ready && self.groups[replica.group].group.model == model;
        let ready = self.replicas.iter().filter(serves).count();
        if self.random.random_range(0..ready.max(1)) == 0 { ideal } else { 0 }
    }

    /// Gives what is held of a model to replicas that serve.
    pub(super) fn release(&mut self, model: usize, now: Time) {
        for id in std::mem::take(&mut self.held[model]) {
            match self.route(id, now) {
                Some(index) => self.give(index, id, now),
                None => self.held[model].push_back(id),
            }
        }
    }
}
