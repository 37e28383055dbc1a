//! What is asked, as JSON has it, and what may be asked.

use crate::profile::Profile;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A problem.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Problem {
    /// GPU types by name; those of profiles need not be named.
    #[serde(default)]
    pub gpus: BTreeMap<String, Gpu>,
    /// Sizes of requests.
    pub load: Vec<Load>,
    /// Whether a size may be shared between types.
    #[serde(default)]
    pub split: Split,
    /// What it costs to add or to take away one replica, in the unit of the types' costs.
    #[serde(default)]
    pub change_cost: f64,
    /// Most that all replicas together may cost; none is no limit.
    #[serde(default)]
    pub budget: Option<f64>,
    /// Seconds after which the best answer so far is given.
    #[serde(default = "default_deadline")]
    pub deadline_seconds: f64,
    /// Nodes of the search after which the best answer so far is given: a limit that is the same on every machine.
    #[serde(default)]
    pub node_limit: Option<u64>,
}

/// A GPU type.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gpu {
    /// Cost of one replica per unit of time, at least 0.
    pub cost: f64,
    /// Fewest replicas.
    #[serde(default)]
    pub min: u32,
    /// Most replicas; as many as are needed where absent.
    #[serde(default)]
    pub max: Option<u32>,
    /// Replicas that there are now; what a change is counted from.
    #[serde(default)]
    pub current: Option<u32>,
}

/// One size of requests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Load {
    /// Prompt tokens; what profiles reckon with.
    #[serde(default)]
    pub input: Option<f64>,
    /// Answer tokens; the same.
    #[serde(default)]
    pub output: Option<f64>,
    /// Requests a second, at least 0.
    pub rate: f64,
    /// Higher goes first where not all can be served.
    #[serde(default)]
    pub priority: i32,
    /// Requests of this size a second that one replica of a type sustains within the SLO; 0 or absent: it cannot serve them.
    #[serde(default)]
    pub capacity: BTreeMap<String, f64>,
}

/// Whether a size may be shared between types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Split {
    /// In any shares: a router that divides a size is at hand.
    #[default]
    Fractional,
    /// In so many equal slices, each wholly on one type (Mélange's form).
    Slices(u32),
}

fn default_deadline() -> f64 {
    10.0
}

/// What cannot be asked; the path is that of the JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ProblemError {
    /// The field.
    pub path: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// Largest numbers of types, sizes and slices: far beyond any fleet, and bounded so that a typing error does not fill the memory.
const MAX_TYPES: usize = 100;
const MAX_SIZES: usize = 10_000;
const MAX_SLICES: u32 = 1000;
/// Largest and smallest rate, capacity and cost.
const MOST: f64 = 1e9;

impl Problem {
    /// Fills in what profiles know: their types where the problem has none of the name, and the capacity of each size with
    /// token counts where it has none for the type. Of several profiles of a type the newest counts.
    pub fn apply(&mut self, profiles: &[Profile]) {
        for profile in profiles {
            let newer = |other: &Profile| other.gpu == profile.gpu && other.created > profile.created;
            if profiles.iter().any(newer) {
                continue;
            }
            let gpu = Gpu { cost: profile.cost, min: 0, max: None, current: None };
            self.gpus.entry(profile.gpu.clone()).or_insert(gpu);
            for load in &mut self.load {
                if let Some((input, output)) = load.input.zip(load.output) {
                    let known = load.capacity.entry(profile.gpu.clone());
                    known.or_insert_with(|| profile.capacity(input, output));
                }
            }
        }
    }

    /// Reads a problem from JSON; [`Problem::validate`] checks it, which [`crate::solve`] does, too.
    pub fn from_json(text: &str) -> Result<Self, ProblemError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let problem: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| ProblemError {
            path: Some(error.path().to_string()).filter(|path| path != ".").unwrap_or_else(|| "input".to_owned()),
            message: error.inner().to_string(),
        })?;
        Ok(problem)
    }

    /// Checks every number; names the first that cannot be.
    pub fn validate(&self) -> Result<(), ProblemError> {
        if self.gpus.is_empty() || self.gpus.len() > MAX_TYPES {
            return Err(wrong("gpus", format!("{} types; allowed: 1 to {MAX_TYPES}", self.gpus.len())));
        }
        if self.load.len() > MAX_SIZES {
            return Err(wrong("load", format!("{} sizes; allowed: at most {MAX_SIZES}", self.load.len())));
        }
        for (name, gpu) in &self.gpus {
            number(&format!("gpus.{name}.cost"), gpu.cost)?;
            if gpu.max.is_some_and(|max| max < gpu.min) {
                return Err(wrong(&format!("gpus.{name}.max"), format!("is below min, which is {}", gpu.min)));
            }
        }
        for (at, load) in self.load.iter().enumerate() {
            number(&format!("load[{at}].rate"), load.rate)?;
            for (name, capacity) in &load.capacity {
                number(&format!("load[{at}].capacity.{name}"), *capacity)?;
                if !self.gpus.contains_key(name) {
                    let known: Vec<&str> = self.gpus.keys().map(String::as_str).collect();
                    let message = format!("no such type (allowed: {})", known.join(", "));
                    return Err(wrong(&format!("load[{at}].capacity.{name}"), message));
                }
            }
        }
        if let Split::Slices(slices) = self.split
            && (slices == 0 || slices > MAX_SLICES)
        {
            return Err(wrong("split.slices", format!("is {slices}; allowed: 1 to {MAX_SLICES}")));
        }
        number("changeCost", self.change_cost)?;
        number("deadlineSeconds", self.deadline_seconds)?;
        self.budget.map_or(Ok(()), |budget| number("budget", budget))
    }
}

fn wrong(path: &str, message: String) -> ProblemError {
    ProblemError { path: path.to_owned(), message }
}

fn number(path: &str, value: f64) -> Result<(), ProblemError> {
    if value.is_finite() && (0.0..=MOST).contains(&value) {
        return Ok(());
    }
    Err(wrong(path, format!("is {value}; allowed: a number from 0 to {MOST:e}")))
}
