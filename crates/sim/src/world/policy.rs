//! What decides in a run.

use super::seen::Seen;

/// Says how many replicas there should be.
pub trait Policy {
    /// Seconds between two decisions.
    fn interval(&self) -> f64 {
        5.0
    }

    /// Seconds between two samples; none takes none beside its decisions.
    fn samples_every(&self) -> Option<f64> {
        None
    }

    /// Seconds between two scrapes, where it does not read the pages itself when it looks.
    fn scrapes_every(&self) -> Option<f64> {
        None
    }

    /// Looks without deciding.
    fn sample(&mut self, _seen: &Seen<'_>) {}

    /// The replicas that it wants.
    fn decide(&mut self, seen: &Seen<'_>) -> u32;

    /// Why it wants what it said last.
    fn why(&self) -> String {
        String::new()
    }
}

/// Says how many replicas of each group there should be.
pub trait Fleet {
    /// Seconds between two decisions.
    fn interval(&self) -> f64;

    /// Seconds between two samples; none takes none beside its decisions.
    fn samples_every(&self) -> Option<f64>;

    /// Seconds between two scrapes, where it does not read the pages itself when it looks.
    fn scrapes_every(&self) -> Option<f64>;

    /// Looks without deciding; one picture a group.
    fn sample(&mut self, seen: &[Seen<'_>]);

    /// The replicas that it wants, by group; a group that is left out stays as it is.
    fn decide(&mut self, seen: &[Seen<'_>]) -> Vec<u32>;

    /// Why it wants what it said last of a group.
    fn why(&self, group: usize) -> String;
}

/// A policy that has one group to itself.
pub(super) struct Alone<'a>(pub(super) &'a mut dyn Policy);

impl Fleet for Alone<'_> {
    fn interval(&self) -> f64 {
        self.0.interval()
    }

    fn samples_every(&self) -> Option<f64> {
        self.0.samples_every()
    }

    fn scrapes_every(&self) -> Option<f64> {
        self.0.scrapes_every()
    }

    fn sample(&mut self, seen: &[Seen<'_>]) {
        seen.iter().take(1).for_each(|seen| self.0.sample(seen));
    }

    fn decide(&mut self, seen: &[Seen<'_>]) -> Vec<u32> {
        seen.iter().take(1).map(|seen| self.0.decide(seen)).collect()
    }

    fn why(&self, _group: usize) -> String {
        self.0.why()
    }
}
