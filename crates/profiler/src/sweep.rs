//! The walk over a grid: which run next, and what the runs say of each cell.
//!
//! It does not run anything. [`Sweep::next_ask`] says what is wanted and [`Sweep::take`] is told what came of it, so that an engine
//! behind a socket, an engine model and the file of an interrupted measurement are all the same to it, and the same outcomes
//! lead to the same walk. Sizes are walked from small to large: a longer prompt is never carried more often than a shorter one, so
//! that a rate at which the shorter one failed is not tried again, and what is impossible stays so. The same goes for answers,
//! unless the time per token is limited: the prompts of others stall a long answer as often as a short one, and over more tokens
//! it shows less, so that longer answers may be carried more often.

use crate::knee::Knee;
use crate::run::{Ask, Cell, Run};
use crate::slo::Slo;
use crate::stats::Stat;
use std::collections::VecDeque;

/// What is to be found, and how closely.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Prompt tokens, ascending.
    pub inputs: Vec<u32>,
    /// Answer tokens, ascending.
    pub outputs: Vec<u32>,
    /// What has to be kept.
    pub slo: Slo,
    /// Relative tolerance of the knee: 0.05 is 5 %.
    pub tolerance: f64,
    /// Most runs at one rate, of which the majority decides; more than one only where a run was near its limit.
    pub repeats: u32,
    /// Largest rate that is tried, requests a second.
    pub max_rate: f64,
    /// Rates of which every one is run in every cell, ascending, in place of the search: AIBrix's way.
    pub rates: Option<Vec<f64>>,
}

/// Why a cell carries nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Impossible {
    /// Even one request at a time misses the SLO; the best that can be had.
    Alone(String),
    /// A smaller size misses it already.
    Smaller(Cell),
    /// The engine does not take requests of this size.
    Refused(String),
    /// It is not kept at the smallest rate that was tried, requests a second.
    Together(f64),
}

impl std::fmt::Display for Impossible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Alone(best) => write!(f, "one request at a time misses the SLO: {best}"),
            Self::Smaller(cell) => write!(f, "the smaller size of {cell} misses the SLO already"),
            Self::Refused(why) => write!(f, "the engine refuses this size: {why}"),
            Self::Together(rate) => write!(f, "not kept at {rate:.3} requests/s, the smallest rate that was tried"),
        }
    }
}

/// What is known of a cell in the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Which size.
    pub cell: Cell,
    /// Requests a second within the SLO; 0 where none.
    pub capacity: f64,
    /// The run at the capacity; of repeats the one of median latency.
    pub at: Option<Run>,
    /// One request at a time.
    pub alone: Option<Run>,
    /// Why the capacity is 0.
    pub impossible: Option<Impossible>,
    /// Whether the knee lies above the largest rate that may be tried.
    pub above: bool,
    /// All runs, in order.
    pub runs: Vec<Run>,
    /// Smallest rate that is known to fail.
    ceiling: Option<f64>,
}

/// A walk under way.
#[derive(Debug, Clone)]
pub struct Sweep {
    plan: Plan,
    found: Vec<Found>,
    now: Option<Work>,
}

/// The cell that is being worked on.
#[derive(Debug, Clone)]
struct Work {
    found: Found,
    search: Search,
    /// Verdicts at the present rate.
    votes: VecDeque<bool>,
}

#[derive(Debug, Clone)]
enum Search {
    /// One request at a time comes first.
    Alone,
    Knee(Knee),
    /// Every rate; how many are done.
    Every(usize),
}

/// A run this near to the limit, either way, is repeated.
const NEAR: std::ops::Range<f64> = 0.9..1.12;
/// As is one that carried about as much of its rate as it has to.
const NEAR_CARRIED: std::ops::Range<f64> = 0.86..0.94;
/// First step from a guess that neighbours support, and from one that they do not.
const SHORT_STEP: f64 = 1.2;
const LONG_STEP: f64 = 1.6;
/// Share of the time that the smallest rate keeps an engine busy: less is one request at a time.
const LEAST_BUSY: f64 = 0.02;

