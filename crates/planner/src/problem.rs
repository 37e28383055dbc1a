//! What is asked, as JSON has it, and what may be asked.

use crate::profile::Profile;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A problem.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Problem {
    /// GPU types by name; those of profiles need not be named.
    #[serde(default)]
    pub gpus: BTreeMap<String, Gpu>,
    /// Most GPUs of each accelerator, which the replicas of all types that name it share; one that is not named has no limit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quota: BTreeMap<String, u32>,
    /// Share of every size, 0 to 1, that the types that are not `spot` must be able to carry alone, as if all spot replicas had
    /// been taken away at once. For this sizes may be divided at will, whatever `split` says.
    #[serde(default)]
    pub spot_reserve: f64,
    /// Sizes of requests.
    pub load: Vec<Load>,
    /// Whether a size may be shared between types.
    #[serde(default)]
    pub split: Split,
    /// What it costs to add or to take away one replica, in the unit of the types' costs.
    #[serde(default)]
    pub change_cost: f64,
    /// Most that all replicas together may cost; none is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// Seconds after which the best answer so far is given; not looked at where there is a `nodeLimit`.
    #[serde(default = "default_deadline")]
    pub deadline_seconds: f64,
    /// Nodes of the search after which the best answer so far is given: a limit that is the same on every machine, so that the answer
    /// is, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_limit: Option<u64>,
}

/// A GPU type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gpu {
    /// Cost of one replica per unit of time, at least 0.
    pub cost: f64,
    /// The model that its replicas serve; absent: that of the loads without a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What its replicas take of the `quota`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,
    /// GPUs of the accelerator that one replica takes, at least 1.
    #[serde(default = "one")]
    pub gpus_per_replica: u32,
    /// Whether its replicas may be taken away at any time (spot, preemptible instances).
    #[serde(default)]
    pub spot: bool,
    /// Fewest replicas.
    #[serde(default)]
    pub min: u32,
    /// Most replicas; as many as are needed where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Replicas that there are now; what a change is counted from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u32>,
}

impl Default for Gpu {
    fn default() -> Self {
        Self {
            cost: 0.0,
            model: None,
            accelerator: None,
            gpus_per_replica: 1,
            spot: false,
            min: 0,
            max: None,
            current: None,
        }
    }
}

/// One size of requests.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Load {
    /// The model that the requests are for: types of that model alone serve them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Prompt tokens; what profiles reckon with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<f64>,
    /// Answer tokens; the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

fn one() -> u32 {
    1
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

impl Problem {
    /// Fills in what profiles know: their types where the problem has none of the name, and the capacity of each size with
    /// token counts, of the type's model, where it has none for the type. Of several profiles of a type the newest counts.
    pub fn apply(&mut self, profiles: &[Profile]) {
        for profile in profiles {
            let newer = |other: &Profile| other.gpu == profile.gpu && other.created > profile.created;
            if profiles.iter().any(newer) {
                continue;
            }
            let gpu = Gpu { cost: profile.cost, ..Gpu::default() };
            let model = self.gpus.entry(profile.gpu.clone()).or_insert(gpu).model.clone();
            for load in self.load.iter_mut().filter(|load| load.model == model) {
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
}
