//! The memory, to be saved and taken up again.

use crate::outlook::Outlook;
use crate::sizes::Sizes;
use crate::startup::Startups;
use crate::trust::Trust;
use serde::{Deserialize, Serialize};

/// Version of the form.
pub const VERSION: u32 = 1;

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
