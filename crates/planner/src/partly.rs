//! What is served where not all can be.

use crate::answer::Status;
use crate::greedy::Draft;
use crate::limits::Limits;
use crate::model::Model;
use crate::program::{Leave, program};
use std::time::Duration;

/// As much as caps, quotas and budget allow: rank by rank of priority, each keeping what the higher ones got, and what that costs
/// least.
pub(crate) fn partly(model: &Model, limits: &Limits) -> (Status, Draft, f64) {
    // Whatever the first search has used up, some time is for this.
    let limits = limits.part(1.0, RESERVE);
    let mut left = vec![1.0; model.sizes.len()];
    let mut ranks: Vec<i32> = model.sizes.iter().map(|size| size.priority).collect();
    ranks.sort_unstable_by(|a, b| b.cmp(a));
    ranks.dedup();
    let mut known: Option<Draft> = None;
    for rank in ranks.into_iter().map(Some).chain([None]) {
        let Some(draft) = program(model, &limits, &Leave { most: &left, rank }) else { break };
        for ((left, shares), size) in left.iter_mut().zip(&draft.shares).zip(&model.sizes) {
            if rank.is_none_or(|rank| size.priority >= rank) {
                *left = (1.0 - shares.iter().sum::<f64>()).clamp(0.0, 1.0);
            }
        }
        known = Some(draft);
    }
    // Where the time ran out, what the higher ranks got; where it did so at once, the minimums.
    let draft = known.unwrap_or_else(|| Draft {
        shares: vec![vec![0.0; model.types.len()]; model.sizes.len()],
        replicas: model.types.iter().map(|one| one.min).collect(),
    });
    let bound = model.objective(&draft.replicas);
    (Status::Infeasible, draft, bound)
}

/// Time for what is served of an infeasible problem, however late it is.
const RESERVE: Duration = Duration::from_millis(200);
