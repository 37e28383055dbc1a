//! One model's planning: it is shown looks, and asked for plans.

use crate::guards::{Asked, SMOOTHED};
use crate::kinds::Costs;
use crate::mix::{Demand, Shares};
use crate::outlook::{Flow, KINDS, NAMES, Outlook};
use crate::plan::{Detail, Plan};
use crate::replay::{Counted, Look, Replay};
use crate::risk::Risk;
use crate::seen::Seen;
use crate::settings::{Knowledge, Settings, SettingsError};
use crate::sizes::Sizes;
use crate::startup::Startups;
use crate::trust::Trust;
use forecast::Forecaster;
use std::collections::VecDeque;

/// See the module's header.
#[derive(Debug)]
pub struct Planning {
    pub(crate) settings: Settings,
    pub(crate) sizes: Sizes,
    pub(crate) risks: Vec<Option<Risk>>,
    /// How the targets compare, as of the risks.
    pub(crate) shares: Shares,
    /// When the risks were made, and of how many requests that were seen; none before any.
    pub(crate) made: Option<(f64, f64)>,
    pub(crate) outlook: Outlook,
    /// None without an engine model of the first target.
    pub(crate) replay: Option<Replay>,
    /// What was saved of a replay, until there is one again.
    pub(crate) counted: Option<Counted>,
    pub(crate) forecaster: Forecaster,
    pub(crate) trust: Trust,
    pub(crate) startups: Vec<Startups>,
    /// The look before.
    pub(crate) last: Option<f64>,
    /// When arrivals were seen last.
    pub(crate) fed: Option<f64>,
    pub(crate) backlog_tokens: f64,
    pub(crate) wanted: Vec<u32>,
    pub(crate) ready: Vec<u32>,
    first_plan: Option<f64>,
    /// When all replicas that a plan had asked for served for the first time, or would have if some had been asked for.
    reached: Option<f64>,
    costs: Costs,
    planned_at: Option<f64>,
    /// Plans of late, so that none takes away what one just asked for.
    pub(crate) recent: VecDeque<Asked<Vec<u32>>>,
    /// The same in replicas of the first target, before they are spread over all.
    pub(crate) needed: VecDeque<Asked<u32>>,
}

/// The risks are made anew after twice as many requests, up to this many, and then once in so many seconds.
const MADE_UNTIL: f64 = 8000.0;
const MADE_EVERY: f64 = 3600.0;
/// Step of the forecast, seconds: shorter bursts are the queue's.
const STEP: f64 = 30.0;
/// What was too little shows for so long in requests that came later, seconds.
const GRACE: f64 = 120.0;
/// Most requests and prompt tokens a second that are believed; what says more is a broken counter.
const FASTEST: (f64, f64) = (1e6, 1e10);
/// Part of what is allowed that is planned for: counts are whole, but the future is not.
const PLANNED: f64 = 0.75;

