//! From batches to the load: what is believed, what is new, and what comes of it. Knows no source.

use crate::batch::{Batch, MAX_RATE, MAX_SPAN_SECONDS, MAX_TIME, Size, is_count, owed};
use crate::bins::{Bin, TOUCH};
use crate::load::{Load, SizeRate};
use crate::mix::Rules;
use crate::rate;
use crate::settings::Settings;
use crate::state::{Backlog, Memory, State};
use std::fmt;

/// After so many batches in a row that are too old, the caller's clock was set back, and its time is believed.
const STRAYS: u32 = 5;
/// Most unfinished requests that are believed.
const MAX_PENDING: f64 = 1e9;
/// Requests whose sizes give confidence one half; see [`Load::confidence`].
const HALF_CONFIDENT: f64 = 25.0;

/// What arrives, how often and how large: batches in, the load out.
///
/// One monitor is for one model. Batches of one span that come from several sources have to be added up first
/// ([`Batch::plus`]): a span that is covered already is not counted again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Monitor {
    memory: Memory,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// Counted, or the share of it whose time was not covered already.
    Taken {
        /// Share of the span that was new, above 0 and up to 1.
        share: f64,
    },
    /// Nothing of it was counted.
    Refused(Refused),
}

/// Why a batch was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// `to` is not after `from`, or a time is not a number or beyond any.
    Span,
    /// The span is longer than [`MAX_SPAN_SECONDS`].
    TooLong,
    /// It ended so long ago that its weight is nothing.
    TooOld,
    /// All of its span was told of before.
    Covered,
    /// A count is negative, not a number, or beyond belief: [`MAX_RATE`] a second, a billion unfinished.
    Count,
    /// It says neither what arrived nor what was finished; that is silence, and not zero load.
    Silent,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span => f.write_str("from and to: must be finite times with to after from"),
            Self::TooLong => write!(f, "from and to: at most {MAX_SPAN_SECONDS} seconds apart"),
            Self::TooOld => f.write_str("to: long before what is already known"),
            Self::Covered => f.write_str("from and to: the span was told of before"),
            Self::Count => write!(f, "arrivals and sizes: counts must be from 0 to {MAX_RATE} a second"),
            Self::Silent => f.write_str("arrivals and sizes: nothing is said"),
        }
    }
}

