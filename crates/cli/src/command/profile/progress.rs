//! The progress bar of a measurement, with the time that is left. Hidden by itself where standard error is no terminal.

use indicatif::{ProgressBar, ProgressStyle};
use profiler::{Sweep, Told};
use std::time::{Duration, Instant};

/// Runs of a cell before any is known.
const RUNS_A_CELL: f64 = 6.0;

pub(super) struct Bar {
    shown: ProgressBar,
    begin: Instant,
    /// Runs that were made, not found in a file.
    made: u32,
    /// All runs.
    runs: u32,
}

impl Bar {
    pub(super) fn new(sweep: &Sweep) -> Self {
        let bar = ProgressBar::new(sweep.cells() as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} sizes  {msg}  {elapsed}") {
            bar.set_style(style);
        }
        Self { shown: bar, begin: Instant::now(), made: 0, runs: 0 }
    }

    pub(super) fn show(&mut self, sweep: &Sweep, told: &Told<'_>) {
        match told {
            Told::Position(ask, at) => {
                let rate = if ask.rate > 0.0 { format!("{:.2}/s", ask.rate) } else { "alone".to_owned() };
                let left = self.left(sweep).map_or_else(String::new, |left| format!(", about {left} left"));
                self.shown.set_message(format!("{}, {rate}: {}/{}{left}", ask.cell, at.ended, at.requests));
            }
            Told::Run { reused, .. } => {
                self.runs += 1;
                self.made += u32::from(!reused);
            }
        }
        self.shown.set_position(sweep.found().len() as u64);
    }

    /// Time left, by the mean of the runs so far.
    fn left(&self, sweep: &Sweep) -> Option<String> {
        if self.made == 0 {
            return None;
        }
        let done = sweep.found().len();
        let a_cell = if done > 0 { f64::from(self.runs) / done as f64 } else { RUNS_A_CELL };
        let cells = sweep.cells().saturating_sub(done + 1) as f64;
        let runs = cells * a_cell + f64::from(sweep.left_in_cell());
        let seconds = (self.begin.elapsed().as_secs_f64() / f64::from(self.made) * runs).round();
        let left = Duration::try_from_secs_f64(seconds).ok()?;
        Some(indicatif::HumanDuration(left).to_string())
    }

    pub(super) fn end(&self) {
        self.shown.finish_and_clear();
    }
}