impl Planning {
    /// A planning that has seen nothing.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.validate()?;
        let forecaster = Forecaster::new(forecasts(&settings))
            .map_err(|error| SettingsError { field: "forecast".to_owned(), problem: error.to_string() })?;
        let targets = settings.targets.len();
        Ok(Self {
            sizes: Sizes::new(settings.typical),
            risks: vec![None; targets],
            shares: Shares::default(),
            made: None,
            outlook: Outlook::default(),
            replay: None,
            counted: None,
            forecaster,
            trust: Trust::default(),
            startups: vec![Startups::default(); targets],
            last: None,
            fed: None,
            backlog_tokens: 0.0,
            wanted: vec![0; targets],
            ready: vec![0; targets],
            first_plan: None,
            reached: None,
            costs: Costs::default(),
            planned_at: None,
            recent: VecDeque::new(),
            needed: VecDeque::new(),
            settings,
        })
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes a look. Looks are in order of time; one from the past is left out.
    pub fn observe(&mut self, seen: &Seen<'_>) {
        let now = seen.now;
        let passed = now - self.last.unwrap_or(now);
        if !now.is_finite() || passed < 0.0 {
            return;
        }
        for (at, target) in seen.targets.iter().enumerate().take(self.startups.len()) {
            (self.wanted[at], self.ready[at]) = (target.wanted, target.ready);
            target.started.iter().for_each(|seconds| self.startups[at].add(*seconds));
        }
        self.sizes.add(now, seen.sizes);
        for outcome in seen.outcomes {
            self.trust.ended(outcome.arrived, outcome.ended, outcome.kept);
        }
        self.make_risks(now);
        let horizon = self.horizon();
        self.forecaster.set_horizon(horizon.max(STEP));
        let first = self.last.is_none();
        self.last = Some(now);
        let sound = |value: f64| value.is_finite() && value >= 0.0;
        let arrivals = seen.arrivals.filter(|arrivals| sound(*arrivals) && !first && passed > 0.0);
        if let Some(requests) = arrivals.map(|arrivals| arrivals / passed).filter(|rate| *rate <= FASTEST.0) {
            let input = seen.input_tokens.filter(|tokens| sound(*tokens)).map(|tokens| tokens / passed);
            let input = input.filter(|rate| *rate <= FASTEST.1);
            let flow = Flow { input: input.unwrap_or(requests * self.sizes.input()), requests };
            // What it refuses it says nothing of; the levels stand beside it.
            let _ = self.forecaster.observe(now, requests);
            let foreseen = self.settings.parts.forecast.then(|| self.forecaster.forecast(now).mean);
            if let Some(risk) = self.risks.first().and_then(Option::as_ref) {
                let work = |flow: Flow| risk.work(flow.input, flow.requests);
                self.outlook.observe(now, flow, horizon + SMOOTHED, &work, foreseen);
            }
            self.fed = Some(now);
            let levels = std::array::from_fn(|kind| self.outlook.level(kind, foreseen).unwrap_or_default());
            self.show(now, seen, Some(levels));
        } else {
            self.outlook.gap(now);
            self.show(now, seen, None);
        }
        self.backlog_tokens = if sound(seen.backlog_tokens) { seen.backlog_tokens } else { 0.0 };
        self.remember(now);
    }

    /// Shows the replay what ended, and the levels where arrivals are known.
    fn show(&mut self, now: f64, seen: &Seen<'_>, levels: Option<[Flow; KINDS]>) {
        let (Some(Some(risk)), Some(target)) = (self.risks.first(), self.settings.targets.first()) else { return };
        let parts = self.settings.parts;
        if let (None, Knowledge::Engine(engine), true) =
            (&self.replay, &target.knowledge, parts.replay && parts.quantile)
        {
            self.replay = Replay::new(engine, self.settings.objective, (target.min, target.max), now);
            if let (Some(replay), Some(counted)) = (&mut self.replay, self.counted.take()) {
                replay.resume(&counted);
            }
        }
        let (horizon, hold) = (self.horizon(), self.hold());
        let Some(replay) = &mut self.replay else { return };
        let levels = levels.filter(|_| self.outlook.is_settled());
        let levels = levels.map(|levels| levels.map(|flow| risk.work(flow.input, flow.requests)));
        let rate = self.outlook.now().requests;
        replay.observe(&Look { now, levels, rate, sizes: seen.sizes, horizon, hold });
    }

    /// Remembers the risk of now for requests that end later.
    fn remember(&mut self, now: f64) {
        let Some(risk) = self.risks.first().and_then(Option::as_ref) else { return };
        let ready = self.equivalents(&self.ready).max(1.0);
        let flow = self.outlook.now();
        let at_risk = self.at_risk(&self.ready, flow, risk);
        // A plan answers for requests once it can have been carried out for the first time, and what went before is over.
        let long = self.first_plan.is_some_and(|first| now - first > 3.0 * self.horizon());
        let measured = self.startups.iter().any(Startups::is_measured) && ready >= self.equivalents(&self.wanted);
        if self.reached.is_none() && (long || measured) {
            self.reached = Some(now);
        }
        let charged = self.reached.is_some_and(|reached| now - reached > GRACE);
        // Before any arrivals are known there is no risk to be judged by.
        if self.fed.is_some() {
            self.trust.stands(now, at_risk, charged);
        }
    }

