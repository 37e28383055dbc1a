//! The parameters of an engine model from what was measured: least squares on the logarithms of TTFT and TPOT.
//!
//! What is fitted: a request alone at each size (its TTFT is the prefill, its TPOT an iteration with a batch of one), and the mean
//! TPOT of each loaded run that is mostly decode, against the model's steady state at its rate. Where prompts take much of the
//! time, they come in bursts that a steady state has none of; and TTFT under load is mostly queue and says nothing.
//! From the outside `overhead + weights` is one number; the share that is overhead is the base engine's.

use crate::run::{Cell, Run};
use crate::sweep::Sweep;
use engine_model::{EngineSpec, Mix};

/// A fitted engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The engine, as a file that `simulate` and `engine` read.
    pub spec: EngineSpec,
    /// Measured points.
    pub points: usize,
    /// Mean of the relative errors of the points: 0.03 is 3 %.
    pub mean_error: f64,
    /// The largest of them.
    pub worst_error: f64,
    /// Parameters, as a file spells them, that the measurement does not show and that are the base engine's.
    pub assumed: Vec<&'static str>,
    /// The base engine's name.
    pub base: String,
}

/// Why nothing was fitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the engine's parameters cannot be fitted: {0}")]
pub struct FitError(String);

/// What a point observes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// TTFT alone.
    Prefill,
    /// TPOT alone.
    Single,
    /// Mean TPOT at a rate.
    Loaded(f64),
}

#[derive(Debug, Clone, Copy)]
struct Point {
    kind: Kind,
    cell: Cell,
    seconds: f64,
}

/// What is fitted, by logarithm.
const NAMES: [&str; 4] = ["weightsMs", "computeMsPerToken", "kvNsPerToken", "attentionNsPerToken2"];
/// What cannot be seen from a client at all.
const UNSEEN: [&str; 5] = ["overheadMs", "kvCapacityTokens", "maxNumSeqs", "maxNumBatchedTokens", "startupSeconds"];
/// A parameter that changes no point by more than this, relatively, when it changes by 1, is not seen either.
const SEEN: f64 = 0.02;
/// Most that prompts may take of the time of a loaded run for it to be a steady state.
const MOSTLY_DECODE: f64 = 0.1;
/// Steps of the search.
const STEPS: usize = 60;

/// Fits an engine to the runs of a walk. What cannot be seen is taken from `base`, or where there is none from the built-in
/// engine whose single request is nearest.
pub fn fit(sweep: &Sweep, base: Option<&EngineSpec>, name: &str) -> Result<Fit, FitError> {
    let points = points(sweep);
    let single = points.iter().filter(|point| point.kind == Kind::Single).map(|point| point.seconds).reduce(f64::min);
    let prefill = points.iter().filter(|point| point.kind == Kind::Prefill).max_by_key(|point| point.cell.input);
    let (Some(single), Some(prefill)) = (single, prefill) else {
        return Err(FitError("no size was measured alone with an answer of at least 2 tokens".to_owned()));
    };
    let nearest = || {
        let all = EngineSpec::builtin_names().filter_map(EngineSpec::builtin);
        all.min_by(|a, b| distance(a, single).total_cmp(&distance(b, single)))
    };
    let Some(base) = base.cloned().or_else(nearest) else { return Err(FitError("no base engine".to_owned())) };
    let start = begin(&base, single, prefill);
    // Judged where the search begins: what is not seen would be driven anywhere.
    let free: Vec<usize> = (0..NAMES.len()).filter(|&which| sensitivity(&start, which, &points) >= SEEN).collect();
    let mut spec = solve(start, &free, &points);
    let errors: Vec<f64> = residuals(&spec, &points).iter().map(|error| error.exp_m1().abs()).collect();
    let mean_error = errors.iter().sum::<f64>() / errors.len() as f64;
    let worst_error = errors.iter().copied().fold(0.0, f64::max);
    let unseen = (0..NAMES.len()).filter(|which| !free.contains(which)).map(|which| NAMES[which]);
    let assumed: Vec<&'static str> = UNSEEN.into_iter().chain(unseen).collect();
    name.clone_into(&mut spec.name);
    spec.source = format!(
        "fitted to {} measured points, mean error {:.1} %, worst {:.1} %; from {}: {}",
        points.len(),
        100.0 * mean_error,
        100.0 * worst_error,
        base.name,
        assumed.join(", ")
    );
    spec.validate().map_err(|error| FitError(error.to_string()))?;
    Ok(Fit { spec, points: points.len(), mean_error, worst_error, assumed, base: base.name })
}

