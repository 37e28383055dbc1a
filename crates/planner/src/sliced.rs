//! The search where sizes go in whole slices: counts in the order of what they come to, each judged; those of which nothing was found
//! out are judged again, harder, as long as there is time.

use crate::greedy::Draft;
use crate::limits::Limits;
use crate::search::counts::{Search, Verdict};
use crate::search::joint::{self, Found};
use crate::slices;
use crate::together::Together;
use std::sync::Arc;
use std::time::Duration;

/// Efforts where nodes are what ends a search: each takes twice as long as the one before.
const MOST_EFFORT: u32 = 4;
/// Part of the time for counts judged lightly, before all else.
const FIRST: f64 = 0.005;
/// Parts of the time that is left for counts and slices together, where there is one thread: where all cheaper counts have been
/// judged, if in vain, and where there were too many.
const SEEN: f64 = 0.4;
const UNSEEN: f64 = 0.85;
/// Part of the time that is left for counts that nobody has looked at yet, before those that are open are judged again.
const VISIT: f64 = 0.25;
/// Counts near an answer that are judged at a time.
const NEAR: usize = 12;
/// Least time of a part.
const LEAST: Duration = Duration::from_millis(20);

/// The cheapest draft; the search knows the bound.
pub(crate) fn find(search: &mut Search<'_>, slices: u32, draft: Option<Draft>, limits: &Limits) -> Option<Draft> {
    let mut best = draft;
    // Most of the time is for what turns out to be hard.
    visit(search, slices, &mut best, &limits.part(FIRST, LEAST));
    let closed = |search: &Search<'_>| search.beaten(search.bound());
    if closed(search) || limits.nodes.is_none() && beside(search, slices, &mut best, limits) {
        return best;
    }
    // One thread: the two take turns.
    if !limits.reached(0) {
        let share = if search.seen() { SEEN } else { UNSEEN };
        let (model, known) = (search.model, search.best.as_ref().map(|(value, _)| *value));
        let found = joint::search(model, slices, known, &limits.part(share, LEAST));
        take(search, &mut best, found);
    }
    harder(search, slices, &mut best, limits);
    best
}

/// Judges again and again what is open, and what nobody has looked at yet.
fn harder(search: &mut Search<'_>, slices: u32, best: &mut Option<Draft>, limits: &Limits) {
    for effort in 1.. {
        let over = limits.reached(0) || (limits.nodes.is_some() && effort > MOST_EFFORT);
        if search.beaten(search.bound()) || over {
            break;
        }
        near(search, slices, best, limits);
        // Part of what is left for counts that nobody has looked at yet.
        visit(search, slices, best, &limits.part(VISIT, LEAST));
        again(search, slices, effort, best, limits);
    }
}

/// Goes on judging while another thread searches counts and slices together; the better answer of the two. False where there is no
/// other thread to be had.
fn beside(search: &mut Search<'_>, slices: u32, best: &mut Option<Draft>, limits: &Limits) -> bool {
    let together = Arc::new(Together::default());
    let limits = limits.with(&together);
    let known = search.best.as_ref().map(|(value, _)| *value);
    if let Some(known) = known {
        together.found(known);
    }
    let model = search.model;
    let found = std::thread::scope(|scope| {
        let joint = || {
            let found = joint::search(model, slices, known, &limits);
            // Where it has come to an end before its time, there is nothing left to be searched.
            if found.all {
                together.end();
            }
            found
        };
        let thread = std::thread::Builder::new().name("planner".to_owned()).spawn_scoped(scope, joint).ok()?;
        search.together = Some(Arc::clone(&together));
        harder(search, slices, best, &limits);
        together.end();
        // What was left out here relies on what was found there.
        Some(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    search.together = None;
    let Some(found) = found else { return false };
    take(search, best, found);
    true
}

/// Takes what the search of counts and slices together came to.
fn take(search: &mut Search<'_>, best: &mut Option<Draft>, found: Found) {
    if let Some(draft) = found.draft {
        adopt(search, best, draft);
    }
    if found.all {
        search.settle(search.best.as_ref().map_or(f64::INFINITY, |(value, _)| *value));
    }
}

/// Takes a draft over if it is cheaper than all before.
fn adopt(search: &mut Search<'_>, best: &mut Option<Draft>, draft: Draft) {
    let value = search.model.objective(&draft.replicas);
    if search.best.as_ref().is_none_or(|(best, _)| value < *best) {
        search.offer(draft.replicas.clone());
        *best = Some(draft);
    }
}

/// Looks near the best answer, as long as that leads to a cheaper one.
fn near(search: &mut Search<'_>, slices: u32, best: &mut Option<Draft>, limits: &Limits) {
    loop {
        if let Some(draft) = search.together.as_ref().and_then(|together| together.take()) {
            adopt(search, best, draft);
        }
        let candidates = search.roomiest(limits);
        let fitting = |counts: &Vec<u32>| {
            if limits.reached(0) {
                return None;
            }
            let (verdict, shares) = slices::judge(search.model, slices, &mut search.blocks, counts, 0, limits);
            (verdict == Verdict::Carries).then(|| Draft { shares, replicas: counts.clone() })
        };
        let Some(draft) = candidates.iter().take(NEAR).find_map(fitting) else { return };
        search.offer(draft.replicas.clone());
        *best = Some(draft);
    }
}

/// Goes on with the search, each count judged lightly.
fn visit(search: &mut Search<'_>, slices: u32, best: &mut Option<Draft>, limits: &Limits) {
    let model = search.model;
    search.run(limits, &mut |blocks, counts, value| {
        let (verdict, shares) = slices::judge(model, slices, blocks, counts, 0, limits);
        // Counts that a node came to need not be cheaper than what is known.
        if verdict == Verdict::Carries && best.as_ref().is_none_or(|best| value < model.objective(&best.replicas)) {
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
