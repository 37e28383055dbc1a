//! The memory, to be saved and taken up again.

use crate::guards::Asked;
use crate::outlook::Outlook;
use crate::planning::{Planning, forecasts};
use crate::replay::{Counted, Replay};
use crate::settings::Target;
use crate::sizes::Sizes;
use crate::startup::Startups;
use crate::trust::Trust;
use forecast::Forecaster;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the form.
pub const VERSION: u32 = 2;

/// What a planning knows, without its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Version of the form.
    pub version: u32,
    pub(crate) at: f64,
    pub(crate) outlook: Outlook,
    pub(crate) trust: Trust,
    pub(crate) sizes: Sizes,
    pub(crate) startups: Vec<Startups>,
    pub(crate) forecaster: forecast::State,
    pub(crate) replay: Counted,
    /// What is held, by target's name.
    pub(crate) held: BTreeMap<String, u32>,
}

impl State {
    /// The same for other targets: what was measured of a target goes with its name.
    #[must_use]
    pub fn arranged(mut self, before: &[String], now: &[String]) -> Self {
        let known = |name: &String| {
            let at = before.iter().position(|known| known == name)?;
            self.startups.get(at).cloned()
        };
        self.startups = now.iter().map(|name| known(name).unwrap_or_default()).collect();
        self
    }
}

impl Planning {
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
            replay: self.replay.as_ref().map(Replay::counted).or_else(|| self.counted.clone()).unwrap_or_default(),
            held: self.settings.targets.iter().map(|target| target.name.clone()).zip(self.asked_for()).collect(),
        }
    }

    /// Takes up a saved memory after a break. What cannot be is not taken, and nothing changes then.
    pub fn restore(&mut self, state: State, now: f64) -> Result<(), RestoreError> {
        if state.version != VERSION {
            return Err(RestoreError::Version(state.version));
        }
        let sound =
            state.at.is_finite() && state.outlook.is_sound() && state.trust.is_sound() && state.sizes.is_sound();
        let sound = sound && state.startups.iter().all(Startups::is_sound) && state.replay.is_sound();
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
        self.replay = None;
        self.counted = Some(state.replay);
        // What was asked for before the break is held on: a restart takes nothing away.
        let held = |target: &Target| state.held.get(&target.name).copied().unwrap_or(0);
        let what = self.settings.targets.iter().map(held).collect();
        self.needed.clear();
        self.recent = [Asked { at: now, until: now + self.hold(), what }].into();
        Ok(())
    }
}

/// Why a memory was not taken up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Another version wrote it.
    #[error("it was written by version {0}")]
    Version(u32),
    /// It has numbers that cannot be.
    #[error("it holds numbers that cannot be")]
    Unsound,
}
