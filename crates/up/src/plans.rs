//! Plans for the groups whose autoscalers take some. Looks are gathered at each tick; the planning itself is done beside the
//! turns, since it takes up to half a second now and then, and a plan that comes late is the next tick's.

use crate::clock::Clock;
use crate::feed::{Feed, Look};
use crate::observe::Seen;
use crate::setup::Setup;
use crate::view::PlanView;
use autoscaler_core::fleet::Plan as CorePlan;
use autoscaler_planning::{Plan, Planning, Settings};
use autoscaler_runtime::planning::settings;
use gateway::{Event, Snapshot};
use local_world::ReplicaStatus;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

/// A turn waits so long for its own plan, in machine time: usual plans take a millisecond.
const PATIENCE: Duration = Duration::from_millis(20);
/// Looks closer to each other than this part of a tick, as where a held request woke the loop, say little about a rate.
const CLOSEST: f64 = 0.5;

/// The plannings, one for each autoscaler that plans.
pub(crate) struct Plans {
    units: Vec<Unit>,
    ended: Option<Receiver<Event>>,
    running: Option<JoinHandle<Vec<Done>>>,
    looked: Option<f64>,
    generations: u64,
}

struct Unit {
    autoscaler: String,
    group: String,
    settings: Settings,
    generation: u64,
    /// None while it is at work.
    planning: Option<Planning>,
    feed: Feed,
    latest: Option<Plan>,
}

struct Done {
    generation: u64,
    planning: Planning,
    plan: Option<Plan>,
}

/// What a turn sees.
pub(crate) struct Sight<'a> {
    pub(crate) clock: Clock,
    /// Trace seconds between two ticks.
    pub(crate) tick: f64,
    pub(crate) statuses: &'a [ReplicaStatus],
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) seen: &'a Seen,
}

impl Plans {
    /// Requests that ended come from the gateway.
    pub(crate) fn new(ended: Option<Receiver<Event>>) -> Self {
        Self { units: Vec::new(), ended, running: None, looked: None, generations: 0 }
    }

    /// Takes a manifest. A planning whose settings stay keeps what it has learnt. Answers what cannot be planned, and why.
    pub(crate) fn configure(&mut self, setup: &Setup, clock: Clock) -> Vec<String> {
        let epoch = clock.timestamp(0.0).0 as f64 / 1e6;
        let (mut units, mut problems) = (Vec::new(), Vec::new());
        for one in &setup.autoscalers {
            let Some(known) = one.basis.as_ref().and_then(|basis| basis.known.clone()) else { continue };
            let settings = settings(&[(&one.resolved, known)], epoch);
            let name = &one.spec.name;
            let same = |unit: &Unit| unit.autoscaler == *name && unit.group == one.group && unit.settings == settings;
            if let Some(at) = self.units.iter().position(same) {
                units.push(self.units.swap_remove(at));
                continue;
            }
            let planning = match Planning::new(settings.clone()) {
                Ok(planning) => planning,
                Err(error) => {
                    problems.push(format!("{name}: no plan is made: {error}"));
                    continue;
                }
            };
            self.generations += 1;
            units.push(Unit {
                autoscaler: name.clone(),
                group: one.group.clone(),
                settings,
                generation: self.generations,
                planning: Some(planning),
                feed: Feed::default(),
                latest: None,
            });
        }
        self.units = units;
        problems
    }

    /// Takes what ended, whether a plan is due or not.
    pub(crate) fn gather(&mut self, clock: Clock) {
        let Some(ended) = &mut self.ended else { return };
        while let Ok(event) = ended.try_recv() {
            let Event::Finished(record) = event else { continue };
            let own = |unit: &&mut Unit| record.group.as_deref() == Some(unit.group.as_str());
            for unit in self.units.iter_mut().filter(own) {
                unit.feed.ended(&record, &unit.settings.objective, clock);
            }
        }
    }

    /// Shows what is seen, and answers the latest plan of all; none before there is one.
    pub(crate) async fn turn(&mut self, sight: &Sight<'_>) -> Option<CorePlan> {
        self.gather(sight.clock);
        for unit in &mut self.units {
            unit.feed.replicas(&unit.group, sight.statuses, sight.clock);
        }
        self.collect(Duration::ZERO).await;
        let now = sight.clock.now();
        let due = self.looked.is_none_or(|before| now - before >= CLOSEST * sight.tick);
        if self.running.is_none() && due && !self.units.is_empty() {
            self.looked = Some(now);
            self.begin(now, sight);
            self.collect(PATIENCE).await;
        }
        self.latest(sight.clock)
    }

    fn begin(&mut self, now: f64, sight: &Sight<'_>) {
        let mut jobs: Vec<(u64, Planning, Look)> = Vec::new();
        for unit in &mut self.units {
            let Some(planning) = unit.planning.take() else { continue };
            let traffic = sight.snapshot.group(&unit.group).map(|group| group.traffic).unwrap_or_default();
            let wanted = sight.seen.observation.targets.get(&unit.autoscaler).map_or(0, |target| target.replicas);
            let ready = sight.seen.shown.get(&unit.autoscaler).map_or(0, |shown| shown.ready);
            jobs.push((unit.generation, planning, unit.feed.look(now, traffic, wanted, ready)));
        }
        self.running = Some(tokio::task::spawn_blocking(move || {
            let work = |(generation, mut planning, look): (u64, Planning, Look)| {
                look.show(&mut planning);
                let plan = planning.plan(now);
                Done { generation, planning, plan }
            };
            jobs.into_iter().map(work).collect()
        }));
    }

    /// Takes the work back once it is done.
    async fn collect(&mut self, patience: Duration) {
        let Some(running) = &mut self.running else { return };
        if patience.is_zero() && !running.is_finished() {
            return;
        }
        let Ok(done) = tokio::time::timeout(patience.max(PATIENCE), running).await else { return };
        self.running = None;
        for Done { generation, planning, plan } in done.unwrap_or_default() {
            // What was taken out of the manifest meanwhile is let go.
            if let Some(unit) = self.units.iter_mut().find(|unit| unit.generation == generation) {
                unit.planning = Some(planning);
                unit.latest = plan.or(unit.latest.take());
            }
        }
        // Work that broke off took its memory with it; its settings were good once.
        for unit in self.units.iter_mut().filter(|unit| unit.planning.is_none()) {
            unit.planning = Planning::new(unit.settings.clone()).ok();
        }
    }

    /// The plans of all as one, as old as the oldest of them.
    fn latest(&self, clock: Clock) -> Option<CorePlan> {
        let plans = || self.units.iter().filter_map(|unit| unit.latest.as_ref());
        let made_at = plans().map(|plan| plan.made_at).reduce(f64::min)?;
        let mut all = CorePlan { made_at: clock.timestamp(made_at), replicas: BTreeMap::new(), why: BTreeMap::new() };
        for plan in plans() {
            all.replicas.extend(plan.replicas.iter().map(|(name, count)| (name.clone(), *count)));
            all.why.extend(plan.why.iter().map(|(name, why)| (name.clone(), why.clone())));
        }
        Some(all)
    }

    /// An autoscaler's latest plan, for people.
    pub(crate) fn view(&self, autoscaler: &str) -> Option<PlanView> {
        let unit = self.units.iter().find(|unit| unit.autoscaler == autoscaler)?;
        let plan = unit.latest.as_ref()?;
        Some(PlanView {
            replicas: plan.replicas.get(autoscaler).copied()?,
            made_at: plan.made_at,
            cost_per_hour: plan.detail.cost,
            attainment: plan.detail.attainment,
        })
    }
}
