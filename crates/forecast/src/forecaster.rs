//! The forecaster: observations in, forecasts out.

use crate::answer::{Candidate, Forecast};
use crate::backtest::{Backtest, Track};
use crate::candidates::{Models, NAMES, PERSISTENCE, Point, QUICK};
use crate::events::{factor_at, highest_factor, names};
use crate::history::History;
use crate::number::{LARGEST_LOAD, index_of, normal_quantile};
use crate::settings::{MAX_HORIZON_STEPS, Settings, SettingsError};
use crate::state::{LATEST, Open, RestoreError, State, VERSION};

/// The measured horizon may differ from the one that is back-tested by this share, or a step, before all is tested anew: a start-up
/// that takes 118 s and then 122 s is no reason to.
const HORIZON_SLACK: f64 = 0.1;
/// With too little history, the last value is raised by this factor, and by the noise of requests that come by chance.
const HEADROOM: f64 = 1.2;
/// Such noise has this many times the standard deviation of a Poisson process: real arrivals come in bursts.
const BURSTINESS: f64 = 2.0;
/// Steps in a row above the bound are taken for a jump where chance would do that no oftener than this: about once a day of 10 s.
const CHANCE: f64 = 1e-4;
/// An observation older than this many horizons, and than this many steps, is not a basis for bounds that were learnt at one horizon.
const STALE_HORIZONS: i64 = 2;
const STALE_STEPS: i64 = 30;

/// Why an observation was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The value is not a number, negative, or beyond 1e35. It leaves a gap.
    #[error("the value is not a number from 0 to 1e35")]
    Value,
    /// The time is not a number or out of all proportion.
    #[error("the time is not a finite number of seconds within 1e12 of zero")]
    Time,
    /// The step is over already.
    #[error("the step is over already: observations come in the order of time")]
    Late,
}

/// Forecasts one load.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecaster {
    settings: Settings,
    history: History,
    backtest: Backtest,
    open: Option<Open>,
    latest: Option<f64>,
}

impl Forecaster {
    /// A forecaster that has seen nothing.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let settings = settings.checked()?;
        let (history, backtest) = (History::new(settings.step), Backtest::new(&settings));
        Ok(Self { settings, history, backtest, open: None, latest: None })
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes the mean load of a step, `at` being any time in it; several observations of one step are averaged. A step without any
    /// is a gap. What is refused changes nothing.
    pub fn observe(&mut self, at: f64, value: f64) -> Result<(), Refused> {
        if !(0.0..=LARGEST_LOAD).contains(&value) {
            return Err(Refused::Value);
        }
        if !(at.is_finite() && at.abs() < LATEST) {
            return Err(Refused::Time);
        }
        let index = index_of(at, self.settings.step);
        let value = (value / factor_at(&self.settings.events, at)).min(LARGEST_LOAD);
        match self.open {
            Some(open) if index < open.index => return Err(Refused::Late),
            Some(open) if index == open.index => {
                // a thousand observations of one step say what it is
                if open.count < 1000 {
                    self.open = Some(Open { sum: open.sum + value, count: open.count + 1, ..open });
                }
            }
            open => {
                if let Some(over) = open {
                    self.close(over);
                }
                self.open = Some(Open { index, sum: value, count: 1 });
            }
        }
        self.latest = Some(self.latest.map_or(at, |latest| latest.max(at)));
        Ok(())
    }

    fn close(&mut self, over: Open) {
        self.history.push(over.index, over.mean());
        self.backtest.step(&self.history, over.index, over.mean());
    }

    /// Takes an earlier history in the order of time (a recording, a query of the past); how many were taken. What is later than
    /// what was observed already is needed for the rest to count, so warm up first and observe then.
    pub fn warm_start(&mut self, values: impl IntoIterator<Item = (f64, f64)>) -> usize {
        values.into_iter().filter(|(at, value)| self.observe(*at, *value).is_ok()).count()
    }

    /// Follows the measured start-up time. What is not a number, or 0 and below, is ignored; longer than 360 steps counts as that.
    /// Errors are kept where the change is below a tenth or a step; else the kept history is tested anew at the new horizon.
    pub fn set_horizon(&mut self, seconds: f64) {
        if seconds.is_finite() && seconds > 0.0 {
            self.settings.horizon = seconds.min(self.settings.step * f64::from(MAX_HORIZON_STEPS));
            self.retest();
        }
    }