    fn make_risks(&mut self, now: f64) {
        let total = self.sizes.total();
        let due = self.made.is_none_or(|(at, of)| {
            let more = self.sizes.enough() && total > 2.0 * of && of < MADE_UNTIL;
            more || now - at >= MADE_EVERY
        });
        if !due {
            return;
        }
        for (risk, target) in self.risks.iter_mut().zip(&self.settings.targets) {
            *risk = Risk::of(&target.knowledge, &self.settings.objective, &self.sizes).or(risk.take());
        }
        self.shares = Shares::of(&self.settings, &self.risks, &self.sizes);
        self.made = Some((now, if self.sizes.enough() { total } else { 0.0 }));
    }

    /// Seconds until a replica that is asked for now serves; of several targets the longest.
    #[must_use]
    pub fn horizon(&self) -> f64 {
        self.settings.horizon.unwrap_or_else(|| {
            let each = self.startups.iter().map(|startups| startups.typical(self.settings.startup));
            each.fold(1.0, f64::max)
        })
    }

    /// A plan; none where too little is known: no arrivals were seen yet, or nothing is known of the engine.
    pub fn plan(&mut self, now: f64) -> Option<Plan> {
        let fed = self.fed.filter(|_| now.is_finite())?;
        let passed = (now - self.planned_at.unwrap_or(now)).max(0.0);
        let first = *self.first_plan.get_or_insert(now);
        self.planned_at = Some(now);
        let free = 1.0 - self.settings.attainment;
        let (scale, allowed) =
            if self.settings.parts.calibration { (self.trust.scale(), self.trust.allowed(free)) } else { (1.0, free) };
        let forecast = self.settings.parts.forecast.then(|| self.forecaster.forecast(now));
        let mean = forecast.as_ref().map(|forecast| forecast.mean);
        let event = forecast.and_then(|forecast| forecast.event);
        let risk = self.risks.first()?.as_ref()?;
        let allowed = risk.allowing(allowed * PLANNED * self.settings.boldness).min(0.5);
        let rising = if self.settings.parts.forecast { self.outlook.rising(self.horizon()) } else { 1.0 };
        let answers = self.answers(risk, scale, allowed, mean, rising);
        self.costs.learn(&answers, passed, (now - first).max(passed).max(1e-3));
        let (kind, count) = self.costs.mixed(&answers, event.is_some())?;
        let answer = answers[kind].as_ref()?;
        let mut detail = Detail {
            now: risk.work(self.outlook.now().input, self.outlook.now().requests),
            level: answer.level,
            by: NAMES[kind],
            horizon: self.horizon(),
            allowed,
            expected: answer.expected(risk, scale, count),
            scale,
            attainment: self.trust.attainment(),
            cost: 0.0,
            event,
        };
        // What the replay adds to the formula for the first target, it adds for all.
        let demand = Demand { flow: answer.flow, ratios: &answer.ratios, scale, allowed, first: answer.formula };
        let (count, guard) = self.guarded(risk, count, allowed, scale, detail.now);
        let count = self.held(now, count, rising > 1.0);
        let counts = self.spread(count, &demand);
        let counts = self.replaced(now, counts);
        let targets = counts.iter().zip(&self.settings.targets);
        detail.cost = targets.map(|(count, target)| f64::from(*count) * target.cost).sum();
        Some(self.told(fed, &counts, &detail, guard))
    }

    /// Takes an earlier history of requests a second, in order of time, so that forecasts know it.
    pub fn warm_start(&mut self, rates: impl IntoIterator<Item = (f64, f64)>) -> usize {
        self.forecaster.warm_start(rates)
    }
}

pub(crate) fn forecasts(settings: &Settings) -> forecast::Settings {
    let horizon = settings.horizon.unwrap_or(settings.startup).max(STEP);
    forecast::Settings {
        step: STEP,
        horizon,
        season: settings.season,
        events: settings.events.clone(),
        ..forecast::Settings::default()
    }
}
