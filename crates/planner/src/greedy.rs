//! A feasible answer at once: each size to the type that makes it dearest by least, largest first; then types are emptied onto
//! others where that is cheaper.

use crate::model::Model;

/// Slices of each size by type, and replicas by type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    /// Shares by size and type.
    pub(crate) shares: Vec<Vec<f64>>,
    pub(crate) replicas: Vec<u32>,
}

/// Units that a size is dealt out in where it may be divided at will.
const UNITS: u32 = 16;
/// What rounding may make of a full replica.
const SLACK: f64 = 1e-9;

/// Replicas that carry so much.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
pub(crate) fn whole(load: f64) -> u32 {
    (load - SLACK).ceil().max(0.0) as u32
}

/// The best of several greedy answers; none where each meets a cap or the budget.
pub(crate) fn draft(model: &Model) -> Option<Draft> {
    let all: Vec<usize> = (0..model.types.len()).collect();
    let mut best = deal(model, &all);
    // Without one of the types, as long as that helps.
    let mut used = all;
    loop {
        let without = used.iter().map(|gone| used.iter().copied().filter(|at| at != gone).collect::<Vec<_>>());
        let found = without.filter_map(|types| Some((deal(model, &types)?, types)));
        let value = |draft: &Draft| model.objective(&draft.replicas);
        let next = found.min_by(|a, b| value(&a.0).total_cmp(&value(&b.0)));
        match next {
            Some((draft, types)) if best.as_ref().is_none_or(|known| value(&draft) < value(known)) => {
                (best, used) = (Some(draft), types);
            }
            _ => return best,
        }
    }
}

/// Deals the sizes out to some of the types.
fn deal(model: &Model, allowed: &[usize]) -> Option<Draft> {
    let units = model.slices.unwrap_or(UNITS);
    let mut loads: Vec<f64> = vec![0.0; model.types.len()];
    let mut shares = vec![vec![0.0; model.types.len()]; model.sizes.len()];
    let mut order: Vec<usize> = (0..model.sizes.len()).collect();
    let cost = |at: usize| {
        let size = &model.sizes[at];
        let costs = allowed.iter().filter_map(|one| Some(model.types[*one].cost * size.needs[*one]?));
        costs.fold(f64::INFINITY, f64::min)
    };
    order.sort_by(|a, b| cost(*b).total_cmp(&cost(*a)));
    for at in order {
        let size = &model.sizes[at];
        for _ in 0..units {
            let part = 1.0 / f64::from(units);
            let dearer = |one: &usize| {
                let (load, kind) = (loads[*one], &model.types[*one]);
                let after = load + size.needs[*one]? * part;
                let fits = after <= f64::from(kind.max) + SLACK;
                let grows = f64::from(whole(after).max(kind.min)) - f64::from(whole(load).max(kind.min));
                // Of those that add no replica, the one that fills least money.
                let fills = size.needs[*one]? * part * kind.cost;
                fits.then_some((*one, grows * kind.cost + 1e-3 * fills, fills))
            };
            let next = allowed.iter().filter_map(dearer);
            let (one, ..) = next.min_by(|a, b| a.1.total_cmp(&b.1).then(a.2.total_cmp(&b.2)))?;
            loads[one] += size.needs[one]? * part;
            shares[at][one] += part;
        }
    }
    let counts = model.types.iter().zip(&loads);
    let replicas: Vec<u32> = counts.map(|(one, load)| whole(*load).clamp(one.min, one.max)).collect();
    model.within(&replicas).then_some(Draft { shares, replicas })
}
