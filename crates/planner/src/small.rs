//! Sizes that are too small to matter to a solver are put where there is room.

use crate::greedy::Draft;
use crate::model::Model;
use crate::program::OVERLOAD;

/// Who serves the sizes that were too small to matter.
#[derive(Default)]
pub(crate) struct Small {
    /// Size and type.
    pub(crate) routes: Vec<(usize, usize)>,
    pub(crate) unserved: Vec<usize>,
    pub(crate) grew: bool,
}

/// Puts the sizes that were left out where there is room, else onto one replica more of the cheapest type that may grow.
pub(crate) fn place(model: &Model, draft: &mut Draft) -> Small {
    let mut loads = vec![0.0; model.types.len()];
    for (size, shares) in model.sizes.iter().zip(&draft.shares) {
        for ((load, share), need) in loads.iter_mut().zip(shares).zip(&size.needs) {
            *load += share * need.unwrap_or(0.0);
        }
    }
    let mut small = Small::default();
    for size in &model.small {
        // Where something is kept in reserve, what may not be taken away at any time.
        let kept = |at: &usize| model.reserve <= 0.0 || !model.types[*at].spot;
        let able =
            || size.needs.iter().enumerate().filter_map(|(at, need)| Some((at, (*need)?))).filter(|(at, _)| kept(at));
        let room = able().find(|(at, need)| loads[*at] + need <= f64::from(draft.replicas[*at]) + OVERLOAD);
        let found = room.or_else(|| {
            let may = |(at, _): &(usize, f64)| {
                let one = &model.types[*at];
                let mut after = draft.replicas.clone();
                after[*at] += 1;
                draft.replicas[*at] < one.max && model.within(&after)
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
