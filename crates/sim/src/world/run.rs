//! The loop: whatever comes next, an arrival or something planned.

use super::book::Book;
use super::outcome::{Outcome, Reversals};
use super::queue::{Planned, Queue};
use super::replica::{Fate, Mould, Replica};
use super::seen::{ReplicaView, Seen, Stage};
use super::setup::{Router, Setup};
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

/// Runs a policy on arrivals, which are in order of time. Fails where the engine's parameters are not valid.
pub fn run(
    setup: &Setup,
    arrivals: &[Arrival],
    policy: &mut dyn Policy,
    timeline: Option<&mut Timeline>,
) -> Result<Outcome, SpecError> {
    let began = Instant::now();
    let mut world = World::new(setup, arrivals)?;
    world.begin(policy);
    world.run(policy, timeline);
    Ok(world.end(began.elapsed().as_secs_f64()))
}

struct World<'a> {
    setup: &'a Setup,
    arrivals: &'a [Arrival],
    mould: Mould,
    queue: Queue,
    book: Book<'a>,
    replicas: Vec<Replica>,
    /// Requests that no replica could take.
    held: VecDeque<usize>,
    views: Vec<ReplicaView>,
    random: ChaCha8Rng,
    created: u32,
    wanted: u32,
    peak: usize,
    /// Seconds of replicas that are gone.
    paid: f64,
    reversals: Reversals,
    /// Where the search for the least loaded begins, so that equals take turns.
    turn: usize,
    arrived_at_tick: u64,
    ticked: f64,
}

fn nanos(seconds: f64) -> u64 {
    Time::from_secs_f64(seconds).as_nanos()
}

impl<'a> World<'a> {
    fn new(setup: &'a Setup, arrivals: &'a [Arrival]) -> Result<Self, SpecError> {
        Ok(Self {
            setup,
            arrivals,
            mould: Mould::new(setup)?,
            queue: Queue::default(),
            book: Book::new(arrivals, setup.slo, setup.warmup),
            replicas: Vec::new(),
            held: VecDeque::new(),
            views: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(setup.seed),
            created: 0,
            wanted: setup.initial.clamp(setup.min, setup.max),
            peak: 0,
            paid: 0.0,
            reversals: Reversals::default(),
            turn: 0,
            arrived_at_tick: 0,
            ticked: 0.0,
        })
    }

    fn begin(&mut self, policy: &dyn Policy) {
        for _ in 0..self.wanted {
            self.create(0.0, true);
        }
        // Nothing in a cluster begins together.
        let mut phase = |interval: f64| nanos(self.random.random::<f64>() * interval);
        let first = phase(policy.interval());
        let scrape = policy.scrapes_every().map(&mut phase);
        self.queue.plan(first, Planned::Tick);
        if let Some(at) = scrape {
            self.queue.plan(at, Planned::Scrape);
        }
        if policy.samples_every().is_some() {
            self.queue.plan(0, Planned::Sample);
        }
    }

