//! From a draft to an answer.

use crate::answer::{Answer, Route, Status, Unserved};
use crate::greedy::Draft;
use crate::model::Model;
use crate::problem::Problem;
use crate::program::NOTHING;
use crate::small::Small;

pub(crate) fn answer(
    problem: &Problem,
    model: &Model,
    status: Status,
    draft: &Draft,
    bound: f64,
    small: &Small,
    seconds: f64,
) -> Answer {
    let (cost, objective) = (model.cost(&draft.replicas), model.objective(&draft.replicas));
    let bound = if status == Status::Optimal { objective } else { bound.min(objective) };
    let mut routing = Vec::new();
    let unserved_of = |load: usize, share: f64, reason: &'static str| {
        let model = problem.load.get(load).and_then(|load| load.model.clone());
        Unserved { load, share, reason, model }
    };
    let mut unserved: Vec<Unserved> =
        model.hopeless.iter().map(|(load, reason)| unserved_of(*load, 1.0, reason)).collect();
    for (size, shares) in model.sizes.iter().zip(&draft.shares) {
        for (one, share) in model.types.iter().zip(shares).filter(|(_, share)| **share > NOTHING) {
            routing.push(Route { load: size.load, gpu: one.name.clone(), share: *share });
        }
        let left = 1.0 - shares.iter().sum::<f64>();
        if left > 1e-6 {
            unserved.push(unserved_of(size.load, left, model.short));
        }
    }
    unserved.extend(small.unserved.iter().map(|load| unserved_of(*load, 1.0, model.short)));
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
        reasons: None,
    }
}
