//! Solves a problem: a greedy answer, then the program itself, and what is answered is checked.

use crate::answer::{Answer, Route, Status, Unserved};
use crate::greedy::{self, Draft};
use crate::model::{Model, UNBOUNDED};
use crate::problem::{Problem, ProblemError};
use crate::round;
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
    let (draft, least) = divided(&model, draft, &limits);
    let value = |draft: &Draft| model.objective(&draft.replicas);
    let found = match &draft {
        // What is as cheap as dividing at will allows needs no further search.
        Some(draft) if least.is_some_and(|least| value(draft) <= least + CHEAPEST) => {
            Found::Some { draft: draft.clone(), bound: value(draft), proven: true }
        }
        _ => program(&model, draft.as_ref(), &limits, None),
    };
    let raised = |bound: f64| least.map_or(bound, |least| bound.max(least));
    let (status, draft, bound) = match found {
        Found::Some { draft: found, proven: true, .. } => {
            let bound = value(&found);
            (Status::Optimal, found, bound)
        }
        // A beginning that the solver did not take up is still an answer.
        Found::Some { draft: found, bound, proven: false } => {
            let best = draft.filter(|draft| value(draft) < value(&found)).unwrap_or(found);
            (Status::Feasible, best, raised(bound))
        }
        // The greedy answer is one, however the search ended.
        Found::Nothing { bound } => match draft {
            Some(draft) => (Status::Feasible, draft, raised(bound)),
            None => partly(&model, &limits),
        },
        Found::Infeasible => partly(&model, &limits),
    };
    let mut draft = draft;
    let small = place_small(&model, &mut draft);
    // A replica more for them alone was not weighed against anything.
    let status = if small.grew && status == Status::Optimal { Status::Feasible } else { status };
    Ok(answer(&model, status, &draft, bound, &small, began.elapsed().as_secs_f64()))
}

/// Who serves the sizes that were too small to matter.
#[derive(Default)]
struct Small {
    /// Size and type.
    routes: Vec<(usize, usize)>,
    unserved: Vec<usize>,
    grew: bool,
}

/// Puts the sizes that were left out where there is room, else onto one replica more of the cheapest type that may grow.
fn place_small(model: &Model, draft: &mut Draft) -> Small {
    let mut loads = vec![0.0; model.types.len()];
    for (size, shares) in model.sizes.iter().zip(&draft.shares) {
        for ((load, share), need) in loads.iter_mut().zip(shares).zip(&size.needs) {
            *load += share * need.unwrap_or(0.0);
        }
    }
    let mut small = Small::default();
    for size in &model.small {
        let able = || size.needs.iter().enumerate().filter_map(|(at, need)| Some((at, (*need)?)));
        let room = able().find(|(at, need)| loads[*at] + need <= f64::from(draft.replicas[*at]) + OVERLOAD);
        let found = room.or_else(|| {
            let may = |(at, _): &(usize, f64)| {
                let one = &model.types[*at];
                let within = model.budget.is_none_or(|budget| model.cost(&draft.replicas) + one.cost <= budget);
                draft.replicas[*at] < one.max && within
            };
            let cheapest = able().filter(may).min_by(|a, b| model.types[a.0].cost.total_cmp(&model.types[b.0].cost));
            cheapest.inspect(|(at, _)| {
                draft.replicas[*at] += 1;
                small.grew = true;
            })
        });
        match found {
            Some((at, need)) => {
                loads[at] += need;
                small.routes.push((size.load, at));
            }
            None => small.unserved.push(size.load),
        }
    }
    small
}

/// Objectives closer than this are the same: what the solver's tolerance makes of costs.
const CHEAPEST: f64 = 1e-6;

/// For sizes in slices: the same problem with sizes that may be divided at will is solved at once, bounds it from below, and rounded
/// is a better answer to begin with.
fn divided(model: &Model, draft: Option<Draft>, limits: &Limits) -> (Option<Draft>, Option<f64>) {
    let Some(slices) = model.slices else { return (draft, None) };
    let free = Model { slices: None, ..model.clone() };
    // A part of the time: the whole problem has to be tried, too.
    let limits = Limits { deadline: limits.deadline / 2, ..*limits };
    match program(&free, draft.as_ref(), &limits, None) {
        Found::Some { draft: shares, bound, .. } => {
            let value = |draft: &Draft| model.objective(&draft.replicas);
            let known = draft.as_ref().map_or(f64::INFINITY, value);
            // What a dearer answer than this would be, caps and budget do not allow or the greedy one beats.
            let known = known.min(2.0 * value(&shares) + model.types.iter().map(|one| one.cost).sum::<f64>());
            let stop = || limits.began.elapsed() >= limits.deadline;
            let shares_of = |counts: &[u32]| {
                let mut fixed = free.clone();
                for (one, count) in fixed.types.iter_mut().zip(counts) {
                    (one.min, one.max) = (*count, *count);
                }
                match program(&fixed, None, &limits, None) {
                    Found::Some { draft, .. } => Some(draft),
                    Found::Nothing { .. } | Found::Infeasible => None,
                }
            };
            let rounded = round::whole_slices(model, slices, &shares, known, &shares_of, &stop);
            let better = draft.into_iter().chain(rounded).min_by(|a, b| value(a).total_cmp(&value(b)));
            (better, Some(bound))
        }
        Found::Nothing { bound } => (draft, Some(bound)),
        Found::Infeasible => (draft, None),
    }
}