fn points(sweep: &Sweep) -> Vec<Point> {
    let mut points = Vec::new();
    let runs = sweep.found().iter().flat_map(|found| found.runs.iter().map(move |run| (found, run)));
    for (found, run) in runs.filter(|(_, run)| usable(run)) {
        let prefill = found.alone.as_ref().and_then(|alone| alone.ttft).map_or(0.0, |stat| stat.p50);
        let mut add = |kind, seconds: Option<f64>| {
            let seconds = seconds.filter(|seconds| *seconds > 0.0);
            points.extend(seconds.map(|seconds| Point { kind, cell: run.cell, seconds }));
        };
        if run.rate > 0.0 && run.rate * prefill > MOSTLY_DECODE {
            continue;
        }
        if run.rate > 0.0 {
            add(Kind::Loaded(run.rate), run.tpot.map(|stat| stat.mean));
        } else {
            add(Kind::Prefill, run.ttft.map(|stat| stat.p50));
            add(Kind::Single, run.tpot.map(|stat| stat.p50));
        }
    }
    points
}

/// A run that was broken off, or in which the engine fell behind, is no steady state.
fn usable(run: &Run) -> bool {
    run.stopped != Some(crate::run::Stopped::Failed) && run.failed == 0 && run.throughput >= 0.95 * run.rate
}

fn distance(spec: &EngineSpec, single: f64) -> f64 {
    ((spec.overhead_ms + spec.weights_ms) / 1e3 / single).ln().abs()
}

/// Where the search begins: the base, scaled to what one request shows.
fn begin(base: &EngineSpec, single: f64, prefill: &Point) -> EngineSpec {
    let mut spec = base.clone();
    spec.overhead_ms = base.overhead_ms.min(500.0 * single);
    spec.weights_ms = (1e3 * single - spec.overhead_ms).max(0.01);
    spec.compute_ms_per_token = (1e3 * prefill.seconds / f64::from(prefill.cell.input)).max(1e-6);
    let bandwidth = spec.weights_ms / base.weights_ms;
    let compute = spec.compute_ms_per_token / base.compute_ms_per_token.max(1e-9);
    spec.kv_ns_per_token = (base.kv_ns_per_token * bandwidth).clamp(1e-3, 1e5);
    spec.attention_ns_per_token2 = (base.attention_ns_per_token2 * compute).clamp(1e-4, 1e4);
    spec
}

/// Seconds that the model has for a point.
fn predict(spec: &EngineSpec, point: &Point) -> f64 {
    let (input, output) = (f64::from(point.cell.input), f64::from(point.cell.output));
    match point.kind {
        Kind::Prefill => prefill(spec, point.cell.input),
        Kind::Single => {
            let linear = spec.overhead_ms + spec.weights_ms.hypot(spec.compute_ms_per_token);
            (linear + spec.kv_ns_per_token * (input + output / 2.0) / 1e6) / 1e3
        }
        Kind::Loaded(rate) => {
            let mix = Mix { computed: input, input, output };
            // The limits of the base are not what is fitted: without them there is a state at more rates.
            let open = EngineSpec {
                kv_capacity_tokens: 1 << 32,
                max_num_seqs: 1 << 16,
                max_num_batched_tokens: 1 << 17,
                ..spec.clone()
            };
            // A model that cannot keep up is as wrong as one that takes a second for a token.
            open.steady(mix, rate).map_or(1.0, |steady| steady.iteration).min(1.0)
        }
    }
}

