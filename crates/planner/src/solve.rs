//! Solves a problem: a greedy answer, then the program itself, and what is answered is checked.

use crate::answer::{Answer, Route, Status, Unserved};
use crate::greedy::{self, Draft};
use crate::model::Model;
use crate::problem::{Problem, ProblemError};
use microlp::{ComparisonOp, OptimizationDirection, SolveOptions, SolveOutcome, TerminationReason, Variable};
use std::time::{Duration, Instant};

/// Answers a problem. Fails only where it cannot be asked.
pub fn solve(problem: &Problem) -> Result<Answer, ProblemError> {
    problem.validate()?;
    let began = Instant::now();
    let deadline = Duration::from_secs_f64(problem.deadline_seconds);
    let model = Model::of(problem);
    let draft = greedy::draft(&model);
    let limits = Limits { began, deadline, nodes: problem.node_limit };
    let found = program(&model, draft.as_ref(), &limits, false);
    let (status, draft, bound) = match found {
        Found::Some { draft, bound, proven } => (if proven { Status::Optimal } else { Status::Feasible }, draft, bound),
        // The greedy answer is one, however the search ended.
        Found::Nothing { bound } => match draft {
            Some(draft) => (Status::Feasible, draft, bound),
            None => partly(&model, &limits),
        },
        Found::Infeasible => partly(&model, &limits),
    };
    Ok(answer(&model, status, &draft, bound, began.elapsed().as_secs_f64()))
}

struct Limits {
    began: Instant,
    deadline: Duration,
    nodes: Option<u64>,
}

/// What the program came to.
enum Found {
    /// An answer, which nothing beats by more than the bound allows.
    Some { draft: Draft, bound: f64, proven: bool },
    /// The limits came first.
    Nothing { bound: f64 },
    /// There is none.
    Infeasible,
}

/// As much as caps and budget allow, by priority.
fn partly(model: &Model, limits: &Limits) -> (Status, Draft, f64) {
    match program(model, None, limits, true) {
        Found::Some { draft, .. } => {
            let bound = model.objective(&draft.replicas);
            (Status::Infeasible, draft, bound)
        }
        Found::Nothing { .. } | Found::Infeasible => {
            let replicas: Vec<u32> = model.types.iter().map(|one| one.min).collect();
            let bound = model.objective(&replicas);
            let shares = vec![vec![0.0; model.types.len()]; model.sizes.len()];
            (Status::Infeasible, Draft { shares, replicas }, bound)
        }
    }
}

/// The largest count that the solver takes.
const MOST: u32 = 1_000_000;

/// Builds and solves the program. With `partial`, sizes may be left unserved, at a price above that of any replica; a
/// higher priority's price is above all of the lower ones' together.
fn program(model: &Model, draft: Option<&Draft>, limits: &Limits, partial: bool) -> Found {
    let mut lp = microlp::Problem::new(OptimizationDirection::Minimize);
    let int = |count: u32| i32::try_from(count.min(MOST)).unwrap_or(i32::MAX);
    let count = |one: &crate::model::Type| lp_var(&mut lp, one.cost, int(one.min), int(one.max));
    let counts: Vec<Variable> = model.types.iter().map(count).collect();
    let mut rows: Vec<Vec<(Variable, f64)>> = counts.iter().map(|count| vec![(*count, -1.0)]).collect();
    let slices = model.slices.map_or(1.0, f64::from);
    let mut parts: Vec<Vec<(usize, Variable)>> = Vec::with_capacity(model.sizes.len());
    let mut hint: Vec<(Variable, f64)> = Vec::new();
    for (at, size) in model.sizes.iter().enumerate() {
        let (mut own, mut sum) = (Vec::new(), Vec::new());
        for (one, need) in size.needs.iter().enumerate() {
            let Some(need) = need else { continue };
            let part = match model.slices {
                Some(slices) => lp.add_integer_var(0.0, (0, int(slices))),
                None => lp.add_var(0.0, (0.0, 1.0)),
            };
            rows[one].push((part, need / slices));
            sum.push((part, 1.0));
            own.push((one, part));
            if let Some(draft) = draft {
                hint.push((part, (draft.shares[at][one] * slices).round_if(model.slices.is_some())));
            }
        }
        if partial {
            let left = match model.slices {
                Some(slices) => lp.add_integer_var(price(model, size) / f64::from(slices), (0, int(slices))),
                None => lp.add_var(price(model, size), (0.0, 1.0)),
            };
            sum.push((left, 1.0));
        }
        lp.add_constraint(sum.as_slice(), ComparisonOp::Eq, slices);
        parts.push(own);
    }
    for (row, one) in rows.iter().zip(&model.types) {
        lp.add_constraint(row.as_slice(), ComparisonOp::Le, -one.taken);
    }
    if let Some(budget) = model.budget {
        let costs: Vec<(Variable, f64)> =
            counts.iter().zip(&model.types).map(|(count, one)| (*count, one.cost)).collect();
        lp.add_constraint(costs.as_slice(), ComparisonOp::Le, budget);
    }
    changes(&mut lp, model, &counts, draft, &mut hint);
    if let Some(draft) = draft {
        hint.extend(counts.iter().zip(&draft.replicas).map(|(count, replicas)| (*count, f64::from(*replicas))));
    }
    let mut options = SolveOptions::default();
    options.time_limit = Some(limits.deadline.saturating_sub(limits.began.elapsed()));
    options.node_limit = limits.nodes;
    options.warm_start = draft.map(|_| hint);
    let fallback = model.simple_bound();
    let outcome = match lp.solve_with(options) {
        Ok(outcome) => outcome,
        Err(microlp::Error::Infeasible) => return Found::Infeasible,
        // What the solver could not make out in floating point is not said to be impossible.
        Err(_) => return Found::Nothing { bound: fallback },
    };
    let bound = outcome.stats().best_bound.filter(|bound| bound.is_finite()).unwrap_or(fallback).max(fallback);
    let proven = outcome.termination_reason() == TerminationReason::ProvenOptimal;
    read(model, outcome, &counts, &parts, slices, bound, proven)
}