impl Monitor {
    /// A monitor that knows nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { memory: Memory { settings: settings.sound(), ..Memory::default() } }
    }

    /// Takes what a source tells of a span. Spans may come out of order and overlap: what is covered is not counted twice.
    /// Sizes that are negative or no numbers are passed over; a batch that cannot be believed is refused whole.
    pub fn add(&mut self, batch: &Batch) -> Outcome {
        match self.take(batch) {
            Ok(share) => Outcome::Taken { share },
            Err(refused) => Outcome::Refused(refused),
        }
    }

    fn take(&mut self, batch: &Batch) -> Result<f64, Refused> {
        check(batch)?;
        self.be_on_time(batch)?;
        let parts = self.memory.bins.uncovered(batch.from, batch.to);
        let uncovered: f64 = parts.iter().map(|(from, to)| to - from).sum();
        if parts.is_empty() {
            return Err(Refused::Covered);
        }
        let share = (uncovered / batch.seconds()).min(1.0);
        let arrivals = self.arrivals(batch);
        self.remember_backlog(batch);
        let memory = &mut self.memory;
        let rules = Rules {
            half_life: memory.settings.mix_half_life,
            cells_per_octave: memory.settings.cells_per_octave,
            max_cells: memory.settings.max_cells,
        };
        if !batch.sizes.is_empty() {
            memory.mix.add(batch.to, &batch.sizes, share, rules);
        }
        let arrivals = arrivals.ok_or(Refused::Silent)?;
        for (from, to) in parts {
            let count = arrivals * ((to - from) / batch.seconds());
            memory.bins.add(Bin { from, to, count }, memory.since);
        }
        if let Some(newest) = memory.bins.newest() {
            memory.bins.forget_before(newest - memory.settings.horizon());
        }
        if let Some(step) = rate::step(memory.bins_in_use(), memory.settings.change) {
            memory.since = Some(step);
        }
        Ok(share)
    }

    /// Refuses what is long past, unless so much of it comes that the clock must have been set back.
    fn be_on_time(&mut self, batch: &Batch) -> Result<(), Refused> {
        let memory = &mut self.memory;
        let horizon = memory.settings.horizon();
        if memory.bins.newest().is_none_or(|newest| batch.to >= newest - horizon) {
            memory.strays = 0;
            return Ok(());
        }
        memory.strays += 1;
        if memory.strays < STRAYS {
            return Err(Refused::TooOld);
        }
        let mut mix = std::mem::take(&mut memory.mix);
        mix.move_to(batch.from);
        *memory = Memory { settings: memory.settings, mix, ..Memory::default() };
        Ok(())
    }

    /// What arrived: as told, or what was finished and what is unfinished more than before. `None` if nothing says it.
    fn arrivals(&mut self, batch: &Batch) -> Option<f64> {
        let before_owed = std::mem::take(&mut self.memory.owed);
        if batch.arrivals.is_some() {
            return batch.arrivals;
        }
        let done: f64 = known(&batch.sizes).map(|(_, count)| count).sum();
        let tolerance = TOUCH + batch.seconds() / 100.0;
        let before = self.memory.backlog.filter(|backlog| (backlog.at - batch.from).abs() <= tolerance);
        let before = before.and_then(|backlog| backlog.pending);
        match (before, batch.pending) {
            (Some(before), Some(now)) => {
                let arrived = done + now - before - before_owed;
                self.memory.owed = owed(arrived, done);
                Some(arrived.clamp(0.0, MAX_RATE * batch.seconds()))
            }
            // Nothing was finished and nothing is left: nothing came.
            (None, Some(0.0)) => Some(done),
            _ => known(&batch.sizes).next().map(|_| done),
        }
    }

    fn remember_backlog(&mut self, batch: &Batch) {
        let said = batch.pending.is_some() || batch.queued.is_some();
        if said && self.memory.backlog.is_none_or(|known| known.at < batch.to) {
            let (pending, queued) = (batch.pending, batch.queued);
            self.memory.backlog = Some(Backlog { at: batch.to, pending, queued });
        }
    }

    /// The load as it is now. Without news only its age grows: silence is not zero load.
    #[must_use]
    pub fn load(&self, now: f64) -> Load {
        let memory = &self.memory;
        let estimate = rate::estimate(memory.bins_in_use(), memory.settings.half_life);
        let cell = |(share, size): (f64, Size)| SizeRate {
            input: size.input,
            output: size.output,
            rate: share * estimate.rate,
        };
        let samples = memory.mix.samples();
        Load {
            at: now,
            rate: estimate.rate,
            sizes: memory.mix.shares().into_iter().map(cell).collect(),
            pending: memory.backlog.and_then(|backlog| backlog.pending),
            queued: memory.backlog.and_then(|backlog| backlog.queued),
            confidence: samples / (samples + HALF_CONFIDENT),
            age: memory.bins.newest().map_or(f64::INFINITY, |newest| (now - newest).max(0.0)),
            samples,
            rate_error: estimate.error,
            since: memory.since,
        }
    }

    /// What another process needs to go on.
    #[must_use]
    pub fn state(&self) -> State {
        State::of(self.memory.clone())
    }

    /// A monitor that goes on from a state; nothing where the state is of another version or not within its bounds.
    #[must_use]
    pub fn restore(state: State) -> Option<Self> {
        state.is_sound().then_some(Self { memory: state.memory })
    }
}

impl Memory {
    /// The spans that the rate is taken from: those since the last step.
    fn bins_in_use(&self) -> &[Bin] {
        let bins = self.bins.all();
        let first = self.since.map_or(0, |since| bins.partition_point(|bin| bin.from < since - TOUCH));
        // A step that all spans since were forgotten of says nothing any more.
        if first == bins.len() { bins } else { &bins[first..] }
    }
}

/// Sizes that can be believed.
fn known(sizes: &[(Size, f64)]) -> impl Iterator<Item = &(Size, f64)> {
    sizes.iter().filter(|(size, count)| is_count(size.input) && is_count(size.output) && is_count(*count))
}

fn check(batch: &Batch) -> Result<(), Refused> {
    let is_time = |time: f64| time.is_finite() && time.abs() <= MAX_TIME;
    if !is_time(batch.from) || !is_time(batch.to) || batch.seconds() <= TOUCH {
        return Err(Refused::Span);
    }
    if batch.seconds() > MAX_SPAN_SECONDS {
        return Err(Refused::TooLong);
    }
    let done: f64 = known(&batch.sizes).map(|(_, count)| count).sum();
    let flows = batch.arrivals.into_iter().chain([done]);
    let stocks = batch.pending.into_iter().chain(batch.queued);
    let flow = |count: f64| is_count(count) && count <= MAX_RATE * batch.seconds();
    let stock = |count: f64| is_count(count) && count <= MAX_PENDING;
    if flows.into_iter().all(flow) && stocks.into_iter().all(stock) { Ok(()) } else { Err(Refused::Count) }
}
