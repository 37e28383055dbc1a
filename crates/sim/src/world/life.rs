//! Replicas come, serve, drain, crash and go; each is paid from its creation to its end.

use super::queue::Planned;
use super::replica::{Fate, Replica};
use super::run::{World, nanos};
use super::seen::Stage;
use engine_model::Time;

impl World<'_> {
    /// Creates a replica of a group; one that serves at once where the trace begins with it.
    pub(super) fn create(&mut self, group: usize, now: f64, serves: bool) {
        let scaled = &self.groups[group];
        let fate = Fate::of(self.setup, scaled.group, self.created);
        let mut replica = Replica::new(&scaled.mould, group, self.created, now, fate);
        if serves {
            replica.ready = now;
        }
        self.queue.plan(nanos(replica.ready), Planned::Ready(replica.number));
        if fate.life.is_finite() {
            self.queue.plan(nanos(replica.ready + fate.life), Planned::Crash(replica.number));
        }
        self.created += 1;
        self.replicas.push(replica);
        self.peak = self.peak.max(self.replicas.len());
    }

    /// Whether the pool has room for one more of a group.
    pub(super) fn has_room(&self, group: usize) -> bool {
        let Some(pool) = self.setup.pool else { return true };
        let used: u32 = self.replicas.iter().map(|replica| self.groups[replica.group].group.engine.gpus).sum();
        used.saturating_add(self.groups[group].group.engine.gpus) <= pool
    }

    pub(super) fn find(&self, number: u32) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.number == number)
    }

    pub(super) fn serve(&mut self, number: u32, now: Time) {
        // It may have been taken back.
        let Some(index) = self.find(number) else { return };
        self.replicas[index].stage = Stage::Ready;
        self.release(self.groups[self.replicas[index].group].group.model, now);
    }

    /// Creates or removes as many of a group as are wanted; what finds no room in the pool is tried again at the next tick.
    pub(super) fn reconcile(&mut self, group: usize, now: Time) {
        let wanted = self.groups[group].wanted;
        let staying = |replica: &&Replica| replica.group == group && replica.stage != Stage::Draining;
        let have = u32::try_from(self.replicas.iter().filter(staying).count()).unwrap_or(u32::MAX);
        for _ in have..wanted {
            if self.has_room(group) {
                self.create(group, now.as_secs_f64(), false);
            }
        }
        for _ in wanted..have {
            self.retire(group, now);
        }
    }

    /// Takes away one of a group: the youngest that does not serve yet, as Kubernetes does, else the least busy.
    pub(super) fn retire(&mut self, group: usize, now: Time) {
        let own = |replica: &Replica, stage: Stage| replica.group == group && replica.stage == stage;
        if let Some(index) = self.replicas.iter().rposition(|replica| own(replica, Stage::Starting)) {
            self.remove(index, now.as_secs_f64());
            return;
        }
        let serving = self.replicas.iter().enumerate().filter(|(_, replica)| own(replica, Stage::Ready));
        let least = serving.min_by_key(|(index, replica)| (replica.in_flight, std::cmp::Reverse(*index)));
        let Some((index, _)) = least else { return };
        let replica = &mut self.replicas[index];
        if replica.in_flight == 0 {
            self.remove(index, now.as_secs_f64());
        } else {
            replica.stage = Stage::Draining;
            let number = replica.number;
            self.queue.plan(nanos(now.as_secs_f64() + self.setup.drain), Planned::Cut(number));
        }
    }

    pub(super) fn remove(&mut self, index: usize, at: f64) {
        let replica = self.replicas.remove(index);
        self.pay(&replica, at);
    }

    pub(super) fn pay(&mut self, replica: &Replica, until: f64) {
        let (from, to) = (replica.created.max(self.setup.warmup), until.min(self.setup.length));
        self.groups[replica.group].paid += (to - from).max(0.0);
    }

    pub(super) fn cut(&mut self, number: u32, now: Time) {
        let Some(index) = self.find(number) else { return };
        self.advance(index, now);
        let replica = self.replicas.remove(index);
        self.pay(&replica, if replica.in_flight == 0 { replica.last_ended } else { now.as_secs_f64() });
        for id in replica.requests {
            if !self.book.is_over(id) {
                self.book.aborted(id);
            }
        }
    }

    /// A crashed replica's place is taken by another, which has to start; what had no token yet goes elsewhere.
    pub(super) fn crash(&mut self, number: u32, now: Time) {
        let Some(index) = self.find(number) else { return };
        self.advance(index, now);
        let replica = self.replicas.remove(index);
        self.pay(&replica, now.as_secs_f64());
        let model = self.groups[replica.group].group.model;
        for id in replica.requests {
            if !self.book.is_over(id) && self.book.crashed(id) {
                self.held[model].push_back(id);
            }
        }
        if replica.stage != Stage::Draining {
            self.create(replica.group, now.as_secs_f64(), false);
        }
        self.release(model, now);
    }
}