    fn run(&mut self, policy: &mut dyn Policy, mut timeline: Option<&mut Timeline>) {
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
                    self.again(at, policy.scrapes_every(), what);
                }
                Planned::Sample => {
                    self.see(now, policy.scrapes_every().is_none());
                    policy.sample(&self.seen(now));
                    self.again(at, policy.samples_every(), what);
                }
                Planned::Tick => {
                    self.tick(now, policy, timeline.as_deref_mut());
                    self.again(at, Some(policy.interval()), what);
                }
            }
        }
    }

    fn again(&mut self, at: u64, interval: Option<f64>, what: Planned) {
        if let Some(interval) = interval {
            self.queue.plan(at + nanos(interval).max(1), what);
        }
    }

    fn tick(&mut self, now: Time, policy: &mut dyn Policy, timeline: Option<&mut Timeline>) {
        self.see(now, policy.scrapes_every().is_none());
        let seconds = now.as_secs_f64();
        self.book.forget(seconds);
        let wanted = policy.decide(&self.seen(now)).clamp(self.setup.min, self.setup.max);
        let before = std::mem::replace(&mut self.wanted, wanted);
        if wanted != before {
            self.reversals.change(
                seconds,
                wanted > before,
                seconds >= self.setup.warmup && seconds <= self.setup.length,
            );
        }
        if let Some(timeline) = timeline {
            timeline.points.push(self.point(seconds));
            if wanted != before {
                timeline.changes.push(Change { at: seconds, from: before, to: wanted, why: policy.why() });
            }
        }
        self.arrived_at_tick = self.book.traffic.arrivals;
        self.ticked = seconds;
        self.reconcile(now);
    }

    fn point(&mut self, now: f64) -> Point {
        let gauges: Vec<_> = self.replicas.iter().map(|replica| (replica.stage, replica.engine.gauges())).collect();
        let ready = gauges.iter().filter(|(stage, _)| *stage == Stage::Ready).count();
        let kv: f64 =
            gauges.iter().filter(|(stage, _)| *stage == Stage::Ready).map(|(_, gauges)| gauges.kv_usage).sum();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (ended, kept) = std::mem::take(&mut self.book.lately);
        Point {
            at: now,
            wanted: self.wanted,
            ready: count(ready),
            starting: count(gauges.iter().filter(|(stage, _)| *stage == Stage::Starting).count()),
            running: gauges.iter().map(|(_, gauges)| gauges.running).sum(),
            waiting: gauges.iter().map(|(_, gauges)| gauges.waiting).sum(),
            held: count(self.held.len()),
            kv: if ready > 0 { kv / ready as f64 } else { 0.0 },
            rate: (self.book.traffic.arrivals - self.arrived_at_tick) as f64 / (now - self.ticked).max(1e-3),
            attainment: (ended > 0).then(|| kept as f64 / ended as f64),
        }
    }

    fn seen(&self, now: Time) -> Seen<'_> {
        Seen {
            now: now.as_secs_f64(),
            wanted: self.wanted,
            held: u32::try_from(self.held.len()).unwrap_or(u32::MAX),
            replicas: &self.views,
            traffic: &self.book.traffic,
        }
    }

    /// Brings everything up to now, and makes the views; with pages as of now where they are read at each look.
    fn see(&mut self, now: Time, pages: bool) {
        if pages {
            self.look(now);
        } else {
            self.advance_all(now);
        }
        self.views.clear();
        self.views.extend(self.replicas.iter().map(Replica::view));
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
        if let Some(index) = self.route(now) {
            self.give(index, id, now);
        } else {
            self.held.push_back(id);
        }
    }

    /// The replica for the next request.
    fn route(&mut self, now: Time) -> Option<usize> {
        let count = self.replicas.len();
        if self.setup.router == Router::Random {
            let ready: Vec<usize> = (0..count).filter(|at| self.replicas[*at].stage == Stage::Ready).collect();
            if ready.is_empty() {
                return None;
            }
            let index = ready[self.random.random_range(0..ready.len())];
            self.advance(index, now);
            return Some(index);
        }
        self.turn = self.turn.wrapping_add(1);
        let mut best: Option<(u64, usize)> = None;
        for step in 0..count {
            let index = (self.turn + step) % count;
            if self.replicas[index].stage != Stage::Ready {
                continue;
            }
            self.advance(index, now);
            let load = self.replicas[index].in_flight;
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, index));
            }
        }
        best.map(|(_, index)| index)
    }

    fn give(&mut self, index: usize, id: usize, now: Time) {
        let arrival = self.arrivals[id];
        let hit = self.hit(&arrival);
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
    fn hit(&mut self, arrival: &Arrival) -> u32 {
        let ideal = arrival.prefix_hit_tokens.min(arrival.input_tokens);
        if ideal == 0 || self.setup.router == Router::PrefixAware {
            return ideal;
        }
        // The prefix is in one of the caches.
        let ready = self.replicas.iter().filter(|replica| replica.stage == Stage::Ready).count();
        if self.random.random_range(0..ready.max(1)) == 0 { ideal } else { 0 }
    }

    /// Creates a replica; one that serves at once where the trace begins with it.
    fn create(&mut self, now: f64, serves: bool) {
        let fate = Fate::of(self.setup, self.created);
        let mut replica = Replica::new(&self.mould, self.created, now, fate);
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

    fn find(&self, number: u32) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.number == number)
    }

    fn serve(&mut self, number: u32, now: Time) {
        // It may have been taken back.
        let Some(index) = self.find(number) else { return };
        self.replicas[index].stage = Stage::Ready;
        self.release(now);
    }

    /// Gives what is held to replicas that serve.
    fn release(&mut self, now: Time) {
        for id in std::mem::take(&mut self.held) {
            match self.route(now) {
                Some(index) => self.give(index, id, now),
                None => self.held.push_back(id),
            }
        }
    }

    /// Creates or removes as many as are wanted.
    fn reconcile(&mut self, now: Time) {
        let staying = |replica: &&Replica| replica.stage != Stage::Draining;
        let have = u32::try_from(self.replicas.iter().filter(staying).count()).unwrap_or(u32::MAX);
        for _ in have..self.wanted {
            self.create(now.as_secs_f64(), false);
        }
        for _ in self.wanted..have {
            self.retire(now);
        }
    }

    /// Takes away one: the youngest that does not serve yet, as Kubernetes does, else the least busy.
    fn retire(&mut self, now: Time) {
        let starting = self.replicas.iter().rposition(|replica| replica.stage == Stage::Starting);
        if let Some(index) = starting {
            self.remove(index, now.as_secs_f64());
            return;
        }
        let serving = self.replicas.iter().enumerate().filter(|(_, replica)| replica.stage == Stage::Ready);
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
        self.paid += (to - from).max(0.0);
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
        for id in replica.requests {
            if !self.book.is_over(id) && self.book.crashed(id) {
                self.held.push_back(id);
            }
        }
        if replica.stage != Stage::Draining {
            self.create(now.as_secs_f64(), false);
        }
        self.release(now);
    }

    fn end(mut self, wall: f64) -> Outcome {
        self.book.close();
        for replica in std::mem::take(&mut self.replicas) {
            self.pay(&replica, self.setup.length);
        }
        let percentiles = |latency: &Option<Latency>| latency.as_ref().map(Latency::percentiles).unwrap_or_default();
        let paid_hours = self.paid / 3600.0;
        Outcome {
            fates: self.book.fates,
            ttft: percentiles(&self.book.ttft),
            tpot: percentiles(&self.book.tpot),
            gpu_hours: paid_hours * f64::from(self.setup.engine.gpus),
            reversals_per_hour: self.reversals.per_hour(self.setup.length - self.setup.warmup),
            peak_replicas: u32::try_from(self.peak).unwrap_or(u32::MAX),
            created: self.created,
            wall,
        }
    }
}
