//! What is known of one model, and how news change it. Times are arguments; nothing here reads a clock, a file or the network.

use crate::config::Settings;
use crate::decide::{self, Question, Verdict};
use crate::fleet::{Deployment, Fleet};
use crate::plan::{MAX_POINTS, Plan, Point};
use crate::profiles::{Offer, Profiles};
use crate::source::ticks::{TICK, Ticks};
use request_monitor::aibrix::{Merge, Trace};
use request_monitor::{Batch, Load, Monitor, Outcome, Refused};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Troubles that are remembered; each source has one.
const MAX_TROUBLES: usize = 100;

/// What is known of one model.
#[derive(Debug)]
pub(crate) struct Brain {
    settings: Settings,
    monitor: Monitor,
    pub(crate) ticks: Ticks,
    pub(crate) profiles: Profiles,
    pub(crate) plan: Option<Plan>,
    /// Why the last plan is held; none where it was confirmed.
    pub(crate) held: Option<String>,
    /// When requests were last seen, Unix seconds.
    seen: Option<f64>,
    pub(crate) history: VecDeque<Point>,
    pub(crate) troubles: BTreeMap<String, Trouble>,
    /// Troubles since the start, by source.
    pub(crate) failures: BTreeMap<String, u64>,
}

/// What is wrong with a source.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trouble {
    pub(crate) since: f64,
    pub(crate) message: String,
}

/// What survives a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Memory {
    monitor: request_monitor::State,
    ticks: Ticks,
    plan: Option<Plan>,
    seen: Option<f64>,
    #[serde(default)]
    history: VecDeque<Point>,
}

impl Brain {
    /// Knows nothing yet, or what is remembered.
    pub(crate) fn new(settings: Settings, memory: Option<Memory>) -> Self {
        let own = request_monitor::Settings { half_life: settings.half_life_seconds, ..Default::default() };
        let mut brain = Self {
            settings,
            monitor: Monitor::new(own),
            ticks: Ticks::default(),
            profiles: Profiles::default(),
            plan: None,
            held: Some("nothing has been looked at yet".to_owned()),
            seen: None,
            history: VecDeque::new(),
            troubles: BTreeMap::new(),
            failures: BTreeMap::new(),
        };
        if let Some(memory) = memory {
            brain.plan = memory.plan.filter(sound);
            brain.seen = memory.seen.filter(|seen| seen.is_finite());
            brain.history = memory.history;
            brain.history.truncate(MAX_POINTS);
            // Without its histogram the ticks are read again, as far as they are alive.
            if let Some(monitor) = Monitor::restore(memory.monitor) {
                (brain.monitor, brain.ticks) = (monitor, memory.ticks);
            }
        }
        brain
    }

    /// What is to survive a restart.
    pub(crate) fn memory(&self) -> Memory {
        Memory {
            monitor: self.monitor.state(),
            ticks: self.ticks.clone(),
            plan: self.plan.clone(),
            seen: self.seen,
            history: self.history.clone(),
        }
    }

    /// Takes what was found under the ticks that were due: AIBrix's key first, then those of gateways that have their own.
    /// `seen` is what had been seen under AIBrix's keys before, which several gateways write over.
    pub(crate) fn traces(&mut self, now: f64, found: &[(u64, Vec<Option<String>>)], seen: &BTreeMap<u64, Merge>) {
        let mut bad = None;
        for (tick, texts) in found {
            let mut batches = Vec::new();
            for (at, text) in texts.iter().enumerate().filter_map(|(at, text)| Some((at, text.as_deref()?))) {
                match Trace::parse(text) {
                    Ok(trace) => {
                        let mut merge = seen.get(tick).filter(|_| at == 0).cloned().unwrap_or_default();
                        merge.see(&trace);
                        batches.push(merge.trace().unwrap_or(trace).batch(seconds(*tick)));
                    }
                    Err(error) => bad = Some(format!("trace of {tick}: {error}")),
                }
            }
            // Traces of other intervals than the first one's cannot be added to it.
            let whole = batches.into_iter().reduce(|sum, batch| sum.plus(&batch).unwrap_or(sum));
            if let Some(batch) = whole {
                self.batch(&batch);
            }
        }
        self.note("traces", now, bad);
        let present = found.iter().filter(|(_, texts)| texts.iter().any(Option::is_some)).map(|(tick, _)| *tick);
        self.ticks.looked(now, present);
        self.fill(now);
    }

    /// Ticks without a trace are seconds without requests: the gateway writes none then. Between two traces that is sure enough
    /// once late writes have had their time; after the newest only when there has been none for long.
    fn fill(&mut self, now: f64) {
        let Some(newest) = self.ticks.newest else { return };
        let until = if self.idle(now) { self.ticks.settled() } else { self.ticks.settled().min(newest) };
        let first = self.ticks.told.max(until.saturating_sub(600)) + TICK;
        for tick in (first..=until).step_by(usize::try_from(TICK).unwrap_or(10)) {
            let to = seconds(tick);
            // Where there was a trace the span is covered, and this is refused.
            self.monitor.add(&Batch { arrivals: Some(0.0), ..Batch::new(to - seconds(TICK), to) });
        }
        self.ticks.told = self.ticks.told.max(until);
    }