impl Sweep {
    /// A walk that has not begun.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self { plan, found: Vec::new(), now: None }
    }

    /// What is wanted.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Cells that are done, output by output, each from the smallest input.
    #[must_use]
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Cells there are.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.plan.inputs.len() * self.plan.outputs.len()
    }

    /// About how many runs the cell in work still needs.
    #[must_use]
    pub fn left_in_cell(&self) -> u32 {
        let all = self.plan.rates.as_ref().map_or(0, Vec::len);
        match self.now.as_ref().map(|work| &work.search) {
            None => 0,
            // Alone, three to bracket the knee, two to narrow it.
            Some(Search::Alone) => 6,
            Some(Search::Knee(knee)) => knee.left(),
            Some(Search::Every(done)) => u32::try_from(all - done).unwrap_or(u32::MAX),
        }
    }

    /// What to run next; none where all cells are done.
    pub fn next_ask(&mut self) -> Option<Ask> {
        loop {
            if self.now.is_none() {
                let cell = self.cell(self.found.len())?;
                self.begin(cell);
            }
            let Some(work) = &self.now else { continue };
            let cell = work.found.cell;
            let rate = match &work.search {
                Search::Alone => return Some(Ask { cell, rate: 0.0, attempt: 0, alone: None }),
                Search::Knee(knee) => knee.next(),
                Search::Every(done) => self.plan.rates.as_ref().and_then(|rates| rates.get(*done).copied()),
            };
            if let Some(rate) = rate {
                let attempt = u32::try_from(work.votes.len()).unwrap_or(u32::MAX);
                let alone = work.found.alone.as_ref().and_then(|run| run.e2e).map(|stat| stat.mean);
                return Some(Ask { cell, rate, attempt, alone });
            }
            self.end();
        }
    }

    /// Takes what came of what [`Sweep::next_ask`] asked for.
    pub fn take(&mut self, run: Run) {
        let (slo, repeats) = (self.plan.slo, self.plan.repeats);
        let Some(work) = &mut self.now else { return };
        work.found.runs.push(run.clone());
        match &mut work.search {
            Search::Alone => return self.take_alone(run),
            Search::Every(done) => {
                *done += 1;
                return;
            }
            Search::Knee(_) => {}
        }
        // A run that stopped early was far from its limit, or surely beyond it.
        let near = NEAR.contains(&slo.strain_of_latency(&run)) || NEAR_CARRIED.contains(&(run.throughput / run.rate));
        let clear = run.stopped.is_some() || !near;
        work.votes.push_back(slo.kept(&run));
        let votes = u32::try_from(work.votes.len()).unwrap_or(u32::MAX);
        let passed = u32::try_from(work.votes.iter().filter(|passed| **passed).count()).unwrap_or(u32::MAX);
        let decided = passed * 2 > repeats || (votes - passed) * 2 > repeats || votes >= repeats;
        if decided || (clear && votes == 1) {
            let rate = run.rate;
            work.votes.clear();
            if let Search::Knee(knee) = &mut work.search {
                knee.take(rate, passed * 2 > votes);
            }
        }
    }

    fn cell(&self, at: usize) -> Option<Cell> {
        let columns = self.plan.inputs.len();
        let output = *self.plan.outputs.get(at.checked_div(columns)?)?;
        Some(Cell { input: self.plan.inputs[at % columns], output })
    }

    /// The cells that are done with one size less of input, of output, and of both.
    fn smaller(&self) -> [Option<&Found>; 3] {
        let (at, columns) = (self.found.len(), self.plan.inputs.len());
        let left = at % columns > 0;
        let back = |by: usize| at.checked_sub(by).and_then(|place| self.found.get(place));
        [left.then(|| back(1)).flatten(), back(columns), left.then(|| back(columns + 1)).flatten()]
    }

    /// Whether what makes a cell impossible makes larger ones so.
    fn spreads(&self, found: &Found) -> bool {
        match &found.impossible {
            None => false,
            // Under load a longer answer may keep a time per token that a shorter one does not.
            Some(Impossible::Together(_)) => self.plan.slo.tpot.is_none(),
            Some(_) => true,
        }
    }

    fn begin(&mut self, cell: Cell) {
        let smaller = self.smaller();
        let hopeless = smaller.into_iter().flatten().find(|found| self.spreads(found)).map(|found| found.cell);
        let [left, above, _] = smaller;
        let above = above.filter(|_| self.plan.slo.tpot.is_none());
        let ceiling = [left, above].into_iter().flatten().filter_map(|found| found.ceiling).reduce(f64::min);
        let every = self.plan.rates.is_some();
        let hopeless = hopeless.filter(|_| !every);
        let impossible = hopeless.map(Impossible::Smaller);
        let (at, alone) = (None, None);
        let found = Found { cell, capacity: 0.0, at, alone, impossible, above: false, runs: Vec::new(), ceiling };
        if hopeless.is_some() {
            self.found.push(found);
            if let Some(next) = self.cell(self.found.len()) {
                self.begin(next);
            }
            return;
        }
        self.now =
            Some(Work { found, search: if every { Search::Every(0) } else { Search::Alone }, votes: VecDeque::new() });
    }

    /// One request at a time: impossible, or the search begins.
    fn take_alone(&mut self, run: Run) {
        let guess = self.guess(&run);
        let Some(mut work) = self.now.take() else { return };
        let missed = self.plan.slo.missed(&run).map(|missed| Impossible::Alone(missed.to_string()));
        let impossible = run.refused.clone().map(Impossible::Refused).or(missed);
        let alone = run.e2e.map_or(1.0, |stat| stat.mean).max(1e-6);
        work.found.alone = Some(run);
        if impossible.is_some() {
            work.found.impossible = impossible;
            self.found.push(work.found);
            return;
        }
        let (guess, step) = guess.unwrap_or((1.0 / alone, LONG_STEP));
        let bounds = ((LEAST_BUSY / alone).min(self.plan.max_rate), self.plan.max_rate);
        work.search = Search::Knee(Knee::new(guess, step, self.plan.tolerance, bounds, work.found.ceiling));
        self.now = Some(work);
    }

    /// The capacity that smaller sizes let expect, and whether it is mostly near. With three neighbours, capacities change by the
    /// same factor along both edges of a square. A longer prompt costs about as much more as its prefill takes alone; a longer
    /// answer far less than its time, since answers share iterations.
    fn guess(&self, run: &Run) -> Option<(f64, f64)> {
        let [left, above, diagonal] = self.smaller();
        let carried = |found: &Found| (found.capacity > 0.0 && !found.above).then_some(found.capacity);
        let known = (left.and_then(carried), above.and_then(carried), diagonal.and_then(carried));
        if let (Some(left), Some(above), Some(diagonal)) = known {
            return Some(((left * above / diagonal).min(left), SHORT_STEP));
        }
        let longer = |of: fn(&Run) -> Option<Stat>, found: &Found| {
            Some((of(run)?.mean / of(found.alone.as_ref()?)?.mean).max(1.0))
        };
        if let Some(left) = left {
            return Some((carried(left)? / longer(|run| run.ttft, left)?, LONG_STEP));
        }
        let above = above?;
        Some((carried(above)? / longer(|run| run.e2e, above)?.sqrt(), LONG_STEP))
    }

    fn end(&mut self) {
        let Some(work) = self.now.take() else { return };
        let mut found = work.found;
        let Search::Knee(knee) = work.search else {
            self.found.push(of_every(found, &self.plan.slo));
            return;
        };
        found.ceiling = knee.high();
        found.above = knee.high().is_none();
        match knee.low() {
            Some(low) => {
                let at = median(found.runs.iter().filter(|run| run.rate == low && self.plan.slo.kept(run)));
                found.capacity = at.as_ref().map_or(low, |run| carried(run, low));
                found.at = at;
            }
            None => found.impossible = Some(Impossible::Together(knee.high().unwrap_or_default())),
        }
        self.found.push(found);
    }
}

