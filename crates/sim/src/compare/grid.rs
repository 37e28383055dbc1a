//! Runs a grid on all processors. Which thread ran a cell shows nowhere.

use super::cell::Cell;
use crate::demand::Demand;
use crate::oracle::{self, LateSetting, Reference};
use crate::policy::{Named, ProductError, Terms};
use crate::report::{Run, thinned};
use crate::world::{Outcome, Setup, Timeline, run as run_world};
use autoscaler_core::spec::Bounds;
use engine_model::{EngineSpec, SpecError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use workload::Arrival;

/// A trace to run.
#[derive(Debug, Clone)]
pub struct Load {
    /// What to call it.
    pub name: String,
    /// Its requests, in order of time.
    pub arrivals: Arc<[Arrival]>,
    /// Seconds that it lasts.
    pub length: f64,
}

/// What is compared.
#[derive(Debug, Clone)]
pub struct Grid {
    /// Traces.
    pub loads: Vec<Load>,
    /// Engines.
    pub engines: Vec<EngineSpec>,
    /// Median start-up times, seconds.
    pub cold_starts: Vec<f64>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Policies.
    pub policies: Vec<Named>,
    /// Settings of their knob; 1 alone is the default.
    pub knobs: Vec<f64>,
    /// What runs have in common: everything of it but the fields above, the bounds and the beginning is taken over.
    pub setup: Setup,
    /// Most replicas; none takes three times what a constant count would need, so that the bound is no policy of its own.
    pub max: Option<u32>,
    /// Whether the runs of the first seed are kept, to be plotted.
    pub plots: bool,
}

/// What a grid came to.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    /// In the order of the grid.
    pub cells: Vec<Cell>,
    /// Where they were asked for.
    pub runs: Vec<Run>,
}

/// Why a comparison cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// An engine's parameters.
    #[error("engine: {0}")]
    Engine(#[from] SpecError),
    /// A policy's.
    #[error("policy: {0}")]
    Policy(#[from] ProductError),
    /// A search without anything to be scored on.
    #[error("nothing can be scored: the SLO is beyond reach of any capacity on every trace and engine")]
    Unscored,
    /// An engine that can serve nothing of a trace.
    #[error("{engine} can serve nothing of {load}: no request fits its context and its KV cache")]
    Nothing {
        /// The engine.
        engine: String,
        /// The trace.
        load: String,
    },
}

/// Progress: runs that are over, of how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// Runs of policies that are over.
    pub done: usize,
    /// All of them.
    pub of: usize,
}

/// The share of the peak window that a static fleet is planned to be busy.
const UTILIZATION: f64 = 0.8;
/// The SLO's share of requests.
pub const TARGET: f64 = 0.99;
/// Where capacity beyond need attains less, a cell is not scored.
pub const SCORED: f64 = 0.90;
/// Windows of the oracle's schedule and of the late oracle's look, seconds.
const SCHEDULE_STEP: f64 = 10.0;
const LATE_STEP: f64 = 5.0;

/// A trace on an engine: what all start-up times share.
pub(crate) struct Pair {
    pub(crate) setup: Setup,
    demand: Demand,
    late: Arc<Demand>,
    terms: Terms,
    peak: Reference,
    best: Reference,
    attainable: f64,
    pub(crate) target: f64,
}

/// Runs a grid on `threads` threads; cells come in the order of the grid.
pub fn run(grid: &Grid, threads: usize, progress: &(dyn Fn(Ran) + Sync)) -> Result<Compared, CompareError> {
    let pairs: Vec<(usize, usize)> =
        (0..grid.loads.len()).flat_map(|load| (0..grid.engines.len()).map(move |engine| (load, engine))).collect();
    let runs = grid.policies.len() * grid.knobs.len() * grid.seeds.len();
    let of = pairs.len() * grid.cold_starts.len() * runs;
    let done = AtomicUsize::new(0);
    let advance = || progress(Ran { done: done.fetch_add(1, Ordering::Relaxed) + 1, of });
    let weight = |(load, _): &(usize, usize)| grid.loads[*load].arrivals.len();
    let made = parallel(threads, &pairs, weight, |(load, engine)| {
        // Without faults, what a constant count comes to does not depend on start-ups and seeds.
        Pair::new(&grid.setup, grid.max, &grid.loads[*load], &grid.engines[*engine])
    })?;
    let jobs: Vec<(usize, f64)> =
        (0..pairs.len()).flat_map(|pair| grid.cold_starts.iter().map(move |cold| (pair, *cold))).collect();
    let weight = |(pair, _): &(usize, f64)| grid.loads[pairs[*pair].0].arrivals.len();
    let found = parallel(threads, &jobs, weight, |(pair, cold)| {
        let (load, engine) = pairs[*pair];
        made[*pair].cells(grid, &grid.loads[load], &grid.engines[engine], *cold, &advance)
    })?;
    let mut compared = Compared::default();
    for Compared { cells, runs } in found {
        compared.cells.extend(cells);
        compared.runs.extend(runs);
    }
    Ok(compared)
}

/// Does every job on some thread, the heaviest first; answers come in the jobs' order.
pub(crate) fn parallel<J: Sync, T: Send>(
    threads: usize,
    jobs: &[J],
    weight: impl Fn(&J) -> usize,
    work: impl Fn(&J) -> Result<T, CompareError> + Sync,
) -> Result<Vec<T>, CompareError> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(weight(&jobs[*at])));
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<Option<Result<T, CompareError>>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(&jobs[*at]);
                    found.lock().unwrap_or_else(PoisonError::into_inner)[*at] = Some(result);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()
}

