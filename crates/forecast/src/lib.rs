//! Forecasts of a load for an autoscaler: quantiles, not means, by whichever forecaster has lately been right about this load.
//!
//! A [`Forecaster`] is shown the mean of each step ([`Forecaster::observe`]) and says what to expect one start-up from now
//! ([`Forecaster::forecast`]). Several candidates are back-tested online at that horizon with the pinball loss, and the answer says
//! which one was chosen and why. Pure: times are arguments, nothing is random, and the same calls give the same answers bit by bit.
//! Must not know what the load is, nor replicas, manifests or clocks.

mod answer;
mod backtest;
mod candidates;
mod errors;
mod events;
mod forecaster;
mod history;
mod number;
mod settings;
mod state;

pub use answer::{Candidate, Forecast};
pub use forecaster::{Forecaster, Refused};
pub use settings::{Event, FACTOR, MAX_EVENTS, MAX_HORIZON_STEPS, QUANTILE, SEASON, STEP, Settings, SettingsError};
pub use state::{RestoreError, State, VERSION};