#[derive(Clone, Copy)]
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

/// As much as caps and budget allow: rank by rank of priority, each keeping what the higher ones got, and what that costs least.
fn partly(model: &Model, limits: &Limits) -> (Status, Draft, f64) {
    // Whatever the first search has used up, a part of the time is for this.
    let limits = Limits { began: Instant::now(), deadline: limits.deadline / 3 + RESERVE, ..*limits };
    let mut left = vec![1.0; model.sizes.len()];
    let mut ranks: Vec<i32> = model.sizes.iter().map(|size| size.priority).collect();
    ranks.sort_unstable_by(|a, b| b.cmp(a));
    ranks.dedup();
    for rank in ranks.into_iter().map(Some).chain([None]) {
        let Found::Some { draft, .. } = program(model, None, &limits, Some(&Leave { most: &left, rank })) else {
            break;
        };
        for ((left, shares), size) in left.iter_mut().zip(&draft.shares).zip(&model.sizes) {
            if rank.is_none_or(|rank| size.priority >= rank) {
                *left = (1.0 - shares.iter().sum::<f64>()).clamp(0.0, 1.0);
            }
        }
        if rank.is_none() {
            let bound = model.objective(&draft.replicas);
            return (Status::Infeasible, draft, bound);
        }
    }
    let replicas: Vec<u32> = model.types.iter().map(|one| one.min).collect();
    let bound = model.objective(&replicas);
    let shares = vec![vec![0.0; model.types.len()]; model.sizes.len()];
    (Status::Infeasible, Draft { shares, replicas }, bound)
}

/// Time for what is served of an infeasible problem, beside a third of the deadline.
const RESERVE: Duration = Duration::from_millis(200);

/// What may stay unserved.
struct Leave<'a> {
    /// The most of each size, as a share.
    most: &'a [f64],
    /// The priority whose sizes are served as far as can be; none where as little as can be is paid for what is served.
    rank: Option<i32>,
}

/// Builds and solves the program. With `leave`, sizes may stay unserved.
fn program(model: &Model, draft: Option<&Draft>, limits: &Limits, leave: Option<&Leave<'_>>) -> Found {
    let mut lp = microlp::Problem::new(OptimizationDirection::Minimize);
    let int = |count: u32| i32::try_from(count.min(UNBOUNDED)).unwrap_or(i32::MAX);
    // While a rank is served, what that costs does not matter.
    let paid = leave.is_none_or(|leave| leave.rank.is_none());
    let count =
        |one: &crate::model::Type| lp_var(&mut lp, if paid { one.cost } else { 0.0 }, int(one.min), int(one.max));
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
        if let Some(leave) = leave {
            // What is worth most is what costs most: the least that a size needs.
            let need = size.needs.iter().flatten().copied().fold(f64::INFINITY, f64::min);
            let price = if leave.rank == Some(size.priority) { need } else { 0.0 };
            let most = leave.most[at];
            let left = match model.slices {
                #[allow(clippy::cast_possible_truncation, reason = "at most the slices")]
                Some(_) => lp.add_integer_var(price / slices, (0, (most * slices).round() as i32)),
                None => lp.add_var(price, (0.0, (most + NOTHING).min(1.0))),
            };
            sum.push((left, 1.0));
        }
        lp.add_constraint(sum.as_slice(), ComparisonOp::Eq, slices);
        parts.push(own);
    }
    for row in &rows {
        lp.add_constraint(row.as_slice(), ComparisonOp::Le, 0.0);
    }
    if let Some(budget) = model.budget {
        let costs: Vec<(Variable, f64)> =
            counts.iter().zip(&model.types).map(|(count, one)| (*count, one.cost)).collect();
        lp.add_constraint(costs.as_slice(), ComparisonOp::Le, budget);
    }
    if paid {
        changes(&mut lp, model, &counts, draft, &mut hint);
    }
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
    let found = outcome.stats().best_bound.filter(|bound| bound.is_finite());
    let bound = if leave.is_some() { 0.0 } else { found.unwrap_or(fallback).max(fallback) };
    let proven = outcome.termination_reason() == TerminationReason::ProvenOptimal;
    read(model, outcome, &counts, &parts, slices, bound, proven)
}

fn lp_var(lp: &mut microlp::Problem, cost: f64, min: i32, max: i32) -> Variable {
    lp.add_integer_var(cost, (min, max))
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
    let mut loads = vec![0.0; model.types.len()];
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

fn answer(model: &Model, status: Status, draft: &Draft, bound: f64, small: &Small, seconds: f64) -> Answer {
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
    unserved.extend(small.unserved.iter().map(|load| Unserved { load: *load, share: 1.0, reason: "caps or budget" }));
    for (load, one) in &small.routes {
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
