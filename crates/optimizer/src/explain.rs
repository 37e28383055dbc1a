//! Says of a plan what it is made of: for each size who serves it, and the planner's reasons in words. Must not decide anything.

use crate::decide::Question;
use crate::plan::{Choice, Plan, Quality, Share, SizePlan};
use planner::{Answer, Problem, Reason, Why};
use std::collections::BTreeSet;

/// An answer as a plan.
pub(crate) fn plan(question: &Question, problem: &Problem, answer: &Answer, status: Quality, bound: f64) -> Plan {
    // The problem was asked already, so that it can be.
    let reasons = planner::explain(problem, answer).unwrap_or_default();
    let reason = |at: usize| reasons.iter().find(|reason| reason.load == at).cloned();
    let sizes = (0..problem.load.len()).map(|at| size(question, problem, answer, at, reason(at)));
    let mut sizes: Vec<SizePlan> = sizes.collect();
    sizes.sort_by(|a, b| b.unserved.total_cmp(&a.unserved).then(b.cost.total_cmp(&a.cost)));
    for (at, size) in sizes.iter_mut().enumerate() {
        size.reason.iter_mut().for_each(|reason| reason.load = at);
    }
    let without = question.deployments.iter().filter(|(key, _)| !problem.gpus.contains_key(*key));
    let left = |(key, one): (&String, &crate::fleet::Deployment)| {
        let why = format!("no profile named {}, {} or its GPU type", one.name, one.key());
        (key.clone(), why)
    };
    Plan {
        at: question.load.at,
        status,
        cost: answer.cost,
        bound: bound.min(answer.objective),
        seconds: answer.seconds,
        rate: problem.load.iter().map(|load| load.rate).sum(),
        replicas: answer.replicas.clone(),
        sizes,
        left: without.map(left).collect(),
    }
}

fn size(question: &Question, problem: &Problem, answer: &Answer, at: usize, reason: Option<Reason>) -> SizePlan {
    let load = &problem.load[at];
    let capacity = |key: &str| load.capacity.get(key).copied().unwrap_or(0.0);
    let cost = |key: &str| problem.gpus.get(key).map_or(0.0, |gpu| gpu.cost);
    let mut choices: Vec<Choice> = problem
        .gpus
        .keys()
        .map(|key| {
            let price = (capacity(key) > 0.0).then(|| cost(key) / capacity(key));
            Choice { deployment: key.clone(), capacity: capacity(key), price }
        })
        .collect();
    let worth = |choice: &Choice| choice.price.unwrap_or(f64::INFINITY);
    choices.sort_by(|a, b| worth(a).total_cmp(&worth(b)));
    let routes = answer.routing.iter().filter(|route| route.load == at);
    let served: Vec<Share> = routes
        .map(|route| Share {
            deployment: route.gpu.clone(),
            part: route.share,
            replicas: route.share * load.rate / capacity(&route.gpu).max(f64::MIN_POSITIVE),
        })
        .collect();
    let unserved: f64 = answer.unserved.iter().filter(|one| one.load == at).map(|one| one.share).sum();
    let (input, output) = (load.input.unwrap_or(0.0), load.output.unwrap_or(0.0));
    let why = if unserved > 0.0 {
        lacking(question, load)
    } else {
        reason.as_ref().map(|reason| because(reason, &served)).unwrap_or_default()
            + beyond(question, &served, input, output)
    };
    SizePlan {
        input,
        output,
        rate: load.rate,
        // The sum of nothing is -0.
        cost: served.iter().map(|share| share.replicas * cost(&share.deployment)).sum::<f64>() + 0.0,
        change: reason.as_ref().filter(|_| unserved <= 0.0).and_then(|reason| change(question, reason, &choices)),
        reason,
        choices,
        why,
        served,
        unserved,
    }
}

/// Whether no type can serve a size.
pub(crate) fn hopeless(load: &planner::Load) -> bool {
    load.capacity.values().all(|capacity| *capacity <= 0.0)
}

