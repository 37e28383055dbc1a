//! Bringing every engine up to now, and the pictures that policies and plots get.

use super::run::World;
use super::seen::{Seen, Stage};
use super::timeline::Point;
use engine_model::{Event, Time};
use rand::RngExt;

impl World<'_> {
    pub(super) fn point(&self, at: usize, now: f64) -> Point {
        let scaled = &self.groups[at];
        let model = scaled.group.model;
        let own = self.replicas.iter().filter(|replica| replica.group == at);
        let gauges: Vec<_> = own.map(|replica| (replica.stage, replica.engine.gauges())).collect();
        let ready = gauges.iter().filter(|(stage, _)| *stage == Stage::Ready).count();
        let kv: f64 =
            gauges.iter().filter(|(stage, _)| *stage == Stage::Ready).map(|(_, gauges)| gauges.kv_usage).sum();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (ended, kept) = self.book.lately[model];
        Point {
            at: now,
            wanted: scaled.wanted,
            ready: count(ready),
            starting: count(gauges.iter().filter(|(stage, _)| *stage == Stage::Starting).count()),
            running: gauges.iter().map(|(_, gauges)| gauges.running).sum(),
            waiting: gauges.iter().map(|(_, gauges)| gauges.waiting).sum(),
            held: count(self.held[model].len()),
            kv: if ready > 0 { kv / ready as f64 } else { 0.0 },
            rate: (self.book.traffic[model].arrivals - self.arrived_at_tick[model]) as f64
                / (now - self.ticked).max(1e-3),
            attainment: (ended > 0).then(|| kept as f64 / ended as f64),
        }
    }

    pub(super) fn seen(&self, now: Time) -> Vec<Seen<'_>> {
        let mut seen = Vec::with_capacity(self.groups.len());
        for scaled in &self.groups {
            seen.push(Seen {
                now: now.as_secs_f64(),
                wanted: scaled.wanted,
                held: u32::try_from(self.held[scaled.group.model].len()).unwrap_or(u32::MAX),
                replicas: &scaled.views,
                traffic: &self.book.traffic[scaled.group.model],
            });
        }
        seen
    }

    /// Brings everything up to now, and makes the views; with pages as of now where they are read at each look.
    pub(super) fn see(&mut self, now: Time, pages: bool) {
        if pages {
            self.look(now);
        } else {
            self.advance_all(now);
        }
        for scaled in &mut self.groups {
            scaled.views.clear();
        }
        for replica in &self.replicas {
            self.groups[replica.group].views.push(replica.view());
        }
    }

    /// Reads the pages of all replicas that serve.
    pub(super) fn look(&mut self, now: Time) {
        self.advance_all(now);
        for replica in &mut self.replicas {
            let lost =
                self.setup.faults.scrape_loss > 0.0 && self.random.random::<f64>() < self.setup.faults.scrape_loss;
            if replica.stage == Stage::Starting || lost {
                replica.metrics = None;
            } else {
                // Gauges are those of the time up to which the engine has come.
                replica.engine.advance(now, &mut |_: Event| {});
                replica.scrape(now.as_secs_f64());
            }
        }
    }

    pub(super) fn advance_all(&mut self, now: Time) {
        for index in 0..self.replicas.len() {
            self.advance(index, now);
        }
        let mut index = 0;
        while index < self.replicas.len() {
            let replica = &self.replicas[index];
            if replica.stage == Stage::Draining && replica.in_flight == 0 {
                let at = replica.last_ended;
                self.remove(index, at);
            } else {
                index += 1;
            }
        }
    }

    pub(super) fn advance(&mut self, index: usize, now: Time) {
        let replica = &mut self.replicas[index];
        if replica.next.is_none_or(|next| next > now) {
            return;
        }
        let book = &mut self.book;
        book.last_ended = replica.last_ended;
        replica.engine.advance(now, &mut |event: Event| book.event(event));
        replica.last_ended = book.last_ended;
        replica.advanced();
    }
}