/// AIBrix's rule for a cell of which every rate was run (`aibrix_gen_profile`): of the rates within the SLO the largest of which
/// nine tenths were carried, or else the smallest.
fn of_every(mut found: Found, slo: &Slo) -> Found {
    let within = |run: &&Run| run.stopped.is_none() && slo.strain_of_latency(run) < 1.0;
    let carries = |run: &&Run| run.throughput >= crate::slo::CARRIED * run.rate;
    let kept: Vec<&Run> = found.runs.iter().filter(within).collect();
    let at = kept.iter().rev().copied().find(|run| carries(run)).or_else(|| kept.first().copied()).cloned();
    if at.is_none() {
        found.impossible = Some(Impossible::Together(found.runs.first().map_or(0.0, |run| run.rate)));
    }
    found.capacity = at.as_ref().map_or(0.0, |run| run.throughput);
    found.at = at;
    found
}

/// What was completed at a rate: less than was offered where the engine fell behind a little, and never more.
fn carried(run: &Run, rate: f64) -> f64 {
    if run.stopped.is_some() || run.throughput <= 0.0 { rate } else { run.throughput.min(rate) }
}

fn median<'a>(runs: impl Iterator<Item = &'a Run>) -> Option<Run> {
    let mut runs: Vec<&Run> = runs.collect();
    let mean = |run: &Run| run.e2e.map_or(0.0, |stat| stat.mean);
    runs.sort_by(|a, b| mean(a).total_cmp(&mean(b)));
    runs.get(runs.len().saturating_sub(1) / 2).map(|run| (*run).clone())
}