    /// Takes what a source tells of a span.
    pub(crate) fn batch(&mut self, batch: &Batch) {
        let outcome = self.monitor.add(batch);
        if let Outcome::Refused(why) = outcome
            && !matches!(why, Refused::Covered | Refused::Silent)
        {
            let message = Some(format!("a span of the load was refused: {why}"));
            return self.note("load", batch.to, message);
        }
        let some = batch.arrivals.unwrap_or(0.0) > 0.0 || batch.completions() > 0.0;
        if some || batch.pending.unwrap_or(0.0) > 0.0 {
            self.seen = Some(self.seen.map_or(batch.to, |seen| seen.max(batch.to)));
        }
    }

    /// Whether requests were seen once, and none for so long that there is no load.
    fn idle(&self, now: f64) -> bool {
        self.seen.is_some_and(|seen| now - seen >= self.settings.idle_seconds)
    }

    /// Takes a profile's text, if it is new. Says whether it could be read.
    pub(crate) fn profile(&mut self, now: f64, text: &str, origin: &str) -> bool {
        match self.profiles.offer(text, origin) {
            Ok(Offer::Taken) => {
                tracing::info!(origin, "a profile was taken");
                self.note(origin, now, None);
                true
            }
            Ok(Offer::Older) => true,
            Err(error) => {
                self.note(origin, now, Some(error));
                false
            }
        }
    }

    /// Notes that a source is in trouble, or no longer.
    pub(crate) fn note(&mut self, source: &str, now: f64, message: Option<String>) {
        let Some(message) = message else {
            self.troubles.remove(source);
            return;
        };
        if self.failures.len() < MAX_TROUBLES || self.failures.contains_key(source) {
            *self.failures.entry(source.to_owned()).or_default() += 1;
        }
        if let Some(trouble) = self.troubles.get_mut(source) {
            trouble.message = message;
        } else if self.troubles.len() < MAX_TROUBLES {
            tracing::warn!(source, message, "a source is in trouble; what was known is held");
            self.troubles.insert(source.to_owned(), Trouble { since: now, message });
        }
    }

    /// The load as it is.
    pub(crate) fn load(&self, now: f64) -> Load {
        self.monitor.load(now)
    }

    /// What is to be decided now.
    pub(crate) fn question(&self, now: f64, fleet: &Fleet) -> Question {
        Question {
            settings: self.settings,
            load: self.load(now),
            idle: self.idle(now),
            deployments: fleet.all(),
            overrides: fleet.said.overrides.clone(),
            profiles: self.profiles.clone(),
            last: self.plan.clone(),
        }
    }

    /// Takes what was decided.
    pub(crate) fn conclude(&mut self, now: f64, rate: f64, verdict: Verdict) {
        match verdict {
            Verdict::Plan(plan) => {
                if self.plan.as_ref().is_none_or(|last| last.replicas != plan.replicas) {
                    tracing::info!(replicas = ?plan.replicas, cost = plan.cost, rate, "a new plan");
                }
                self.plan = Some(*plan);
                self.held = None;
            }
            Verdict::Hold(why) => {
                if self.held.as_ref() != Some(&why) {
                    tracing::debug!(why, "the last plan is held");
                }
                self.held = Some(why);
            }
        }
        let Some(plan) = &self.plan else { return };
        if self.history.len() >= MAX_POINTS {
            self.history.pop_front();
        }
        self.history.push_back(Point {
            at: now,
            rate: if rate.is_finite() { rate } else { 0.0 },
            cost: plan.cost,
            bound: plan.bound,
            held: self.held.is_some(),
            replicas: plan.replicas.clone(),
        });
    }
}

#[allow(clippy::cast_precision_loss, reason = "Unix seconds are far below 2^52")]
fn seconds(tick: u64) -> f64 {
    tick as f64
}

/// A plan of a file that somebody may have edited.
fn sound(plan: &Plan) -> bool {
    let numbers = [plan.at, plan.cost, plan.bound, plan.rate];
    numbers.into_iter().all(f64::is_finite) && plan.replicas.values().all(|count| *count <= crate::config::MAX_REPLICAS)
}

/// What is recommended for a deployment, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Basis {
    /// Somebody said so.
    Override,
    /// The plan.
    Plan,
    /// Nothing is known that would change what there is.
    Held,
}

/// Replicas of a deployment, and by what; none where nothing is known of it.
pub(crate) fn recommend(one: &Deployment, fleet: &Fleet, plan: Option<&Plan>) -> Option<(u32, Basis)> {
    let key = one.key();
    if let Some(count) = fleet.said.overrides.get(&key) {
        return Some((*count, Basis::Override));
    }
    let planned = plan.and_then(|plan| plan.replicas.get(&key)).copied();
    if let Some(count) = planned {
        // Limits may be newer than the plan.
        return Some((count.clamp(one.min, one.max.unwrap_or(u32::MAX).max(one.min)), Basis::Plan));
    }
    decide::current(one, &key, plan).map(|count| (count, Basis::Held))
}