fn lp_var(lp: &mut microlp::Problem, cost: f64, min: i32, max: i32) -> Variable {
    lp.add_integer_var(cost, (min, max))
}

/// The price of leaving all of a size unserved.
fn price(model: &Model, size: &crate::model::Size) -> f64 {
    let mut priorities: Vec<i32> = model.sizes.iter().map(|size| size.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    let rank = priorities.iter().position(|priority| *priority == size.priority).unwrap_or(0);
    let need = size.needs.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let dearest = model.types.iter().map(|one| one.cost).fold(1e-3, f64::max);
    // Ten times for each rank: the solver wants coefficients within six orders of magnitude.
    100.0 * dearest * need * 10.0_f64.powi(i32::try_from(rank.min(4)).unwrap_or(4))
}

/// What a change costs, both ways.
fn changes(
    lp: &mut microlp::Problem,
    model: &Model,
    counts: &[Variable],
    draft: Option<&Draft>,
    hint: &mut Vec<(Variable, f64)>,
) {
    if model.change_cost <= 0.0 {
        return;
    }
    for (at, (one, count)) in model.types.iter().zip(counts).enumerate() {
        let Some(now) = one.current else { continue };
        let change = lp.add_var(model.change_cost, (0.0, f64::INFINITY));
        lp.add_constraint([(*count, 1.0), (change, -1.0)].as_slice(), ComparisonOp::Le, f64::from(now));
        lp.add_constraint([(*count, -1.0), (change, -1.0)].as_slice(), ComparisonOp::Le, -f64::from(now));
        if let Some(draft) = draft {
            hint.push((change, f64::from(now.abs_diff(draft.replicas[at]))));
        }
    }
}

/// Takes the solver's answer, with whole counts that carry what is routed to them.
fn read(
    model: &Model,
    outcome: SolveOutcome,
    counts: &[Variable],
    parts: &[Vec<(usize, Variable)>],
    slices: f64,
    bound: f64,
    proven: bool,
) -> Found {
    let Ok(solution) = outcome.into_solution() else { return Found::Nothing { bound } };
    let mut shares = vec![vec![0.0; model.types.len()]; model.sizes.len()];
    let mut loads: Vec<f64> = model.types.iter().map(|one| one.taken).collect();
    for ((share, own), size) in shares.iter_mut().zip(parts).zip(&model.sizes) {
        for (one, part) in own {
            let value = solution.var_value(*part).round_if(model.slices.is_some()) / slices;
            share[*one] = value.clamp(0.0, 1.0);
            loads[*one] += share[*one] * size.needs[*one].unwrap_or(0.0);
        }
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the variable's bounds")]
    let replicas: Vec<u32> = counts.iter().map(|count| solution.var_value(*count).round().max(0.0) as u32).collect();
    // The solver's tolerance is far below a thousandth of a replica; more would be an answer that does not hold.
    let holds = loads.iter().zip(&replicas).all(|(load, replicas)| *load <= f64::from(*replicas) + OVERLOAD);
    if holds { Found::Some { draft: Draft { shares, replicas }, bound, proven } } else { Found::Nothing { bound } }
}

/// Of a replica.
const OVERLOAD: f64 = 1e-5;

trait RoundIf {
    fn round_if(self, whole: bool) -> Self;
}

impl RoundIf for f64 {
    fn round_if(self, whole: bool) -> Self {
        if whole { self.round() } else { self }
    }
}

/// Shares below are the solver's rounding.
const NOTHING: f64 = 1e-9;

fn answer(model: &Model, status: Status, draft: &Draft, bound: f64, seconds: f64) -> Answer {
    let (cost, objective) = (model.cost(&draft.replicas), model.objective(&draft.replicas));
    let bound = if status == Status::Optimal { objective } else { bound.min(objective) };
    let mut routing = Vec::new();
    let mut unserved: Vec<Unserved> = model
        .hopeless
        .iter()
        .map(|load| Unserved { load: *load, share: 1.0, reason: "no type can serve it" })
        .collect();
    for (size, shares) in model.sizes.iter().zip(&draft.shares) {
        for (one, share) in model.types.iter().zip(shares).filter(|(_, share)| **share > NOTHING) {
            routing.push(Route { load: size.load, gpu: one.name.clone(), share: *share });
        }
        let left = 1.0 - shares.iter().sum::<f64>();
        if left > 1e-6 {
            unserved.push(Unserved { load: size.load, share: left, reason: "caps or budget" });
        }
    }
    for (load, one) in &model.small {
        routing.push(Route { load: *load, gpu: model.types[*one].name.clone(), share: 1.0 });
    }
    routing.sort_by(|a, b| a.load.cmp(&b.load).then_with(|| a.gpu.cmp(&b.gpu)));
    unserved.sort_by_key(|one| one.load);
    Answer {
        status,
        cost,
        objective,
        bound,
        gap: if objective > 0.0 { ((objective - bound) / objective).max(0.0) } else { 0.0 },
        replicas: model.types.iter().zip(&draft.replicas).map(|(one, count)| (one.name.clone(), *count)).collect(),
        routing,
        unserved,
        seconds,
    }
}
