//! What a forecaster is told beforehand, and what of that is allowed.

use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Allowed lengths of a step in seconds: below, scrape jitter is all there is to see; above, a start-up is over before the next step.
pub const STEP: RangeInclusive<f64> = 1.0..=300.0;
/// The longest horizon in steps, which bounds the forecasts that wait for their outcome.
pub const MAX_HORIZON_STEPS: u32 = 360;
/// Allowed quantiles: below 0.5 a "safe" forecast would be less than the middle one, above 0.99 the reservoirs hold too few errors.
pub const QUANTILE: RangeInclusive<f64> = 0.5..=0.99;
/// Allowed own seasons in seconds: the aggregates reach back two weeks, and a season must be seen twice.
pub const SEASON: RangeInclusive<f64> = 600.0..=604_800.0;
/// At most so many events.
pub const MAX_EVENTS: usize = 256;
/// Allowed factors of an event.
pub const FACTOR: RangeInclusive<f64> = 0.01..=100.0;

/// What a forecaster is told beforehand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// Length of a step in seconds, 1 to 300.
    pub step: f64,
    /// How far ahead to look, in seconds: the time until capacity asked for now is ready. Above 0, at most 360 steps.
    pub horizon: f64,
    /// The quantile that the answer gives and that the candidates are judged at, 0.5 to 0.99.
    pub quantile: f64,
    /// A season of the load's own in seconds, 600 to 604800, beside the hour, day and week that are always tried.
    pub season: Option<f64>,
    /// Known events, at most 256; where several overlap, their factors multiply.
    pub events: Vec<Event>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { step: 10.0, horizon: 120.0, quantile: 0.9, season: None, events: Vec::new() }
    }
}

/// A known event: while it lasts, the load is `factor` times what it would be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// What to call it in explanations.
    pub name: String,
    /// When it begins, in the seconds of the observations.
    pub start: f64,
    /// When it is over (excluded).
    pub end: f64,
    /// What it multiplies the load by, 0.01 to 100.
    pub factor: f64,
}

/// A setting that is not allowed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// A number is outside its range.
    #[error("{field}: {value} is not allowed; allowed is {allowed}")]
    Range {
        /// Which setting.
        field: String,
        /// What it was.
        value: f64,
        /// What it may be.
        allowed: String,
    },
    /// Too many events.
    #[error("events: {0} are too many; at most 256 are allowed")]
    Events(usize),
}

impl Settings {
    /// These settings, or what is wrong with them.
    pub fn checked(self) -> Result<Self, SettingsError> {
        within("step", self.step, &STEP)?;
        within("horizon", self.horizon, &(f64::MIN_POSITIVE..=self.step * f64::from(MAX_HORIZON_STEPS)))?;
        within("quantile", self.quantile, &QUANTILE)?;
        if let Some(season) = self.season {
            within("season", season, &SEASON)?;
        }
        if self.events.len() > MAX_EVENTS {
            return Err(SettingsError::Events(self.events.len()));
        }
        for (index, event) in self.events.iter().enumerate() {
            within(&format!("events[{index}].factor"), event.factor, &FACTOR)?;
            within(&format!("events[{index}].start"), event.start, &(f64::MIN..=f64::MAX))?;
            within(&format!("events[{index}].end"), event.end, &(event.start..=f64::MAX))?;
        }
        Ok(self)
    }

    /// The horizon in whole steps, at least one.
    pub(crate) fn horizon_steps(&self) -> u32 {
        let steps = (self.horizon / self.step).ceil();
        (1..=MAX_HORIZON_STEPS).find(|count| f64::from(*count) >= steps).unwrap_or(MAX_HORIZON_STEPS)
    }
}

fn within(field: &str, value: f64, allowed: &RangeInclusive<f64>) -> Result<(), SettingsError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let allowed = if *allowed.start() == f64::MIN_POSITIVE {
        format!("above 0 and at most {}", allowed.end())
    } else if *allowed.end() == f64::MAX {
        if *allowed.start() == f64::MIN {
            "a finite number".to_owned()
        } else {
            format!("{} or later", allowed.start())
        }
    } else {
        format!("{} to {}", allowed.start(), allowed.end())
    };
    Err(SettingsError::Range { field: field.to_owned(), value, allowed })
}