impl Pair {
    pub(crate) fn new(
        common: &Setup,
        max: Option<u32>,
        load: &Load,
        engine: &EngineSpec,
    ) -> Result<Self, CompareError> {
        let hits = common.router == crate::world::Router::PrefixAware;
        let demand = |step| {
            let nothing = || CompareError::Nothing { engine: engine.name.clone(), load: load.name.clone() };
            Demand::of(engine, common.slo, &load.arrivals, load.length, step, hits).ok_or_else(nothing)
        };
        let (schedule, late) = (demand(SCHEDULE_STEP)?, demand(LATE_STEP)?);
        let count = |work: f64| whole((work / UTILIZATION).ceil()).max(1);
        let peak = count(schedule.peak());
        let max = max.unwrap_or(3 * peak + 2).max(common.group.min);
        let mut setup = Setup { length: load.length, warmup: common.warmup.min(load.length / 4.0), ..common.clone() };
        (setup.group.engine, setup.group.max) = (engine.clone(), max);
        setup.group.initial = count(schedule.begins_with(60.0)).clamp(setup.group.min, max);
        let bounds = Bounds { min: setup.group.min, max };
        let terms = Terms { engine: engine.clone(), slo: setup.slo, bounds, capacity: schedule.capacity };
        let ample = oracle::constant(&setup, &load.arrivals, max)?;
        let attainable = ample.outcome.fates.attainment();
        let target = TARGET.min(attainable);
        let best = oracle::best_constant(&setup, &load.arrivals, max, target)?;
        let peak = oracle::constant(&setup, &load.arrivals, peak)?;
        Ok(Self { setup, demand: schedule, late: Arc::new(late), terms, peak, best, attainable, target })
    }

    /// The oracle at this pair's start-up time.
    pub(crate) fn oracle(&self, load: &Load) -> Result<Reference, CompareError> {
        Ok(oracle::oracle(&self.setup, &load.arrivals, &self.demand, self.target, &self.best)?)
    }

    /// Whether some capacity keeps the SLO.
    pub(crate) fn is_scored(&self) -> bool {
        self.attainable >= SCORED
    }

    fn cells(
        &self,
        grid: &Grid,
        load: &Load,
        engine: &EngineSpec,
        cold: f64,
        advance: &(dyn Fn() + Sync),
    ) -> Result<Compared, CompareError> {
        let arrivals = &load.arrivals;
        let (mut cells, mut runs) = (Vec::new(), Vec::new());
        let mut near: Option<LateSetting> = None;
        let mut known: Option<Reference> = None;
        let faulty = grid.setup.faults.of_replicas();
        for (at, seed) in grid.seeds.iter().enumerate() {
            // Crashes and slow replicas are those of the seed, and replacements take their start-up: nothing can be shared.
            let own = if faulty {
                let mut common = grid.setup.clone();
                (common.seed, common.group.cold_start.median) = (*seed, cold);
                Some(Self::new(&common, grid.max, load, engine)?)
            } else {
                None
            };
            let pair = own.as_ref().unwrap_or(self);
            let mut setup = pair.setup.clone();
            (setup.seed, setup.group.cold_start.median) = (*seed, cold);
            let oracle = match known.take().filter(|_| !faulty) {
                Some(oracle) => oracle,
                None => oracle::oracle(&setup, arrivals, &pair.demand, pair.target, &pair.best)?,
            };
            let hours = oracle.outcome.gpu_hours;
            let scored = pair.is_scored();
            let aim = (&oracle, pair.target);
            let (setting, late) = oracle::late_oracle(&setup, arrivals, &pair.late, aim, pair.best.count(), near)?;
            near = Some(setting);
            let score = |outcome: &Outcome| scored.then(|| oracle::score(outcome, hours, pair.target));
            let cell = |policy: &str, knob: f64, reference: bool, outcome: &Outcome| {
                let mut cell = Cell {
                    trace: load.name.clone(),
                    engine: engine.name.clone(),
                    cold_start: cold,
                    seed: *seed,
                    policy: policy.to_owned(),
                    knob,
                    reference,
                    requests: 0,
                    attainment: 0.0,
                    target: pair.target,
                    attainable_max: pair.attainable,
                    gpu_hours: 0.0,
                    oracle_gpu_hours: hours,
                    oracle_attainment: oracle.outcome.fates.attainment(),
                    score: score(outcome),
                    late_oracle_gpu_hours: late.outcome.gpu_hours,
                    late_oracle_score: score(&late.outcome),
                    ttft_p50: 0.0,
                    ttft_p99: 0.0,
                    tpot_p50: 0.0,
                    tpot_p99: 0.0,
                    reversals_per_hour: 0.0,
                    aborted: 0,
                    peak_replicas: 0,
                    wall_seconds: 0.0,
                };
                cell.take(outcome);
                cell
            };
            for (name, reference) in
                [("oracle", &oracle), ("late-oracle", &late), ("best-static", &pair.best), ("static-peak", &pair.peak)]
            {
                cells.push(cell(name, reference.setting, true, &reference.outcome));
            }
            for policy in &grid.policies {
                for knob in &grid.knobs {
                    let mut built = policy.build(&pair.terms, *knob)?;
                    let mut timeline = (grid.plots && at == 0).then(Timeline::default);
                    let outcome = run_world(&setup, arrivals, built.as_mut(), timeline.as_mut())?;
                    cells.push(cell(policy.name, *knob, false, &outcome));
                    runs.extend(timeline.map(|timeline| Run {
                        trace: load.name.clone(),
                        engine: engine.name.clone(),
                        cold_start: cold,
                        seed: *seed,
                        policy: policy.name.to_owned(),
                        knob: *knob,
                        timeline: thinned(timeline),
                    }));
                    advance();
                }
            }
            known = Some(oracle);
        }
        Ok(Compared { cells, runs })
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn whole(count: f64) -> u32 {
    count as u32
}
