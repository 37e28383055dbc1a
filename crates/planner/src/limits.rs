//! When a search ends: at a deadline, or after so many nodes, which is the same on every machine.

use crate::greedy::Draft;
use crate::together::Together;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// None where nodes alone count.
    until: Option<Instant>,
    /// The deadline that this is a part of.
    end: Option<Instant>,
    pub(crate) nodes: Option<u64>,
    /// Another search of the same problem, which may end this one.
    together: Option<Arc<Together>>,
}

impl Limits {
    /// With a number of nodes the clock is not looked at.
    pub(crate) fn new(seconds: f64, nodes: Option<u64>) -> Self {
        let until = Instant::now().checked_add(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        let until = until.filter(|_| nodes.is_none());
        Self { until, end: until, nodes, together: None }
    }

    pub(crate) fn reached(&self, nodes: u64) -> bool {
        self.together.as_ref().is_some_and(|together| together.over())
            || self.nodes.is_some_and(|most| nodes >= most)
            || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// What is left; none where the clock does not count.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// The same with a part of the time that is left, and at least so much.
    pub(crate) fn part(&self, share: f64, least: Duration) -> Self {
        let until = self.left().and_then(|left| Instant::now().checked_add(left.mul_f64(share).max(least)));
        Self { until, ..self.clone() }
    }

    /// The same with all the time that there is, not a part of it, and at least so much.
    pub(crate) fn all(&self, least: Duration) -> Self {
        Self { until: self.end, ..self.clone() }.part(1.0, least)
    }

    /// The same, ended by what two searches tell each other, too.
    pub(crate) fn with(&self, together: &Arc<Together>) -> Self {
        Self { together: Some(Arc::clone(together)), ..self.clone() }
    }

    /// Tells another search what an answer comes to.
    pub(crate) fn found(&self, objective: f64, draft: &Draft) {
        if let Some(together) = &self.together {
            together.leave(draft);
            together.found(objective);
        }
    }

    /// The cheapest objective that either of two searches knows.
    pub(crate) fn best(&self) -> Option<f64> {
        self.together.as_ref().and_then(|together| together.best())
    }
}
