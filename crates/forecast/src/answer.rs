//! What a forecaster answers, and the account of how it came to it.

use serde::Serialize;

/// What to expect one horizon from now. All loads are in the unit of the observations, finite and never negative.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// When it was made, in the seconds of the observations.
    pub at: f64,
    /// How far ahead it looks, in seconds.
    pub horizon: f64,
    /// The quantile that the two bounds below are meant to be.
    pub quantile: f64,
    /// The chosen candidate's own forecast for the step at the horizon. Of use for display, not for sizing.
    pub mean: f64,
    /// The quantile of the load of the one step at the horizon. This is what capacity asked for **now** will have to carry when it is
    /// ready: size new capacity by it.
    pub at_horizon: f64,
    /// The quantile of the **highest** step between now and the horizon. Nothing that is asked for now helps before the horizon, so
    /// this is what the capacity that exists must hold: give nothing away that it needs. Never below `at_horizon`.
    pub peak_until_horizon: f64,
    /// The candidate that was chosen, `none` where nothing was ever observed.
    pub chosen: &'static str,
    /// One sentence on why, with the losses.
    pub why: String,
    /// All candidates with something to say, in a fixed order.
    pub candidates: Vec<Candidate>,
    /// Whether the back-test has seen enough to be believed. If not, the answer is the last value and head-room.
    pub enough: bool,
    /// The events that are part of the answer, joined by commas.
    pub event: Option<String>,
    /// Seconds since the last observation; nothing where there was none.
    pub age: Option<f64>,
}

/// How one candidate did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Its name.
    pub name: &'static str,
    /// What it expects of the step at the horizon, events aside.
    pub mean: f64,
    /// Its quantile for that step, events aside, once it has errors enough.
    pub bound: Option<f64>,
    /// Its mean pinball loss at the horizon, in units of the load, older errors counting less; nothing before the first outcome.
    pub loss: Option<f64>,
    /// Its weight in the blend, 0 to 1.
    pub weight: f64,
    /// The share of outcomes at or below its quantile, older ones counting less.
    pub coverage: Option<f64>,
    /// Whether it may be chosen now.
    pub admitted: bool,
}
