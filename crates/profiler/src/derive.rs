//! A profile from an engine model: the model's engine itself, in virtual time, under the arrivals that a measurement would send.

use crate::arrivals::{Spread, times};
use crate::profile::GpuProfile;
use crate::run::{Ask, Cell, Run, throughput};
use crate::slo::Slo;
use crate::stats::Stat;
use crate::sweep::{Plan, Sweep};
use engine_model::{Completion, Engine, EngineSpec, Event, EventKind, Request, SpecError, Time};
use std::ops::Range;

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// The engine's parameters.
    #[error("engine {name}: {source}")]
    Spec {
        /// The engine.
        name: String,
        /// The parameter.
        source: SpecError,
    },
    /// The grid or another setting.
    #[error("{0}")]
    Plan(String),
}

/// Relative tolerance of a derived knee. Virtual runs cost little.
const TOLERANCE: f64 = 0.02;
/// Requests of a run after the warm-up, at least and at most, and the seconds that they should last.
const REQUESTS: Range<usize> = 600..12_000;
const SECONDS: f64 = 60.0;
/// Largest rate that is tried.
const MAX_RATE: f64 = 10_000.0;
/// Any constant: it only has to be the same every time.
const SEED: u64 = 1;

/// The profile of an engine model over `inputs` and `outputs` (token counts), within `slo`. The same arguments give the same
/// profile, its time of creation (0) included. What the model does not know, such as a cold cache, the profile does not either.
pub fn derive(spec: &EngineSpec, slo: &Slo, inputs: &[u32], outputs: &[u32]) -> Result<planner::Profile, DeriveError> {
    let profile = derive_gpu_profile(spec, slo, inputs, outputs)?;
    profile.planner().map_err(|error| DeriveError::Plan(error.to_string()))
}

/// As [`derive()`], with latencies and with what is impossible and why: what AIBrix's file has, and more.
pub fn derive_gpu_profile(
    spec: &EngineSpec,
    slo: &Slo,
    inputs: &[u32],
    outputs: &[u32],
) -> Result<GpuProfile, DeriveError> {
    let plan = Plan {
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        slo: *slo,
        tolerance: TOLERANCE,
        repeats: 1,
        max_rate: MAX_RATE,
        rates: None,
    };
    let sweep = sweep(spec, plan, Spread::Poisson)?;
    let mut profile = GpuProfile::of(&sweep, &spec.name, 1.0);
    profile.source = Some(format!("derived from engine model {}", spec.name));
    Ok(profile)
}

/// Walks a whole plan on an engine model.
pub fn sweep(spec: &EngineSpec, plan: Plan, spread: Spread) -> Result<Sweep, DeriveError> {
    plan.validate().map_err(DeriveError::Plan)?;
    let engine = Engine::new(spec).map_err(|source| DeriveError::Spec { name: spec.name.clone(), source })?;
    let mut sweep = Sweep::new(plan);
    while let Some(ask) = sweep.next_ask() {
        sweep.take(run(&engine, &ask, spread));
    }
    Ok(sweep)
}

/// One run on a fresh replica of an engine.
fn run(engine: &Engine, ask: &Ask, spread: Spread) -> Run {
    if ask.rate == 0.0 {
        return alone(engine, ask);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
    let count = ((ask.rate * SECONDS) as usize).clamp(REQUESTS.start, REQUESTS.end);
    // A tenth, and at least what gathers while the first request is answered.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
    let filling = (2.0 * ask.rate * ask.alone.unwrap_or(0.0)).ceil() as usize;
    let warmup = filling.clamp(count / 10, REQUESTS.end);
    let arrivals = times(spread, ask.rate, warmup + count, SEED + u64::from(ask.attempt));
    let mut done = vec![None; arrivals.len()];
    let mut engine = engine.replica();
    for (id, at) in (0..).zip(&arrivals) {
        let now = Time::from_secs_f64(*at);
        engine.advance(now, &mut collect(&mut done));
        if engine.submit(now, request(id, ask.cell)).is_err() {
            // The queue of a million is full: the run has failed, and is over.
            break;
        }
    }
    engine.advance(Time::MAX, &mut collect(&mut done));
    outcome(ask, done.get(warmup..).unwrap_or_default())
}

fn request(id: u64, cell: Cell) -> Request {
    Request { id, input_tokens: cell.input, output_tokens: cell.output, prefix_hit_tokens: 0 }
}

fn collect(done: &mut [Option<Completion>]) -> impl FnMut(Event) {
    |event: Event| {
        let EventKind::Finished(completion) = event.kind else { return };
        if let Some(place) = usize::try_from(event.id).ok().and_then(|id| done.get_mut(id)) {
            *place = Some(completion);
        }
    }
}

/// One request alone. A second one would take as long to the nanosecond.
fn alone(engine: &Engine, ask: &Ask) -> Run {
    let mut engine = engine.replica();
    let mut done = [None];
    if let Err(refused) = engine.submit(Time::ZERO, request(0, ask.cell)) {
        return Run { refused: Some(refused.to_string()), ..Run::empty(ask) };
    }
    engine.advance(Time::MAX, &mut collect(&mut done));
    outcome(ask, &done)
}

fn outcome(ask: &Ask, done: &[Option<Completion>]) -> Run {
    let completed: Vec<&Completion> = done.iter().flatten().collect();
    let stat = |of: &dyn Fn(&Completion) -> f64| Stat::of(&completed.iter().map(|done| of(done)).collect::<Vec<_>>());
    let ends: Vec<f64> = completed.iter().map(|done| done.finished.as_secs_f64()).collect();
    Run {
        requests: done.len() as u64,
        failed: (done.len() - completed.len()) as u64,
        throughput: throughput(&ends),
        ttft: stat(&|done| done.ttft().as_secs_f64()),
        tpot: (ask.cell.output > 1).then(|| stat(&|done| done.tpot().as_secs_f64())).flatten(),
        e2e: stat(&|done| done.e2e().as_secs_f64()),
        ..Run::empty(ask)
    }
}