fn prefill(spec: &EngineSpec, input: u32) -> f64 {
    let (mut before, mut ms) = (0, 0.0);
    while before < input {
        let chunk = (input - before).min(spec.max_num_batched_tokens);
        let tokens = f64::from(chunk);
        let attention = spec.attention_ns_per_token2 * tokens * (f64::from(before) + tokens / 2.0) / 1e6;
        ms += spec.overhead_ms + spec.weights_ms.hypot(spec.compute_ms_per_token * tokens) + attention;
        before += chunk;
    }
    ms / 1e3
}

fn residuals(spec: &EngineSpec, points: &[Point]) -> Vec<f64> {
    points.iter().map(|point| (predict(spec, point) / point.seconds).ln()).collect()
}

fn parameter(spec: &mut EngineSpec, which: usize) -> &mut f64 {
    match which {
        0 => &mut spec.weights_ms,
        1 => &mut spec.compute_ms_per_token,
        2 => &mut spec.kv_ns_per_token,
        _ => &mut spec.attention_ns_per_token2,
    }
}

fn changed(spec: &EngineSpec, free: &[usize], step: &[f64]) -> EngineSpec {
    let mut spec = spec.clone();
    for (&which, by) in free.iter().zip(step) {
        let value = parameter(&mut spec, which);
        *value = (*value * by.clamp(-1.0, 1.0).exp()).clamp(1e-6, 5e4);
    }
    spec
}

/// Relative change of the points for a relative change of a parameter: a column of the Jacobian.
fn column(spec: &EngineSpec, which: usize, points: &[Point]) -> Vec<f64> {
    const SMALL: f64 = 1e-4;
    let more = residuals(&changed(spec, &[which], &[SMALL]), points);
    let less = residuals(&changed(spec, &[which], &[-SMALL]), points);
    more.iter().zip(less).map(|(more, less)| (more - less) / (2.0 * SMALL)).collect()
}

fn sensitivity(spec: &EngineSpec, which: usize, points: &[Point]) -> f64 {
    column(spec, which, points).into_iter().map(f64::abs).fold(0.0, f64::max)
}

/// Levenberg and Marquardt's method on the free parameters.
fn solve(mut spec: EngineSpec, free: &[usize], points: &[Point]) -> EngineSpec {
    let sum = |spec: &EngineSpec| residuals(spec, points).iter().map(|error| error * error).sum::<f64>();
    let (mut error, mut damping) = (sum(&spec), 1e-2);
    for _ in 0..STEPS {
        let columns: Vec<Vec<f64>> = free.iter().map(|&which| column(&spec, which, points)).collect();
        let now = residuals(&spec, points);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut system: Vec<Vec<f64>> = columns
            .iter()
            .map(|row| {
                let mut line: Vec<f64> = columns.iter().map(|column| dot(row, column)).collect();
                line.push(-dot(row, &now));
                line
            })
            .collect();
        for (at, line) in system.iter_mut().enumerate() {
            line[at] += damping * line[at] + 1e-12;
        }
        let candidate = changed(&spec, free, &gauss(system));
        let reached = sum(&candidate);
        if reached < error {
            let done = error - reached < 1e-12 * error;
            (spec, error, damping) = (candidate, reached, (damping / 5.0).max(1e-9));
            if done {
                break;
            }
        } else {
            damping *= 4.0;
            if damping > 1e9 {
                break;
            }
        }
    }
    spec
}

/// Solves a small positive definite system, the right side as last column, by elimination.
fn gauss(mut system: Vec<Vec<f64>>) -> Vec<f64> {
    let size = system.len();
    for pivot in 0..size {
        let (above, below) = system.split_at_mut(pivot + 1);
        let line = &above[pivot];
        for row in below {
            let factor = row[pivot] / line[pivot];
            row.iter_mut().zip(line).skip(pivot).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut answer = vec![0.0; size];
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|column| system[row][column] * answer[column]).sum();
        answer[row] = (system[row][size] - known) / system[row][row];
    }
    answer
}
