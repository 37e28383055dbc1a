//! The loop: whatever comes next, an arrival or something planned.

use super::book::Book;
use super::outcome::{Fates, GroupOutcome, Outcome, Reversals};
use super::queue::{Planned, Queue};
use super::replica::{Fate, Mould, Replica};
use super::seen::{ReplicaView, Seen, Stage};
use super::setup::{Group, Router, Setup};
use super::timeline::{Change, Point, Timeline};
use engine_model::{Event, Request, SpecError, Time};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::time::Instant;
use workload::Arrival;
use workload::score::Latency;

/// Says how many replicas there should be.
pub trait Policy {
    /// Seconds between two decisions.
    fn interval(&self) -> f64 {
        5.0
    }

    /// Seconds between two samples; none takes none beside its decisions.
    fn samples_every(&self) -> Option<f64> {
        None
    }

    /// Seconds between two scrapes, where it does not read the pages itself when it looks.
    fn scrapes_every(&self) -> Option<f64> {
        None
    }

    /// Looks without deciding.
    fn sample(&mut self, _seen: &Seen<'_>) {}

    /// The replicas that it wants.
    fn decide(&mut self, seen: &Seen<'_>) -> u32;

    /// Why it wants what it said last.
    fn why(&self) -> String {
        String::new()
    }
}

/// Says how many replicas of each group there should be.
pub trait Fleet {
    /// Seconds between two decisions.
    fn interval(&self) -> f64;

    /// Seconds between two samples; none takes none beside its decisions.
    fn samples_every(&self) -> Option<f64>;

    /// Seconds between two scrapes, where it does not read the pages itself when it looks.
    fn scrapes_every(&self) -> Option<f64>;

    /// Looks without deciding; one picture a group.
    fn sample(&mut self, seen: &[Seen<'_>]);

    /// The replicas that it wants, by group; a group that is left out stays as it is.
    fn decide(&mut self, seen: &[Seen<'_>]) -> Vec<u32>;

    /// Why it wants what it said last of a group.
    fn why(&self, group: usize) -> String;
}

/// A policy that has one group to itself.
struct Alone<'a>(&'a mut dyn Policy);

impl Fleet for Alone<'_> {
    fn interval(&self) -> f64 {
        self.0.interval()
    }

    fn samples_every(&self) -> Option<f64> {
        self.0.samples_every()
    }

    fn scrapes_every(&self) -> Option<f64> {
        self.0.scrapes_every()
    }

    fn sample(&mut self, seen: &[Seen<'_>]) {
        seen.iter().take(1).for_each(|seen| self.0.sample(seen));
    }

    fn decide(&mut self, seen: &[Seen<'_>]) -> Vec<u32> {
        seen.iter().take(1).map(|seen| self.0.decide(seen)).collect()
    }

    fn why(&self, _group: usize) -> String {
        self.0.why()
    }
}

/// Runs a policy on the first group, with arrivals in order of time. Fails where the engine's parameters are not valid.
pub fn run(
    setup: &Setup,
    arrivals: &[Arrival],
    policy: &mut dyn Policy,
    timeline: Option<&mut Timeline>,
) -> Result<Outcome, SpecError> {
    let timelines = timeline.map(std::slice::from_mut);
    run_fleet(setup, arrivals, &[], &mut Alone(policy), timelines.unwrap_or_default())
}

/// Runs policies on all groups. `models` says whose request each arrival is, by the groups' own numbers; empty, all are the first
/// model's. Timelines, where there are any, are those of the groups in their order.
pub fn run_fleet(
    setup: &Setup,
    arrivals: &[Arrival],
    models: &[u16],
    policies: &mut dyn Fleet,
    timelines: &mut [Timeline],
) -> Result<Outcome, SpecError> {
    let began = Instant::now();
    let mut world = World::new(setup, arrivals, models)?;
    world.begin(policies);
    world.run(policies, timelines);
    Ok(world.end(began.elapsed().as_secs_f64()))
}

/// One group while it runs.
struct Scaled<'a> {
    group: &'a Group,
    mould: Mould,
    wanted: u32,
    views: Vec<ReplicaView>,
    /// Seconds of replicas that are gone.
    paid: f64,
    reversals: Reversals,
}

struct World<'a> {
    setup: &'a Setup,
    arrivals: &'a [Arrival],
    groups: Vec<Scaled<'a>>,
    queue: Queue,
    book: Book<'a>,
    replicas: Vec<Replica>,
    /// Requests that no replica could take, by model.
    held: Vec<VecDeque<usize>>,
    random: ChaCha8Rng,
    created: u32,
    peak: usize,
    /// Where the search for the least loaded begins, so that equals take turns.
    turn: usize,
    /// Arrivals at the tick before, by model.
    arrived_at_tick: Vec<u64>,
    ticked: f64,
}

fn nanos(seconds: f64) -> u64 {
    Time::from_secs_f64(seconds).as_nanos()
}

impl<'a> World<'a> {
    fn new(setup: &'a Setup, arrivals: &'a [Arrival], models: &'a [u16]) -> Result<Self, SpecError> {
        let groups = setup.groups().map(|group| {
            Ok(Scaled {
                group,
                mould: Mould::new(&group.engine, setup.faults)?,
                wanted: group.initial.clamp(group.min, group.max),
                views: Vec::new(),
                paid: 0.0,
                reversals: Reversals::default(),
            })
        });
        let served = setup.groups().map(|group| group.model + 1).max().unwrap_or(1);
        Ok(Self {
            setup,
            arrivals,
            groups: groups.collect::<Result<_, SpecError>>()?,
            queue: Queue::default(),
            book: Book::new(arrivals, models, served, setup.slo, setup.warmup),
            replicas: Vec::new(),
            held: vec![VecDeque::new(); served],
            random: ChaCha8Rng::seed_from_u64(setup.seed),
            created: 0,
            peak: 0,
            turn: 0,
            arrived_at_tick: vec![0; served],
            ticked: 0.0,
        })
    }

    fn begin(&mut self, policies: &dyn Fleet) {
        for at in 0..self.groups.len() {
            for _ in 0..self.groups[at].wanted {
                self.create(at, 0.0, true);
            }
        }
        // Nothing in a cluster begins together.
        let mut phase = |interval: f64| nanos(self.random.random::<f64>() * interval);
        let first = phase(policies.interval());
        let scrape = policies.scrapes_every().map(&mut phase);
        self.queue.plan(first, Planned::Tick);
        if let Some(at) = scrape {
            self.queue.plan(at, Planned::Scrape);
        }
        if policies.samples_every().is_some() {
            self.queue.plan(0, Planned::Sample);
        }
    }

    fn run(&mut self, policies: &mut dyn Fleet, timelines: &mut [Timeline]) {
        let deadline = nanos(self.setup.length + self.setup.tail);
        let length = nanos(self.setup.length);
        let mut coming = 0;
        loop {
            let arrival = self.arrivals.get(coming).map(|arrival| nanos(arrival.at));
            let planned = self.queue.next_time().unwrap_or(u64::MAX);
            if let Some(at) = arrival.filter(|at| *at <= planned) {
                self.arrive(coming, at);
                coming += 1;
                continue;
            }
            let over = arrival.is_none() && self.book.inside == 0 && planned > length;
            if over || planned > deadline {
                return;
            }
            let Some((at, what)) = self.queue.pop() else { return };
            let now = Time::from_nanos(at);
            match what {
                Planned::Ready(number) => self.serve(number, now),
                Planned::Crash(number) => self.crash(number, now),
                Planned::Cut(number) => self.cut(number, now),
                Planned::Scrape => {
                    self.look(now);
                    self.again(at, policies.scrapes_every(), what);
                }
                Planned::Sample => {
                    self.see(now, policies.scrapes_every().is_none());
                    policies.sample(&self.seen(now));
                    self.again(at, policies.samples_every(), what);
                }
                Planned::Tick => {
                    self.tick(now, policies, timelines);
                    self.again(at, Some(policies.interval()), what);
                }
            }
        }
    }

    fn again(&mut self, at: u64, interval: Option<f64>, what: Planned) {
        if let Some(interval) = interval {
            self.queue.plan(at + nanos(interval).max(1), what);
        }
    }

    fn tick(&mut self, now: Time, policies: &mut dyn Fleet, timelines: &mut [Timeline]) {
        self.see(now, policies.scrapes_every().is_none());
        let seconds = now.as_secs_f64();
        self.book.forget(seconds);
        let counted = seconds >= self.setup.warmup && seconds <= self.setup.length;
        let wanted = policies.decide(&self.seen(now));
        for (at, (scaled, wanted)) in self.groups.iter_mut().zip(wanted).enumerate() {
            let wanted = wanted.clamp(scaled.group.min, scaled.group.max);
            let before = std::mem::replace(&mut scaled.wanted, wanted);
            if wanted == before {
                continue;
            }
            scaled.reversals.change(seconds, wanted > before, counted);
            if let Some(timeline) = timelines.get_mut(at) {
                timeline.changes.push(Change { at: seconds, from: before, to: wanted, why: policies.why(at) });
            }
        }
        for (at, timeline) in timelines.iter_mut().enumerate() {
            timeline.points.push(self.point(at, seconds));
        }
        self.book.lately.fill((0, 0));
        for (arrived, traffic) in self.arrived_at_tick.iter_mut().zip(&self.book.traffic) {
            *arrived = traffic.arrivals;
        }
        self.ticked = seconds;
        for at in 0..self.groups.len() {
            self.reconcile(at, now);
        }
    }

    fn point(&self, at: usize, now: f64) -> Point {
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

    fn seen(&self, now: Time) -> Vec<Seen<'_>> {
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
    fn see(&mut self, now: Time, pages: bool) {
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
    fn look(&mut self, now: Time) {
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

    fn advance_all(&mut self, now: Time) {
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

    fn advance(&mut self, index: usize, now: Time) {
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

    fn arrive(&mut self, id: usize, at: u64) {
        let now = Time::from_nanos(at);
        self.book.arrives(id);
        let model = self.book.model(id);
        if let Some(index) = self.route(model, now) {
            self.give(index, id, now);
        } else {
            self.held[model].push_back(id);
        }
    }

    /// The replica for the next request of a model.
    fn route(&mut self, model: usize, now: Time) -> Option<usize> {
        let count = self.replicas.len();
        let serves = |world: &Self, at: usize| {
            let replica = &world.replicas[at];
            replica.stage == Stage::Ready && world.groups[replica.group].group.model == model
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

    fn give(&mut self, index: usize, id: usize, now: Time) {
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
    fn hit(&mut self, arrival: &Arrival, group: usize) -> u32 {
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

    /// Creates a replica of a group; one that serves at once where the trace begins with it.
    fn create(&mut self, group: usize, now: f64, serves: bool) {
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
    fn has_room(&self, group: usize) -> bool {
        let Some(pool) = self.setup.pool else { return true };
        let used: u32 = self.replicas.iter().map(|replica| self.groups[replica.group].group.engine.gpus).sum();
        used.saturating_add(self.groups[group].group.engine.gpus) <= pool
    }

    fn find(&self, number: u32) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.number == number)
    }

    fn serve(&mut self, number: u32, now: Time) {
        // It may have been taken back.
        let Some(index) = self.find(number) else { return };
        self.replicas[index].stage = Stage::Ready;
        self.release(self.groups[self.replicas[index].group].group.model, now);
    }

    /// Gives what is held of a model to replicas that serve.
    fn release(&mut self, model: usize, now: Time) {
        for id in std::mem::take(&mut self.held[model]) {
            match self.route(model, now) {
                Some(index) => self.give(index, id, now),
                None => self.held[model].push_back(id),
            }
        }
    }

    /// Creates or removes as many of a group as are wanted; what finds no room in the pool is tried again at the next tick.
    fn reconcile(&mut self, group: usize, now: Time) {
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
    fn retire(&mut self, group: usize, now: Time) {
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

    fn remove(&mut self, index: usize, at: f64) {
        let replica = self.replicas.remove(index);
        self.pay(&replica, at);
    }

    fn pay(&mut self, replica: &Replica, until: f64) {
        let (from, to) = (replica.created.max(self.setup.warmup), until.min(self.setup.length));
        self.groups[replica.group].paid += (to - from).max(0.0);
    }

    fn cut(&mut self, number: u32, now: Time) {
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
    fn crash(&mut self, number: u32, now: Time) {
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

    fn end(mut self, wall: f64) -> Outcome {
        self.book.close();
        for replica in std::mem::take(&mut self.replicas) {
            self.pay(&replica, self.setup.length);
        }
        let percentiles = |latency: &Option<Latency>| latency.as_ref().map(Latency::percentiles).unwrap_or_default();
        let seconds = self.setup.length - self.setup.warmup;
        let group = |scaled: &Scaled<'_>| {
            let gpu_hours = scaled.paid / 3600.0 * f64::from(scaled.group.engine.gpus);
            GroupOutcome {
                name: scaled.group.name.clone(),
                gpu_hours,
                cost: gpu_hours * scaled.group.price,
                reversals_per_hour: scaled.reversals.per_hour(seconds),
            }
        };
        let groups: Vec<GroupOutcome> = self.groups.iter().map(group).collect();
        let mut fates = Fates::default();
        self.book.fates.iter().for_each(|model| fates.add(model));
        Outcome {
            fates,
            ttft: percentiles(&self.book.ttft),
            tpot: percentiles(&self.book.tpot),
            gpu_hours: groups.iter().map(|group| group.gpu_hours).sum(),
            cost: groups.iter().map(|group| group.cost).sum(),
            models: self.book.fates,
            reversals_per_hour: groups.iter().map(|group| group.reversals_per_hour).sum(),
            groups,
            peak_replicas: u32::try_from(self.peak).unwrap_or(u32::MAX),
            created: self.created,
            wall,
        }
    }
}
