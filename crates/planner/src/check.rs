//! What may be asked: every number of a problem within its range, every name known.

use crate::problem::{Problem, ProblemError, Split};

/// Largest numbers of types, sizes and slices: far beyond any fleet, and bounded so that a typing error does not fill the memory.
const MAX_TYPES: usize = 100;
const MAX_SIZES: usize = 10_000;
const MAX_SLICES: u32 = 1000;
/// GPUs of one replica.
const MAX_GPUS: u32 = 10_000;
/// Largest and smallest rate, capacity and cost.
const MOST: f64 = 1e9;

impl Problem {
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
            if gpu.gpus_per_replica == 0 || gpu.gpus_per_replica > MAX_GPUS {
                let message = format!("is {}; allowed: 1 to {MAX_GPUS}", gpu.gpus_per_replica);
                return Err(wrong(&format!("gpus.{name}.gpusPerReplica"), message));
            }
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
            let other = |(name, capacity): &(&String, &f64)| {
                **capacity > 0.0 && self.gpus.get(*name).is_some_and(|gpu| gpu.model != load.model)
            };
            if let Some((name, _)) = load.capacity.iter().find(other) {
                let said = |model: Option<&String>| model.map_or("no model".to_owned(), |name| format!("model {name}"));
                let type_model = said(self.gpus.get(name).and_then(|gpu| gpu.model.as_ref()));
                let message =
                    format!("the load is of {}, the type of {type_model}; allowed: 0", said(load.model.as_ref()));
                return Err(wrong(&format!("load[{at}].capacity.{name}"), message));
            }
        }
        if let Split::Slices(slices) = self.split
            && (slices == 0 || slices > MAX_SLICES)
        {
            return Err(wrong("split.slices", format!("is {slices}; allowed: 1 to {MAX_SLICES}")));
        }
        for accelerator in self.quota.keys() {
            if !self.gpus.values().any(|gpu| gpu.accelerator.as_ref() == Some(accelerator)) {
                return Err(wrong(&format!("quota.{accelerator}"), "no type has this accelerator".to_owned()));
            }
        }
        if !(0.0..=1.0).contains(&self.spot_reserve) {
            return Err(wrong("spotReserve", format!("is {}; allowed: 0 to 1", self.spot_reserve)));
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
