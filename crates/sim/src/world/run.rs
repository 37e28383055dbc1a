//! The loop: whatever comes next, an arrival or something planned.

use super::book::Book;
use super::outcome::{Fates, GroupOutcome, Outcome, Reversals};
use super::policy::{Alone, Fleet, Policy};
use super::queue::{Planned, Queue};
use super::replica::{Mould, Replica};
use super::seen::ReplicaView;
use super::setup::{Group, Setup};
use super::timeline::{Change, Timeline};
use engine_model::{SpecError, Time};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::time::Instant;
use workload::Arrival;
use workload::score::Latency;

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
pub(super) struct Scaled<'a> {
    pub(super) group: &'a Group,
    pub(super) mould: Mould,
    pub(super) wanted: u32,
    pub(super) views: Vec<ReplicaView>,
    /// Seconds of replicas that are gone.
    pub(super) paid: f64,
    pub(super) reversals: Reversals,
}

pub(super) struct World<'a> {
    pub(super) setup: &'a Setup,
    pub(super) arrivals: &'a [Arrival],
    pub(super) groups: Vec<Scaled<'a>>,
    pub(super) queue: Queue,
    pub(super) book: Book<'a>,
    pub(super) replicas: Vec<Replica>,
    /// Requests that no replica could take, by model.
    pub(super) held: Vec<VecDeque<usize>>,
    pub(super) random: ChaCha8Rng,
    pub(super) created: u32,
    pub(super) peak: usize,
    /// Where the search for the least loaded begins, so that equals take turns.
    pub(super) turn: usize,
    /// Arrivals at the tick before, by model.
    pub(super) arrived_at_tick: Vec<u64>,
    pub(super) ticked: f64,
}

pub(super) fn nanos(seconds: f64) -> u64 {
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
        // In turn, where they share a pool.
        let most = self.groups.iter().map(|scaled| scaled.wanted).max().unwrap_or(0);
        let mut created = vec![0; self.groups.len()];
        for round in 0..most {
            for (at, created) in created.iter_mut().enumerate() {
                if round < self.groups[at].wanted && self.has_room(at) {
                    self.create(at, 0.0, true);
                    *created += 1;
                }
            }
        }
        for (scaled, created) in self.groups.iter_mut().zip(created) {
            scaled.wanted = created;
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
                // What is inside still has until then, whether or not anybody looks.
                self.advance_all(Time::from_nanos(deadline));
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
