//! Why a plan is as it is: prices of a replica's time, and what they make of each size.
//!
//! The prices are those of the problem with replicas that can be divided (the duals of its linear relaxation): what a plan costs in the
//! long run, over many more replicas than one. What holds of the plan itself is said apart: `room`.

use crate::answer::{Answer, Next, Reason, Why};
use crate::model::Model;
use crate::problem::{Load, Problem, ProblemError};
use crate::search::prices::{Prices, prices};

/// Costs closer than this share are the same.
const SAME: f64 = 1e-6;

/// Reasons of an answer to the problem, by size; sizes without load have none.
pub fn explain(problem: &Problem, answer: &Answer) -> Result<Vec<Reason>, ProblemError> {
    problem.validate()?;
    let model = Model::of(problem);
    let prices = prices(&model);
    let spare = spare(problem, &model, answer);
    let loads = problem.load.iter().enumerate().filter(|(_, load)| load.rate > 0.0);
    Ok(loads.map(|(at, load)| reason(at, load, &model, prices.as_ref(), &spare, answer)).collect())
}

/// Replicas of each type that nothing is routed to.
fn spare(problem: &Problem, model: &Model, answer: &Answer) -> Vec<f64> {
    let own = |name: &String| {
        let routes = answer.routing.iter().filter(|route| route.gpu == *name);
        let loads = routes.filter_map(|route| {
            let load = problem.load.get(route.load)?;
            Some(route.share * load.rate / load.capacity.get(name)?)
        });
        (f64::from(answer.replicas.get(name).copied().unwrap_or(0)) - loads.sum::<f64>()).max(0.0)
    };
    model.types.iter().map(|one| own(&one.name)).collect()
}

fn reason(at: usize, load: &Load, model: &Model, prices: Option<&Prices>, spare: &[f64], answer: &Answer) -> Reason {
    let capacity = |kind: usize| load.capacity.get(&model.types[kind].name).copied().unwrap_or(0.0);
    let able: Vec<usize> =
        (0..model.types.len()).filter(|at| capacity(*at) > 0.0 && model.types[*at].max > 0).collect();
    let routes: Vec<_> = answer.routing.iter().filter(|route| route.load == at).collect();
    let gpus: Vec<String> = routes.iter().map(|route| route.gpu.clone()).collect();
    let mut reason = Reason {
        load: at,
        gpus,
        why: Why::NotServed,
        room: able.iter().map(|kind| spare[*kind] * capacity(*kind)).sum(),
        cheapest: None,
        marginal_cost: None,
        next: None,
    };
    if able.len() == 1 && !routes.is_empty() {
        reason.why = Why::OnlyType;
    }
    let Some(prices) = prices else {
        if able.len() > 1 && !routes.is_empty() {
            reason.why = Why::Limits;
        }
        return reason;
    };
    let mut ranked: Vec<(usize, f64)> = able.iter().map(|kind| (*kind, prices.own[*kind] / capacity(*kind))).collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
    let Some((best, least)) = ranked.first().copied() else { return reason };
    let lasting = able.iter().filter(|kind| !model.types[**kind].spot);
    let kept = lasting.map(|kind| prices.reserve[*kind] / capacity(*kind)).reduce(f64::min).unwrap_or(0.0);
    reason.cheapest = Some(model.types[best].name.clone());
    reason.marginal_cost = Some(least + model.reserve * kept);
    reason.next = ranked.get(1).map(|(kind, cost)| next(model, prices, *kind, *cost, least, capacity(*kind)));
    if able.len() > 1 && !routes.is_empty() {
        let cost =
            |name: &String| ranked.iter().find(|(kind, _)| model.types[*kind].name == *name).map(|(_, cost)| *cost);
        let all = reason.gpus.iter().filter_map(cost).all(|cost| cost <= least * (1.0 + SAME) + 1e-12);
        reason.why = if all { Why::Cheapest } else { Why::WholeReplicas };
    }
    reason
}

/// What would make the next best type as good as the cheapest.
fn next(model: &Model, prices: &Prices, kind: usize, cost: f64, least: f64, capacity: f64) -> Next {
    let one = &model.types[kind];
    // What a replica's time may cost for a request to come to the least.
    let less = prices.own[kind] - least * capacity;
    Next {
        gpu: one.name.clone(),
        marginal_cost: cost,
        tips_at_cost: Some(one.cost - less).filter(|cost| *cost >= 0.0),
        tips_at_capacity: (least > 0.0).then(|| prices.own[kind] / least),
    }
}
