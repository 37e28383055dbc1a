//! The file: AIBrix's profile (`aibrix_gen_profile`), and what it has no place for in fields that AIBrix does not read.

use crate::slo::{self, Slo};
use crate::stats::Stat;
use crate::sweep::{Found, Sweep};
use serde::Serialize;

/// A profile. Tables have a row for each answer size and a column for each prompt size; 0 where nothing is carried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GpuProfile {
    /// The type's name; AIBrix wants the Deployment's here.
    pub gpu: String,
    /// Cost of one replica per unit of time.
    pub cost: f64,
    /// Requests a second within the SLO.
    pub tputs: Vec<Vec<f64>>,
    /// Answer sizes, then prompt sizes.
    pub indexes: [Vec<u32>; 2],
    /// When it was made, Unix seconds.
    pub created: f64,
    /// Mean seconds from arrival to end, at that rate; where it is 0, of one request at a time, or 0 where none was sent.
    pub e2e: Vec<Vec<f64>>,
    /// Mean seconds to the first token.
    pub ttft: Vec<Vec<f64>>,
    /// Mean seconds per token after the first.
    pub tpot: Vec<Vec<f64>>,
    pub(crate) slos: slo::Written,
    /// Where the numbers come from, where they were not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The cells that carry nothing, and those of which only a lower bound is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// What there is to say of a cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Note {
    /// Prompt tokens.
    pub input: u32,
    /// Answer tokens.
    pub output: u32,
    /// What.
    pub note: String,
}

impl GpuProfile {
    /// Of a walk that is done; cells that are not count as 0. `created` is 0: the caller knows the time.
    #[must_use]
    pub fn of(sweep: &Sweep, gpu: &str, cost: f64) -> Self {
        let plan = sweep.plan();
        let columns = plan.inputs.len().max(1);
        let table = |of: &dyn Fn(&Found) -> f64| {
            let mut cells: Vec<f64> = sweep.found().iter().map(of).collect();
            cells.resize(sweep.cells(), 0.0);
            cells.chunks(columns).map(<[f64]>::to_vec).collect::<Vec<_>>()
        };
        let mean = |of: fn(&crate::Run) -> Option<Stat>| {
            // Where nothing is carried, the best there is: one request at a time.
            move |found: &Found| found.at.as_ref().or(found.alone.as_ref()).and_then(of).map_or(0.0, |stat| stat.mean)
        };
        Self {
            gpu: gpu.to_owned(),
            cost,
            tputs: table(&|found| found.capacity),
            indexes: [plan.outputs.clone(), plan.inputs.clone()],
            created: 0.0,
            e2e: table(&mean(|run| run.e2e)),
            ttft: table(&mean(|run| run.ttft)),
            tpot: table(&mean(|run| run.tpot)),
            slos: Slo::written(&plan.slo),
            source: None,
            notes: sweep.found().iter().filter_map(note).collect(),
        }
    }

    /// As the planner takes it. Its reader lowers a larger size to the rate of every smaller one; here only a longer prompt is,
    /// since a longer answer may keep a time per token that a shorter one does not (see [`Sweep`]).
    pub fn planner(&self) -> Result<planner::Profile, Box<dyn std::error::Error>> {
        let mut profile = planner::Profile::from_json(&self.to_json()?)?;
        profile.tputs.clone_from(&self.tputs);
        for row in &mut profile.tputs {
            let mut least = f64::INFINITY;
            for rate in row {
                least = least.min(*rate);
                *rate = least;
            }
        }
        Ok(profile)
    }

    /// As a file has it: one JSON object on one line.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

fn note(found: &Found) -> Option<Note> {
    let above = || format!("at least {:.3} requests/s: no higher rate was tried", found.capacity);
    let note = found.impossible.as_ref().map(ToString::to_string).or_else(|| found.above.then(above))?;
    Some(Note { input: found.cell.input, output: found.cell.output, note })
}
