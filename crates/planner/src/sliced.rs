//! The search where sizes go in whole slices: counts in the order of what they come to, each judged; those of which nothing was found
//! out are judged again, harder, as long as there is time.

use crate::greedy::Draft;
use crate::limits::Limits;
use crate::program::{Found, program};
use crate::search::counts::{Search, Verdict};
use crate::slices;
use std::time::Duration;

/// Efforts where nodes are what ends a search: each takes four times as long as the one before.
const MOST_EFFORT: u32 = 2;
/// Part of the time for counts judged lightly, before all else.
const FIRST: f64 = 0.05;
/// Parts of the time that is left for the whole problem as one program: where all cheaper counts have been judged, if in vain, and
/// where there were too many.
const SEEN: f64 = 0.4;
const UNSEEN: f64 = 0.85;
/// Least time of a part.
const LEAST: Duration = Duration::from_millis(20);

/// The cheapest draft; the search knows the bound.
pub(crate) fn find(search: &mut Search<'_>, slices: u32, draft: Option<Draft>, limits: &Limits) -> Option<Draft> {
    let mut best = draft;
    // Most of the time is for what turns out to be hard.
    visit(search, slices, &mut best, &limits.part(FIRST, LEAST));
    let closed = |search: &Search<'_>| search.beaten(search.bound());
    if !closed(search) && !limits.reached(0) {
        let share = if search.seen() { SEEN } else { UNSEEN };
        whole(search, &mut best, &limits.part(share, LEAST));
    }
    for effort in 1.. {
        let over = limits.reached(0) || (limits.nodes.is_some() && effort > MOST_EFFORT);
        if closed(search) || over {
            break;
        }
        again(search, slices, effort, &mut best, limits);
        // Half of what is left for counts that nobody has looked at yet.
        visit(search, slices, &mut best, &limits.part(0.5, LEAST));
    }
    best
}

/// Goes on with the search, each count judged lightly.
fn visit(search: &mut Search<'_>, slices: u32, best: &mut Option<Draft>, limits: &Limits) {
    let model = search.model;
    search.run(limits, &mut |blocks, counts, _| {
        let (verdict, shares) = slices::judge(model, slices, blocks, counts, 0, limits);
        if verdict == Verdict::Carries {
            *best = Some(Draft { shares, replicas: counts.to_vec() });
        }
        verdict
    });
}

/// Judges what is open again, cheapest first.
fn again(search: &mut Search<'_>, slices: u32, effort: u32, best: &mut Option<Draft>, limits: &Limits) {
    let mut open = std::mem::take(&mut search.open);
    open.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (value, counts) in open {
        if search.beaten(value) {
            continue;
        }
        if limits.reached(0) {
            search.open.push((value, counts));
            continue;
        }
        let (verdict, shares) = slices::judge(search.model, slices, &mut search.blocks, &counts, effort, limits);
        match verdict {
            Verdict::Carries => {
                *best = Some(Draft { shares, replicas: counts.clone() });
                search.offer(counts);
            }
            Verdict::Unknown => search.open.push((value, counts)),
            Verdict::Cannot => {}
        }
    }
}

/// The whole problem as one program: where there were too many counts to judge.
fn whole(search: &mut Search<'_>, best: &mut Option<Draft>, limits: &Limits) {
    let found = program(search.model, best.as_ref(), limits, None);
    if let Found::Some { draft, bound, proven } = found {
        let value = search.model.objective(&draft.replicas);
        // Only what is better by more than rounding takes the place of what was checked exactly.
        if search.best.as_ref().is_none_or(|(best, _)| value < *best - 1e-9) {
            search.offer(draft.replicas.clone());
            *best = Some(draft);
        }
        search.settle(if proven { value } else { bound });
    } else if let Found::Nothing { bound } = found {
        search.settle(bound);
    }
}
