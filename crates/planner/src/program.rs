//! The whole problem as one mixed-integer program, for a general solver, where not everything can be served.

use crate::greedy::Draft;
use crate::limits::Limits;
use crate::model::{Model, Size, UNBOUNDED};
use microlp::{ComparisonOp, OptimizationDirection, SolveOptions, SolveOutcome, Variable};

/// What may stay unserved.
pub(crate) struct Leave<'a> {
    /// The most of each size, as a share.
    pub(crate) most: &'a [f64],
    /// The priority whose sizes are served as far as can be; none where as little as can be is paid for what is served.
    pub(crate) rank: Option<i32>,
}

/// Builds and solves the program; none where the limits come first.
pub(crate) fn program(model: &Model, limits: &Limits, leave: &Leave<'_>) -> Option<Draft> {
    let mut lp = microlp::Problem::new(OptimizationDirection::Minimize);
    let int = |count: u32| i32::try_from(count.min(UNBOUNDED)).unwrap_or(i32::MAX);
    // While a rank is served, what that costs does not matter.
    let paid = leave.rank.is_none();
    let count =
        |one: &crate::model::Type| lp_var(&mut lp, if paid { one.cost } else { 0.0 }, int(one.min), int(one.max));
    let counts: Vec<Variable> = model.types.iter().map(count).collect();
    let mut rows: Vec<Vec<(Variable, f64)>> = counts.iter().map(|count| vec![(*count, -1.0)]).collect();
    let slices = model.slices.map_or(1.0, f64::from);
    let mut parts: Vec<Vec<(usize, Variable)>> = Vec::with_capacity(model.sizes.len());
    let mut lefts: Vec<Variable> = Vec::with_capacity(model.sizes.len());
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
        }
        let left = left_over(&mut lp, model, size, leave.most[at], leave.rank);
        sum.push((left, 1.0));
        lefts.push(left);
        lp.add_constraint(sum.as_slice(), ComparisonOp::Eq, slices);
        parts.push(own);
    }
    for row in &rows {
        lp.add_constraint(row.as_slice(), ComparisonOp::Le, 0.0);
    }
    for limit in &model.limits {
        let terms: Vec<(Variable, f64)> = limit.weights.iter().map(|(at, weight)| (counts[*at], *weight)).collect();
        lp.add_constraint(terms.as_slice(), ComparisonOp::Le, limit.most);
    }
    if model.reserve > 0.0 {
        reserve(&mut lp, model, &counts, &lefts);
    }
    if paid {
        changes(&mut lp, model, &counts);
    }
    let mut options = SolveOptions::default();
    options.time_limit = limits.left();
    options.node_limit = limits.nodes;
    // What the solver could not make out in floating point is not said to be impossible.
    read(model, lp.solve_with(options).ok()?, &counts, &parts, slices)
}

/// What of a size may stay unserved, in its unit (slices or the whole).
fn left_over(lp: &mut microlp::Problem, model: &Model, size: &Size, most: f64, rank: Option<i32>) -> Variable {
    // What is worth most is what costs most: the least that a size needs.
    let need = size.needs.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let price = if rank == Some(size.priority) { need } else { 0.0 };
    match model.slices {
        #[allow(clippy::cast_possible_truncation, reason = "at most the slices")]
        Some(slices) => lp.add_integer_var(price / f64::from(slices), (0, (most * f64::from(slices)).round() as i32)),
        None => lp.add_var(price, (0.0, (most + NOTHING).min(1.0))),
    }
}

/// What types that are not spot must be able to carry alone: the reserved share of what is served of each size, divided at will.
fn reserve(lp: &mut microlp::Problem, model: &Model, counts: &[Variable], lefts: &[Variable]) {
    let mut rows: Vec<Vec<(Variable, f64)>> = counts.iter().map(|count| vec![(*count, -1.0)]).collect();
    let unit = model.slices.map_or(1.0, f64::from);
    for (size, left) in model.sizes.iter().zip(lefts) {
        let mut sum = Vec::new();
        for (at, need) in size.needs.iter().enumerate().filter(|(at, _)| !model.types[*at].spot) {
            let Some(need) = need else { continue };
            let part = lp.add_var(0.0, (0.0, 1.0));
            rows[at].push((part, *need));
            sum.push((part, 1.0));
        }
        sum.push((*left, model.reserve / unit));
        lp.add_constraint(sum.as_slice(), ComparisonOp::Ge, model.reserve);
    }
    for (row, one) in rows.iter().zip(&model.types) {
        if !one.spot {
            lp.add_constraint(row.as_slice(), ComparisonOp::Le, 0.0);
        }
    }
}

fn lp_var(lp: &mut microlp::Problem, cost: f64, min: i32, max: i32) -> Variable {
    lp.add_integer_var(cost, (min, max))
}

/// What a change costs, both ways.
fn changes(lp: &mut microlp::Problem, model: &Model, counts: &[Variable]) {
    if model.change_cost <= 0.0 {
        return;
    }
    for (one, count) in model.types.iter().zip(counts) {
        let Some(now) = one.current else { continue };
        let change = lp.add_var(model.change_cost, (0.0, f64::INFINITY));
        lp.add_constraint([(*count, 1.0), (change, -1.0)].as_slice(), ComparisonOp::Le, f64::from(now));
        lp.add_constraint([(*count, -1.0), (change, -1.0)].as_slice(), ComparisonOp::Le, -f64::from(now));
    }
}

/// Takes the solver's answer, with whole counts that carry what is routed to them.
fn read(
    model: &Model,
    outcome: SolveOutcome,
    counts: &[Variable],
    parts: &[Vec<(usize, Variable)>],
    slices: f64,
) -> Option<Draft> {
    let solution = outcome.into_solution().ok()?;
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
    holds.then_some(Draft { shares, replicas })
}

/// Of a replica.
pub(crate) const OVERLOAD: f64 = 1e-5;

trait RoundIf {
    fn round_if(self, whole: bool) -> Self;
}

impl RoundIf for f64 {
    fn round_if(self, whole: bool) -> Self {
        if whole { self.round() } else { self }
    }
}

/// Shares below are the solver's rounding.
pub(crate) const NOTHING: f64 = 1e-9;
