//! Solves a problem: a greedy answer to begin with, then the search over counts; what is answered is checked.

use crate::answer::{Answer, Status};
use crate::assemble::answer;
use crate::greedy::{self, Draft};
use crate::limits::Limits;
use crate::model::Model;
use crate::partly::partly;
use crate::problem::{Problem, ProblemError};
use crate::search::counts::{Search, Verdict};
use crate::{shares, sliced, small};
use std::time::Instant;

/// Answers a problem. Fails only where it cannot be asked.
pub fn solve(problem: &Problem) -> Result<Answer, ProblemError> {
    problem.validate()?;
    let began = Instant::now();
    let model = Model::of(problem);
    let limits = Limits::new(problem.deadline_seconds, problem.node_limit);
    let (status, mut draft, bound) = find(&model, &limits);
    let small = small::place(&model, &mut draft);
    // A replica more for them alone was not weighed against anything.
    let status = if small.grew && status == Status::Optimal { Status::Feasible } else { status };
    Ok(answer(problem, &model, status, &draft, bound, &small, began.elapsed().as_secs_f64()))
}

/// The cheapest draft that was found, how good it is, and what no answer is cheaper than.
fn find(model: &Model, limits: &Limits) -> (Status, Draft, f64) {
    let mut search = Search::new(model);
    let draft = greedy::draft(model).filter(|draft| search.carries(&draft.replicas));
    if let Some(draft) = &draft {
        search.offer(draft.replicas.clone());
    }
    let found = match model.slices {
        Some(slices) => sliced::find(&mut search, slices, draft, limits),
        None => divided(&mut search, limits),
    };
    let Some(draft) = found else { return partly(model, limits) };
    let bound = search.bound();
    let status = if search.beaten(bound) { Status::Optimal } else { Status::Feasible };
    let bound = bound.max(model.simple_bound().min(model.objective(&draft.replicas)));
    (status, draft, bound)
}

fn divided(search: &mut Search<'_>, limits: &Limits) -> Option<Draft> {
    search.run(limits, &mut |_, _, _| Verdict::Carries);
    let (_, replicas) = search.best.clone()?;
    Some(Draft { shares: shares::of(search.model, &mut search.blocks, &replicas), replicas })
}
