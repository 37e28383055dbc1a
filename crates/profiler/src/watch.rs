//! A run while it goes on: what is known of each request, and whether the run's verdict is already certain.
//!
//! Times are seconds since the run's begin, in trace time. Knows no sockets.

use crate::run::{Ask, Run, Stopped, throughput};
use crate::slo::Slo;
use crate::stats::Stat;

/// A request that was measured, or is being.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    /// Not yet due.
    Coming,
    /// Under way since it was due; whether its first token has come.
    Under {
        /// When it was due.
        due: f64,
        /// Whether its first token has come.
        first: bool,
    },
    /// Answered.
    Done {
        /// When it ended.
        end: f64,
        /// Time to first token.
        ttft: f64,
        /// Time per token after the first.
        tpot: Option<f64>,
        /// From when it was due to its end.
        e2e: f64,
    },
    /// Ended otherwise.
    Failed,
}

/// The measured requests of a run.
#[derive(Debug)]
pub(crate) struct Watch {
    slo: Slo,
    ask: Ask,
    requests: Vec<State>,
    /// Under way when a quarter had ended.
    under_way_early: Option<usize>,
}

/// A run passes early only this far within its limits: were latency to go on growing as it may have begun to, it would still be
/// within them at the end.
const FAR_WITHIN: f64 = 0.45;
/// And only while it carries this share of its rate.
const CARRIED_WELL: f64 = 0.95;

impl Watch {
    /// A run of `count` measured requests.
    pub(crate) fn new(slo: Slo, ask: Ask, count: usize) -> Self {
        Self { slo, ask, requests: vec![State::Coming; count], under_way_early: None }
    }

    /// What is known now of a request; one that is not measured is ignored.
    pub(crate) fn set(&mut self, request: Option<usize>, state: State) {
        if let Some(place) = request.and_then(|request| self.requests.get_mut(request)) {
            *place = state;
        }
    }

    /// The first token of a request has come, if it is still under way.
    pub(crate) fn first(&mut self, request: usize, due: f64) {
        if let Some(place @ State::Under { .. }) = self.requests.get_mut(request) {
            *place = State::Under { due, first: true };
        }
    }

    /// How many have ended.
    pub(crate) fn ended(&self) -> usize {
        self.requests.iter().filter(|state| matches!(state, State::Done { .. } | State::Failed)).count()
    }

    /// Whether the verdict is clear at `now`.
    pub(crate) fn verdict(&mut self, now: f64) -> Option<Stopped> {
        if self.surely_failed(now) {
            return Some(Stopped::Failed);
        }
        let (ended, count) = (self.ended(), self.requests.len());
        let under_way = self.requests.iter().filter(|state| matches!(state, State::Under { .. })).count();
        if ended * 4 >= count && self.under_way_early.is_none() {
            self.under_way_early = Some(under_way);
        }
        // A few more or less are chance.
        let grown = self.under_way_early.is_none_or(|early| under_way as f64 > 1.25 * early as f64 + 3.0);
        let halfway = ended * 2 >= count && ended < count;
        if !halfway || grown {
            return None;
        }
        let run = self.run(now);
        let well = self.slo.strain_of_latency(&run) < FAR_WITHIN && run.throughput >= CARRIED_WELL * run.rate;
        well.then_some(Stopped::Passed)
    }

    /// Whether the statistic misses a limit even if all that is still open ends at once.
    fn surely_failed(&self, now: f64) -> bool {
        let limits = [(self.slo.ttft, 0), (self.slo.tpot, 1), (self.slo.e2e, 2)];
        limits.into_iter().any(|(limit, which)| limit.is_some_and(|limit| self.surely_misses(limit, which, now)))
    }

    fn surely_misses(&self, limit: f64, which: usize, now: f64) -> bool {
        let least = self.requests.iter().map(|state| at_least(state, now)[which]);
        match self.slo.percentile.allowed_misses(self.requests.len()) {
            Some(allowed) => least.filter(|value| *value >= limit).count() > allowed,
            None => least.filter(|value| value.is_finite()).sum::<f64>() / self.requests.len() as f64 >= limit,
        }
    }

