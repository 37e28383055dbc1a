//! One model's planning: it is shown looks, and asked for plans.

use crate::choose::{Expectation, MOST};
use crate::mix::{Demand, Shares};
use crate::outlook::{Flow, KINDS, NAMES, Outlook};
use crate::plan::{Detail, Plan};
use crate::risk::Risk;
use crate::seen::Seen;
use crate::settings::{Settings, SettingsError};
use crate::sizes::Sizes;
use crate::startup::Startups;
use crate::state::{RestoreError, State, VERSION};
use crate::trust::Trust;
use forecast::Forecaster;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

/// See the module's header.
#[derive(Debug, Clone)]
pub struct Planning {
    pub(crate) settings: Settings,
    pub(crate) sizes: Sizes,
    pub(crate) risks: Vec<Option<Risk>>,
    /// How the targets compare, as of the risks.
    pub(crate) shares: Shares,
    /// When the risks were made, and of how many requests that were seen; none before any.
    made: Option<(f64, f64)>,
    outlook: Outlook,
    forecaster: Forecaster,
    trust: Trust,
    startups: Vec<Startups>,
    /// The look before.
    last: Option<f64>,
    /// When arrivals were seen last.
    fed: Option<f64>,
    backlog_tokens: f64,
    pub(crate) wanted: Vec<u32>,
    ready: Vec<u32>,
    first_plan: Option<f64>,
    /// When all replicas that a plan had asked for served for the first time, or would have if some had been asked for.
    reached: Option<f64>,
    /// Mean replicas that each kind of level would have asked for.
    costs: [Option<f64>; KINDS],
    kind: usize,
    planned_at: Option<f64>,
    /// Plans of late, so that none takes away what one just asked for.
    recent: VecDeque<(f64, Vec<u32>)>,
}

