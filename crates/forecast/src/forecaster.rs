//! The forecaster: observations in, forecasts out.

use crate::answer::{Candidate, Forecast};
use crate::settings::{Settings, SettingsError};
use serde::{Deserialize, Serialize};

/// The version of the saved form; a state of another version is not used.
pub const VERSION: u32 = 1;

/// Why an observation was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The value is not a number, infinite or negative. It leaves a gap.
    #[error("the value is not a finite number of 0 or more")]
    Value,
    /// The time is not a number or out of all proportion.
    #[error("the time is not a finite number of seconds within 1e12 of zero")]
    Time,
    /// The step is over already.
    #[error("the step is over already: observations come in the order of time")]
    Late,
}

/// Why a saved state was not used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RestoreError {
    /// Another version saved it.
    #[error("state: version {0} is not known; known is 1")]
    Version(u32),
    /// A part is broken.
    #[error("state: {0}")]
    Broken(&'static str),
    /// The settings are not allowed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// What a forecaster remembers, to be saved and restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    version: u32,
    last: Option<(f64, f64)>,
}

/// Forecasts one load.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecaster {
    settings: Settings,
    last: Option<(f64, f64)>,
}

impl Forecaster {
    /// A forecaster that has seen nothing.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self { settings: settings.checked()?, last: None })
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes the mean load of a step; several observations of one step are averaged.
    pub fn observe(&mut self, at: f64, value: f64) -> Result<(), Refused> {
        if !(value.is_finite() && value >= 0.0) {
            return Err(Refused::Value);
        }
        if !(at.is_finite() && at.abs() < 1e12) {
            return Err(Refused::Time);
        }
        if self.last.is_some_and(|(last, _)| at < last) {
            return Err(Refused::Late);
        }
        self.last = Some((at, value));
        Ok(())
    }

    /// Takes an earlier history in the order of time (a recording, a query of the past); how many were taken.
    pub fn warm_start(&mut self, values: impl IntoIterator<Item = (f64, f64)>) -> usize {
        values.into_iter().filter(|(at, value)| self.observe(*at, *value).is_ok()).count()
    }

    /// Follows the measured start-up time. Not a number or 0 and below is ignored; longer than 360 steps counts as that.
    pub fn set_horizon(&mut self, seconds: f64) {
        if seconds.is_finite() && seconds > 0.0 {
            self.settings.horizon = seconds.min(self.settings.step * f64::from(crate::settings::MAX_HORIZON_STEPS));
        }
    }

    /// Takes other settings and keeps the history.
    pub fn configure(&mut self, settings: Settings) -> Result<(), SettingsError> {
        self.settings = settings.checked()?;
        Ok(())
    }

    /// What to expect one horizon after `now`.
    pub fn forecast(&self, now: f64) -> Forecast {
        let value = self.last.map_or(0.0, |(_, value)| value);
        let bound = value + 2.0 * (value / self.settings.step).sqrt();
        Forecast {
            at: now,
            horizon: self.settings.horizon,
            quantile: self.settings.quantile,
            mean: value,
            at_horizon: bound,
            peak_until_horizon: bound,
            chosen: if self.last.is_some() { "persistence" } else { "none" },
            why: "too little history: the last value and head-room".to_owned(),
            candidates: Vec::<Candidate>::new(),
            enough: false,
            event: None,
            age: self.last.map(|(at, _)| now - at),
        }
    }

    /// What to save. A restored state forecasts as this one would.
    pub fn state(&self) -> State {
        State { version: VERSION, last: self.last }
    }

    /// A forecaster from a saved state.
    pub fn restore(settings: Settings, state: State) -> Result<Self, RestoreError> {
        if state.version != VERSION {
            return Err(RestoreError::Version(state.version));
        }
        Ok(Self { settings: settings.checked()?, last: state.last })
    }
}