    /// Takes other settings and keeps the history. Another step, quantile or season has the kept history tested anew.
    pub fn configure(&mut self, settings: Settings) -> Result<(), SettingsError> {
        let settings = settings.checked()?;
        if settings.step != self.settings.step {
            if let Some(over) = self.open.take() {
                self.close(over);
            }
            self.history = self.history.restep(settings.step);
            self.backtest = Backtest::replay(&settings, &self.history);
        }
        self.settings = settings;
        self.retest();
        Ok(())
    }

    fn retest(&mut self) {
        let (wanted, tested) = (f64::from(self.settings.horizon_steps()), f64::from(self.backtest.ahead));
        let same = self.backtest.quantile == self.settings.quantile && self.backtest.season == self.settings.season;
        if !same || (wanted - tested).abs() > (tested * HORIZON_SLACK).max(1.0) {
            self.backtest = Backtest::replay(&self.settings, &self.history);
        }
    }

    /// What to expect one horizon after `now`.
    pub fn forecast(&self, now: f64) -> Forecast {
        let now = if now.is_finite() { now.clamp(-LATEST, LATEST) } else { self.latest.unwrap_or(0.0) };
        let mut models = self.backtest.models.clone();
        if let Some(open) = self.open {
            models.absorb(open.index, open.mean());
        }
        let view = self.view(now, &models);
        let (from, to) = (now, now + self.settings.horizon);
        let step = self.settings.step;
        let events = &self.settings.events;
        let at_horizon = view.at_horizon * highest_factor(events, to, to + step);
        let peak = view.peak * highest_factor(events, from, to);
        Forecast {
            at: now,
            horizon: self.settings.horizon,
            quantile: self.settings.quantile,
            mean: view.mean * factor_at(events, to),
            at_horizon,
            peak_until_horizon: peak.max(at_horizon),
            chosen: if models.last().is_some() { NAMES[view.chosen] } else { "none" },
            candidates: self.candidates(&view, models.floor()),
            why: view.why,
            enough: view.enough,
            event: names(events, from, to + step),
            age: self.latest.map(|latest| (now - latest).max(0.0)),
        }
    }

    fn candidates(&self, view: &View, floor: f64) -> Vec<Candidate> {
        let weights = self.backtest.weights(&self.history, view.index);
        let candidate = |(index, (point, track)): (usize, (&Option<Point>, &Track))| {
            let point = (*point)?;
            Some(Candidate {
                name: NAMES[index],
                mean: point.at,
                bound: track.bounds(point, floor, self.backtest.quantile).0,
                loss: track.loss(),
                weight: weights.get(index).copied().unwrap_or(0.0),
                coverage: track.coverage(),
                admitted: self.backtest.admitted(&self.history, index, view.index),
            })
        };
        view.points.iter().zip(&self.backtest.tracks).enumerate().filter_map(candidate).collect()
    }

    /// The forecast before events: the chosen candidate's, or the last value and head-room.
    fn view(&self, now: f64, models: &Models) -> View {
        let backtest = &self.backtest;
        let Some((index, last)) = models.last() else { return View::nothing() };
        let target = index_of(now + self.settings.horizon, self.settings.step);
        let behind = (target - index - i64::from(self.settings.horizon_steps())).max(0);
        let ahead = u32::try_from((target - index).max(1)).unwrap_or(u32::MAX);
        let stale = behind > (STALE_HORIZONS * i64::from(self.settings.horizon_steps())).max(STALE_STEPS);
        let points = backtest.points(&self.history, models, ahead.min(MAX_HORIZON_STEPS));
        let careful = |why: String| {
            let (at_horizon, peak) = self.headroom(last, ahead);
            View { index, points, chosen: PERSISTENCE, mean: last, at_horizon, peak, enough: false, why }
        };
        if index > index_of(now, self.settings.step) + STALE_STEPS {
            return careful("the last observation is later than now: the last value and head-room".to_owned());
        }
        if stale {
            return careful(format!("the last observation is {behind} steps old: the last value and head-room"));
        }
        let chosen = if points[backtest.chosen].is_some() { backtest.chosen } else { PERSISTENCE };
        let Some((mean, at_horizon, peak)) = self.bounds(&points, chosen, models.floor()) else {
            return careful("too little history: the last value and head-room".to_owned());
        };
        let surge = self.surges(index, last, at_horizon).then(|| self.bounds(&points, QUICK, models.floor())).flatten();
        if let Some((mean, quick, quick_peak)) = surge.filter(|(_, quick, _)| *quick > at_horizon) {
            let (chosen, peak) = (QUICK, quick_peak.max(peak));
            let why = format!(
                "the last {} steps were above what {} allows for; {}",
                self.surge(),
                NAMES[backtest.chosen],
                self.why(QUICK)
            );
            return View { index, points, chosen, mean, at_horizon: quick, peak, enough: true, why };
        }
        View { index, points, chosen, mean, at_horizon, peak, enough: true, why: self.why(chosen) }
    }