/// The risks are made anew after twice as many requests, up to this many, and then once in so many seconds.
const MADE_UNTIL: f64 = 8000.0;
const MADE_EVERY: f64 = 3600.0;
/// Step of the forecast, seconds: shorter bursts are the queue's.
const STEP: f64 = 30.0;
/// What was too little shows for so long in requests that came later, seconds.
const GRACE: f64 = 120.0;
/// What each kind asks for is averaged over so many seconds, and another one is taken where it asks for this much less.
const JUDGED: f64 = 7200.0;
const CHEAPER: f64 = 0.98;
/// Most plans that are remembered: an hour's of one a second.
const RECENT: usize = 3600;
/// Most requests and prompt tokens a second that are believed; what says more is a broken counter.
const FASTEST: (f64, f64) = (1e6, 1e10);
/// By about so much the load of now lags behind what arrives, seconds.
const SMOOTHED: f64 = 10.0;
/// What waits when new replicas come is to be served in so many seconds.
const DRAIN: f64 = 60.0;
/// Of a start-up's work, what is taken as used: at full use nothing would ever drain.
const FULL: f64 = 0.9;
/// Fewer replicas have to carry the load of now at no more than so many times what may miss.
const NOW: f64 = 2.0;
/// No fewer may be planned to miss than so many times what misses on idle engines.
const UNAVOIDABLE: f64 = 2.0;
/// Part of what is allowed that is planned for: counts are whole, but the future is not.
const PLANNED: f64 = 0.85;

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
            costs: [None; KINDS],
            kind: 1,
            planned_at: None,
            recent: VecDeque::new(),
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
            self.trust.ended(outcome.arrived, outcome.ended, outcome.kept, 1.0 - self.settings.attainment);
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
        } else {
            self.outlook.gap(now);
        }
        self.backlog_tokens = if sound(seen.backlog_tokens) { seen.backlog_tokens } else { 0.0 };
        self.remember(now);
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
        let risk = self.risks.first()?.clone()?;
        let passed = (now - self.planned_at.unwrap_or(now)).max(0.0);
        self.planned_at = Some(now);
        let first = *self.first_plan.get_or_insert(now);
        let free = 1.0 - self.settings.attainment;
        let (scale, allowed) =
            if self.settings.parts.calibration { (self.trust.scale(), self.trust.allowed(free)) } else { (1.0, free) };
        // What misses on idle engines cannot be bought off: it is allowed, and said.
        let idle = risk.idle();
        let allowed = (allowed * PLANNED * self.settings.boldness).max(idle * UNAVOIDABLE).min(0.5);
        let forecast = self.settings.parts.forecast.then(|| self.forecaster.forecast(now));
        let mean = forecast.as_ref().map(|forecast| forecast.mean);
        let known = (now - first).max(passed).max(1e-3);
        let mut answers: [Option<(f64, u32, f64)>; KINDS] = [None; KINDS];
        for (kind, answer) in answers.iter_mut().enumerate() {
            if kind > 0 && !self.settings.parts.forecast {
                continue;
            }
            let Some(flow) = self.outlook.level(kind, mean) else { continue };
            let ratios = if self.settings.parts.quantile { self.outlook.ratios(kind) } else { vec![(1.0, 1.0)] };
            let expected = Expectation { level: risk.work(flow.input, flow.requests), ratios: &ratios, scale };
            let count = expected.fewest(&risk, allowed, MOST);
            *answer = Some((expected.level, count, expected.misses(&risk, count)));
            let share = (passed / JUDGED).max(passed / known).min(1.0);
            let cost = self.costs[kind].get_or_insert(f64::from(count));
            *cost += (f64::from(count) - *cost) * share;
        }
        let event = forecast.as_ref().and_then(|forecast| forecast.event.clone());
        self.pick(&answers, event.is_some());
        let (level, count, expected) = answers[self.kind].or(answers[0])?;
        let mut detail = Detail {
            now: risk.work(self.outlook.now().input, self.outlook.now().requests),
            level,
            by: NAMES[self.kind],
            horizon: self.horizon(),
            allowed,
            expected,
            scale,
            attainment: self.trust.attainment(),
            cost: 0.0,
            event,
        };
        let kind = if answers[self.kind].is_some() { self.kind } else { 0 };
        let ratios = if self.settings.parts.quantile { self.outlook.ratios(kind) } else { vec![(1.0, 1.0)] };
        let flow = self.outlook.level(kind, mean)?;
        let demand = Demand { flow, ratios: &ratios, scale, allowed, first: count };
        let (count, guard) = self.guarded(&risk, count, allowed, scale, detail.now);
        let counts = self.spread(count, &demand);
        let counts = self.held(now, counts);
        detail.cost =
            counts.iter().zip(&self.settings.targets).map(|(count, target)| f64::from(*count) * target.cost).sum();
        Some(self.told(fed, &counts, &detail, guard))
    }

    /// The cheapest kind of level, with a margin; while an event is near, only the forecast knows of it.
    fn pick(&mut self, answers: &[Option<(f64, u32, f64)>; KINDS], event: bool) {
        let available = |kind: &usize| answers[*kind].is_some();
        if event && available(&(KINDS - 1)) {
            self.kind = KINDS - 1;
            return;
        }
        let cost = |kind: usize| self.costs[kind].unwrap_or(f64::INFINITY);
        let cheapest = (0..KINDS).filter(available).min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
        if let Some(cheapest) = cheapest
            && (!available(&self.kind) || cost(cheapest) < cost(self.kind) * CHEAPER)
        {
            self.kind = cheapest;
        }
    }

    /// What the reactive guards add: what waits has to be served, too, and fewer replicas have to carry the load of now.
    fn guarded(&self, risk: &Risk, count: u32, allowed: f64, scale: f64, now: f64) -> (u32, Option<&'static str>) {
        let mut answer = (count, None);
        let ready = self.equivalents(&self.ready);
        let wanted = self.equivalents(&self.wanted);
        if self.settings.parts.backlog {
            let each = self.sizes.input().max(1.0);
            let waiting = risk.work(self.backlog_tokens, self.backlog_tokens / each);
            // What came in the last seconds waits in every engine; more is a queue.
            let queue = waiting - now.max(0.0) * SMOOTHED / 3.0;
            let gathered = queue + (now - FULL * ready.max(1.0)).max(0.0) * self.horizon();
            if queue > 0.0 && gathered > 0.0 {
                let needed = whole((now + gathered / DRAIN) / FULL);
                if needed > answer.0 {
                    answer = (needed, Some("what waits has to be served"));
                }
            }
        }
        if self.settings.parts.consolidation && f64::from(answer.0) < wanted {
            let expected = Expectation { level: now, ratios: &[(1.0, 1.0)], scale };
            let least = expected.fewest(risk, (allowed * NOW).min(0.5), MOST).min(whole(wanted));
            if least > answer.0 {
                answer = (least, Some("fewer would not carry the load of now"));
            }
        }
        answer
    }

    /// No plan takes away what one asked for within a start-up: what is let go now could not be had back sooner.
    fn held(&mut self, now: f64, counts: Vec<u32>) -> Vec<u32> {
        let window = self.horizon();
        self.recent.push_back((now, counts));
        // A clock that went back leaves plans of the future behind.
        self.recent.retain(|(at, _)| (now - window..=now).contains(at));
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        let targets = self.settings.targets.len();
        let highest =
            |at: usize| self.recent.iter().filter_map(|(_, counts)| counts.get(at)).max().copied().unwrap_or(0);
        (0..targets).map(highest).collect()
    }

    fn told(&self, made_at: f64, counts: &[u32], detail: &Detail, guard: Option<&'static str>) -> Plan {
        let mut plan = Plan { made_at, replicas: BTreeMap::new(), why: BTreeMap::new(), detail: detail.clone() };
        for (at, (count, target)) in counts.iter().zip(&self.settings.targets).enumerate() {
            let Detail { level, by, horizon, allowed, expected, scale, .. } = detail;
            let mut why = format!(
                "load {level:.2} by {by}, {horizon:.0} s ahead: {:.2} % expected to miss of {:.2} % allowed, model x{scale:.2}",
                expected * 100.0,
                allowed * 100.0
            );
            if let Some(attainment) = detail.attainment {
                let _ = write!(why, ", {:.2} % kept so far", attainment * 100.0);
            }
            if let Some(event) = &detail.event {
                let _ = write!(why, ", event {event}");
            }
            if let Some(guard) = guard {
                let _ = write!(why, "; {guard}");
            }
            if let Some(share) = self.left_out(at) {
                let _ = write!(why, "; left out: it cannot serve {:.2} % of the requests", share * 100.0);
            }
            plan.replicas.insert(target.name.clone(), *count);
            plan.why.insert(target.name.clone(), why);
        }
        plan
    }

    /// Takes an earlier history of requests a second, in order of time, so that forecasts know it.
    pub fn warm_start(&mut self, rates: impl IntoIterator<Item = (f64, f64)>) -> usize {
        self.forecaster.warm_start(rates)
    }

    /// What to save.
    pub fn state(&self) -> State {
        State {
            version: VERSION,
            at: self.last.unwrap_or(0.0),
            outlook: self.outlook.clone(),
            trust: self.trust.clone(),
            sizes: self.sizes.clone(),
            startups: self.startups.clone(),
            forecaster: self.forecaster.state(),
        }
    }

    /// Takes up a saved memory after a break. What cannot be is not taken, and nothing changes then.
    pub fn restore(&mut self, state: State, now: f64) -> Result<(), RestoreError> {
        if state.version != VERSION {
            return Err(RestoreError::Version(state.version));
        }
        let sound =
            state.at.is_finite() && state.outlook.is_sound() && state.trust.is_sound() && state.sizes.is_sound();
        let sound = sound && state.startups.iter().all(Startups::is_sound);
        if !sound || state.startups.len() != self.startups.len() {
            return Err(RestoreError::Unsound);
        }
        let forecaster =
            Forecaster::restore(forecasts(&self.settings), state.forecaster).map_err(|_| RestoreError::Unsound)?;
        self.forecaster = forecaster;
        (self.outlook, self.trust, self.sizes, self.startups) =
            (state.outlook, state.trust, state.sizes, state.startups);
        self.outlook.resume(now);
        self.trust.resume();
        (self.made, self.last, self.fed) = (None, None, None);
        Ok(())
    }
}

fn forecasts(settings: &Settings) -> forecast::Settings {
    let horizon = settings.horizon.unwrap_or(settings.startup).max(STEP);
    forecast::Settings {
        step: STEP,
        horizon,
        season: settings.season,
        events: settings.events.clone(),
        ..forecast::Settings::default()
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn whole(count: f64) -> u32 {
    (count - 1e-9).ceil().max(0.0) as u32
}
