//! Counts that were settled beforehand: one for the whole run, or a schedule.

use crate::world::{Policy, Seen};

/// Always the same count.
#[derive(Debug, Clone, Copy)]
pub struct Fixed(pub u32);

impl Policy for Fixed {
    fn interval(&self) -> f64 {
        3600.0
    }

    fn decide(&mut self, _seen: &Seen<'_>) -> u32 {
        self.0
    }
}

/// Counts by time: each holds from its second on.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    steps: Vec<(f64, u32)>,
    at: usize,
}

impl Schedule {
    /// Steps in order of time.
    #[must_use]
    pub fn new(steps: Vec<(f64, u32)>) -> Self {
        Self { steps, at: 0 }
    }

    /// What holds at the beginning.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.steps.first().map_or(0, |(_, count)| *count)
    }
}

impl Policy for Schedule {
    /// As fine as the schedule's own steps; it is followed to the second.
    fn interval(&self) -> f64 {
        1.0
    }

    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        while self.steps.get(self.at + 1).is_some_and(|(from, _)| *from <= seen.now) {
            self.at += 1;
        }
        self.steps.get(self.at).map_or(seen.wanted, |(_, count)| *count)
    }

    fn why(&self) -> String {
        "the schedule".to_owned()
    }
}
