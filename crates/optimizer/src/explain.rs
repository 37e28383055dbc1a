//! Says of a plan what it is made of: for each size who serves it, why, at what price, and what would change that. Must not
//! decide anything.

use crate::decide::Question;
use crate::plan::{Choice, Plan, Quality, Share, SizePlan};
use planner::{Answer, Problem};
use std::collections::BTreeSet;

/// An answer as a plan.
pub(crate) fn plan(question: &Question, problem: &Problem, answer: &Answer, status: Quality, bound: f64) -> Plan {
    let mut sizes: Vec<SizePlan> = (0..problem.load.len()).map(|at| size(question, problem, answer, at)).collect();
    sizes.sort_by(|a, b| b.unserved.total_cmp(&a.unserved).then(b.cost.total_cmp(&a.cost)));
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

fn size(question: &Question, problem: &Problem, answer: &Answer, at: usize) -> SizePlan {
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
    let price = |share: &Share| choices.iter().find(|one| one.deployment == share.deployment).and_then(|one| one.price);
    let (input, output) = (load.input.unwrap_or(0.0), load.output.unwrap_or(0.0));
    let marginal = served.iter().filter_map(price).reduce(f64::max);
    let why = if unserved > 0.0 {
        lacking(question, load)
    } else {
        because(answer, &choices, &served) + beyond(question, &served, input, output)
    };
    SizePlan {
        input,
        output,
        rate: load.rate,
        // The sum of nothing is -0.
        cost: served.iter().map(|share| share.replicas * cost(&share.deployment)).sum::<f64>() + 0.0,
        marginal_cost: marginal,
        change: if unserved > 0.0 { None } else { change(question, &choices, &served) },
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
fn because(answer: &Answer, choices: &[Choice], served: &[Share]) -> String {
    let [only] = served else {
        let names: Vec<String> =
            served.iter().map(|share| format!("{:.0} % on {}", share.part * 100.0, share.deployment)).collect();
        return format!("shared, to fill replicas that are needed in whole anyway: {}", names.join(", "));
    };
    match choices {
        [best, ..] if best.deployment == only.deployment => {
            match choices.get(1).and_then(|next| Some((next, next.price?))) {
                Some((next, price)) => {
                    let cheaper = 100.0 * (1.0 - best.price.unwrap_or(0.0) / price.max(f64::MIN_POSITIVE));
                    format!("cheapest for this size, {cheaper:.0} % below {}", next.deployment)
                }
                None => "the only type that can serve it".to_owned(),
            }
        }
        [best, ..] if answer.replicas.get(&best.deployment) == Some(&0) => {
            format!("{} is cheaper for this size, but not as a whole replica for what is left", best.deployment)
        }
        [best, ..] => format!("room on replicas that run anyway; {} is cheaper where it is full", best.deployment),
        [] => String::new(),
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

/// What would move a size to the next type.
fn change(question: &Question, choices: &[Choice], served: &[Share]) -> Option<String> {
    let [only] = served else { return None };
    let own = choices.iter().find(|choice| choice.deployment == only.deployment)?;
    let other = choices.iter().find(|choice| choice.deployment != only.deployment)?;
    let name = question.deployments.get(&other.deployment).map_or(other.deployment.as_str(), |one| one.shown());
    match (own.price, other.price) {
        (Some(price), Some(next)) if next > price && next > 0.0 => Some(format!(
            "{name} would be as cheap at {:.0} % of its cost, or with {:.2} requests/s a replica instead of {:.2}",
            100.0 * price / next,
            other.capacity * next / price.max(f64::MIN_POSITIVE),
            other.capacity
        )),
        (Some(_), Some(_)) => Some(format!("more load, which fills a replica of {name}")),
        (Some(price), None) if price > 0.0 => Some(format!("{name} would have to serve it within its SLO at all")),
        _ => None,
    }
}