    /// What a candidate expects, and its two bounds, once it has errors enough.
    fn bounds(&self, points: &[Option<Point>; NAMES.len()], candidate: usize, floor: f64) -> Option<(f64, f64, f64)> {
        let (point, track) = (points[candidate]?, &self.backtest.tracks[candidate]);
        let (at_horizon, peak) = track.bounds(point, floor, self.backtest.quantile);
        track.enough(self.backtest.quantile).then_some((point.at, at_horizon?, peak?))
    }

    /// So many steps in a row above the bound are a jump: 4 at the 0.9 quantile, 14 at the middle.
    fn surge(&self) -> i64 {
        let chance = |steps: i32| (1.0 - self.backtest.quantile).powi(steps);
        (2..14).find(|steps| chance(*steps) < 1.001 * CHANCE).map_or(14, i64::from)
    }

    /// Whether the latest steps, none missing, are all above `bound`: the load has jumped, and a slow candidate that was right about
    /// the past would be believed for as long as it takes its loss to show.
    fn surges(&self, index: i64, last: f64, bound: f64) -> bool {
        last > bound
            && (1..self.surge()).all(|back| self.history.fine.get(index - back).is_some_and(|load| load > bound))
    }

    /// Without errors to learn from: the last value, a stated factor, and the noise of requests that come by chance, whose standard
    /// deviation over a step is √(rate/step) where the load is requests per second.
    fn headroom(&self, last: f64, ahead: u32) -> (f64, f64) {
        let noise = BURSTINESS * (last / self.settings.step).sqrt();
        let quantile = self.settings.quantile;
        // the highest of n independent steps stays below the q^(1/n) quantile of one with probability q
        let highest = quantile.powf(1.0 / f64::from(ahead));
        (HEADROOM * last + normal_quantile(quantile) * noise, HEADROOM * last + normal_quantile(highest) * noise)
    }

    fn why(&self, chosen: usize) -> String {
        let backtest = &self.backtest;
        let loss = |index: usize| backtest.tracks[index].loss();
        let Some(own) = loss(chosen) else { return format!("{}: not judged yet", NAMES[chosen]) };
        let others = (0..NAMES.len()).filter(|index| *index != chosen);
        let next = others.filter_map(|index| Some((NAMES[index], loss(index)?)));
        let next = next.min_by(|one, other| one.1.total_cmp(&other.1));
        let against = loss(PERSISTENCE).filter(|base| *base > 0.0 && chosen != PERSISTENCE);
        let against = against.map_or(String::new(), |base| format!(", {:.2} of persistence's", own / base));
        let next = next.map_or(String::new(), |(name, loss)| format!("; next is {name} with {loss:.4}"));
        format!(
            "{}: pinball loss {own:.4} at quantile {} and {:.0} s{against}{next}",
            NAMES[chosen],
            backtest.quantile,
            f64::from(backtest.ahead) * self.settings.step
        )
    }

    /// What to save. A restored state forecasts as this one would.
    pub fn state(&self) -> State {
        State {
            version: VERSION,
            history: self.history.clone(),
            backtest: self.backtest.clone(),
            open: self.open,
            latest: self.latest,
        }
    }

    /// A forecaster from a saved state. Its age needs no mention: the time until the next observation is a gap. Where the settings
    /// are not those it was saved under, it is [configured](Self::configure).
    pub fn restore(settings: Settings, state: State) -> Result<Self, RestoreError> {
        let State { history, backtest, open, latest, .. } = state.checked()?;
        let saved = Settings { step: history.step, ..settings.clone().checked()? };
        let mut restored = Self { settings: saved, history, backtest, open, latest };
        restored.configure(settings)?;
        Ok(restored)
    }
}

/// A forecast before events.
struct View {
    index: i64,
    points: [Option<Point>; NAMES.len()],
    chosen: usize,
    mean: f64,
    at_horizon: f64,
    peak: f64,
    enough: bool,
    why: String,
}

impl View {
    fn nothing() -> Self {
        Self {
            index: 0,
            points: [None; NAMES.len()],
            chosen: PERSISTENCE,
            mean: 0.0,
            at_horizon: 0.0,
            peak: 0.0,
            enough: false,
            why: "nothing was observed yet".to_owned(),
        }
    }
}