/// Why a size is not served, or not wholly.
pub(crate) fn lacking(question: &Question, load: &planner::Load) -> String {
    let (input, output) = (load.input.unwrap_or(0.0), load.output.unwrap_or(0.0));
    if !hopeless(load) {
        return "maximums do not leave enough replicas of the types that can serve it".to_owned();
    }
    let known = || question.deployments.values().filter_map(|one| Some((one, question.profiles.of(one)?)));
    let objectives: BTreeSet<String> = known().filter_map(|(_, known)| known.objective()).collect();
    let objectives: Vec<String> = objectives.into_iter().collect();
    let within = if objectives.is_empty() { String::new() } else { format!(" within {}", objectives.join(" or ")) };
    let attainable =
        known().filter_map(|(one, known)| Some(format!("{}: {}", one.key(), known.attainable(input, output)?)));
    let attainable: Vec<String> = attainable.collect();
    let best = if attainable.is_empty() { String::new() } else { format!("; attainable: {}", attainable.join("; ")) };
    format!("no type can serve it{within}{best}")
}

/// Why a size is served where it is.
fn because(reason: &Reason, served: &[Share]) -> String {
    let parts: Vec<String> =
        served.iter().map(|share| format!("{:.0} % on {}", share.part * 100.0, share.deployment)).collect();
    let shared = if parts.len() > 1 { format!(", shared: {}", parts.join(", ")) } else { String::new() };
    let cheapest = reason.cheapest.as_deref().unwrap_or("another type");
    match reason.why {
        Why::OnlyType => "the only type that can serve it".to_owned(),
        Why::Cheapest => {
            let below = reason.next.as_ref().zip(reason.marginal_cost).map(|(next, cost)| {
                let cheaper = 100.0 * (1.0 - cost / next.marginal_cost.max(f64::MIN_POSITIVE)).max(0.0);
                format!(", {cheaper:.0} % below {}", next.gpu)
            });
            format!("cheapest for this size{}{shared}", below.unwrap_or_default())
        }
        Why::WholeReplicas => {
            format!("{cheapest} is cheaper by the request, but replicas are whole, and come to less so{shared}")
        }
        Why::Limits => format!("limits leave no room elsewhere{shared}"),
        Why::NotServed => "nobody serves it".to_owned(),
    }
}

/// Says that a capacity was not measured at such a size.
fn beyond(question: &Question, served: &[Share], input: f64, output: f64) -> &'static str {
    let outside = |share: &Share| {
        let known = question.deployments.get(&share.deployment).and_then(|one| question.profiles.of(one));
        let last = |axis: &[f64]| axis.last().copied().unwrap_or(0.0);
        known.is_some_and(|known| output > last(&known.profile.indexes[0]) || input > last(&known.profile.indexes[1]))
    };
    if served.iter().any(outside) { "; larger than the profile's sizes, and reckoned in proportion" } else { "" }
}

/// What would move a size to another type.
fn change(question: &Question, reason: &Reason, choices: &[Choice]) -> Option<String> {
    let shown = |key: &str| question.deployments.get(key).map_or(key, |one| one.shown()).to_owned();
    if reason.why == Why::WholeReplicas {
        return Some(format!("more load, which fills a replica of {}", shown(reason.cheapest.as_ref()?)));
    }
    let Some(next) = reason.next.as_ref().filter(|_| reason.why == Why::Cheapest) else {
        let unable = choices.iter().find(|choice| choice.price.is_none()).filter(|_| reason.why == Why::OnlyType)?;
        return Some(format!("{} would have to serve it within its SLO at all", shown(&unable.deployment)));
    };
    let capacity = choices.iter().find(|choice| choice.deployment == next.gpu).map_or(0.0, |choice| choice.capacity);
    let cost = next.tips_at_cost.map(|cost| format!("at a cost of {cost:.2}"));
    let rate =
        next.tips_at_capacity.map(|rate| format!("with {rate:.2} requests/s a replica instead of {capacity:.2}"));
    let ways: Vec<String> = cost.into_iter().chain(rate).collect();
    (!ways.is_empty()).then(|| format!("{} would be as cheap {}", shown(&next.gpu), ways.join(", or ")))
}