    /// What the run is, were it over at `now`: open requests count with their ages.
    pub(crate) fn run(&self, now: f64) -> Run {
        let known = |state: &&State| !matches!(state, State::Coming | State::Failed);
        let stat = |which: usize| {
            let values = self.requests.iter().filter(known).map(|state| at_least(state, now)[which]);
            Stat::of(&values.filter(|value| *value > 0.0).collect::<Vec<_>>())
        };
        let ends: Vec<f64> = self.requests.iter().filter_map(end).collect();
        let seen = self.requests.iter().filter(|state| !matches!(state, State::Coming)).count();
        let failed = self.requests.iter().filter(|state| matches!(state, State::Failed)).count();
        Run {
            requests: seen as u64,
            failed: failed as u64,
            throughput: throughput(&ends),
            ttft: stat(0),
            tpot: (self.ask.cell.output > 1).then(|| stat(1)).flatten(),
            e2e: stat(2),
            ..Run::empty(&self.ask)
        }
    }
}

fn end(state: &State) -> Option<f64> {
    match state {
        State::Done { end, .. } => Some(*end),
        _ => None,
    }
}

/// TTFT, TPOT and E2E of a request, or what they will be at least.
fn at_least(state: &State, now: f64) -> [f64; 3] {
    match *state {
        State::Coming => [0.0; 3],
        State::Under { due, first: true } => [0.0, 0.0, (now - due).max(0.0)],
        State::Under { due, first: false } => [(now - due).max(0.0), 0.0, (now - due).max(0.0)],
        State::Done { ttft, tpot, e2e, .. } => [ttft, tpot.unwrap_or(0.0), e2e],
        State::Failed => [f64::INFINITY; 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Cell;
    use crate::stats::Percentile;

    const ASK: Ask = Ask { cell: Cell { input: 8, output: 4 }, rate: 1.0, attempt: 0, alone: None };

    fn slo(percentile: Percentile) -> Slo {
        Slo { ttft: Some(1.0), tpot: None, e2e: None, percentile }
    }

    fn done(end: f64, ttft: f64) -> State {
        State::Done { end, ttft, tpot: Some(0.01), e2e: ttft + 0.03 }
    }

    #[test]
    fn a_run_has_failed_as_soon_as_more_requests_miss_than_the_percentile_allows() {
        let mut watch = Watch::new(slo(Percentile::P90), ASK, 100);
        for at in 0..11 {
            watch.set(Some(at), State::Under { due: 0.0, first: false });
        }
        assert_eq!(watch.verdict(0.9), None);
        assert_eq!(watch.verdict(1.1), Some(Stopped::Failed), "11 of 100 have waited for longer");
        watch.set(Some(0), State::Under { due: 0.0, first: true });
        assert_eq!(watch.verdict(1.1), None, "10 may");
        watch.set(Some(0), State::Failed);
        assert_eq!(watch.verdict(1.1), Some(Stopped::Failed), "a request that failed is a miss");
    }

    #[test]
    fn a_mean_has_failed_once_the_sum_is_too_much_for_all() {
        let mut watch = Watch::new(slo(Percentile::Mean), ASK, 10);
        watch.set(Some(0), State::Under { due: 0.0, first: false });
        assert_eq!(watch.verdict(9.9), None);
        assert_eq!(watch.verdict(10.1), Some(Stopped::Failed));
    }

    #[test]
    fn a_run_passes_early_only_far_within_its_limits_and_without_a_growing_backlog() {
        let filled = |ttft: f64, under_way: usize| {
            let mut watch = Watch::new(slo(Percentile::P90), ASK, 100);
            (0..30).for_each(|at| watch.set(Some(at), done(at as f64, ttft)));
            assert_eq!(watch.verdict(30.0), None, "too early to say");
            (30..60).for_each(|at| watch.set(Some(at), done(at as f64, ttft)));
            (60..60 + under_way).for_each(|at| watch.set(Some(at), State::Under { due: 59.9, first: false }));
            watch.verdict(60.0)
        };
        assert_eq!(filled(0.1, 1), Some(Stopped::Passed));
        assert_eq!(filled(0.1, 10), None, "the backlog grows");
        assert_eq!(filled(0.8, 1), None, "too near");
    }
}
