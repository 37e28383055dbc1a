//! What is saved of a forecaster, and whether what is restored is that.

use crate::backtest::Backtest;
use crate::history::History;
use crate::number::{narrow, sound_index, sound_load};
use crate::settings::SettingsError;
use serde::{Deserialize, Serialize};

/// Times are within so many seconds of zero, so that steps can be counted.
pub(crate) const LATEST: f64 = 1e12;

/// The version of the saved form; a state of another version is not used.
pub const VERSION: u32 = 1;

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

/// What a forecaster remembers, to be saved and restored: 8640 steps, 4320 aggregates, and for each of 14 candidates two times 360
/// errors and at most 360 forecasts that wait for their outcome. As JSON below 256 KiB to a horizon of 30 steps, and below 640 KiB to
/// the longest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub(crate) version: u32,
    pub(crate) history: History,
    pub(crate) backtest: Backtest,
    pub(crate) open: Option<Open>,
    pub(crate) latest: Option<f64>,
}

/// The step that may get more observations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) index: i64,
    pub(crate) sum: f64,
    pub(crate) count: u32,
}

impl Open {
    /// The mean as the history will have it, so that a test of the history repeats the original bit by bit.
    pub(crate) fn mean(self) -> f64 {
        f64::from(narrow(self.sum / f64::from(self.count.max(1))))
    }
}

impl State {
    /// This state, made usable, or what is wrong with it.
    pub(crate) fn checked(mut self) -> Result<Self, RestoreError> {
        let Self { version, history, backtest, open, latest } = &mut self;
        if *version != VERSION {
            return Err(RestoreError::Version(*version));
        }
        if !history.sound() {
            return Err(RestoreError::Broken("history: numbers or lengths that no history has"));
        }
        if !backtest.revive() {
            return Err(RestoreError::Broken("backtest: numbers or lengths that no back-test has"));
        }
        if open.is_some_and(|open| !sound_load(open.sum) || !sound_index(open.index) || open.count > 1000)
            || !latest.is_none_or(|latest| latest.abs() < LATEST)
        {
            return Err(RestoreError::Broken("open: numbers that no step has"));
        }
        Ok(self)
    }
}
