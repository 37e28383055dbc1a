//! AIBrix's window: the plain mean of the seconds that were written, the last write of a second winning
//! (aibrix `pkg/controller/podautoscaler/types/metrics.go`). An empty window is absent here, where AIBrix reads zero.

use crate::stage::log::LONGEST;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Samples of the last span, one a second.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MeanWindow {
    // (second, value), ascending; at most one an element a second, so the window's length bounds it.
    samples: VecDeque<(i64, f64)>,
}

impl MeanWindow {
    /// Adds a sample and forgets those that left the window, whose both ends count.
    pub fn record(&mut self, now: Timestamp, window: Span, value: f64) {
        if !value.is_finite() {
            return;
        }
        let second = now.second();
        while self.samples.back().is_some_and(|&(last, _)| last >= second) {
            self.samples.pop_back();
        }
        self.samples.push_back((second, value));
        self.prune(now, window);
    }

    /// The mean at `now`; none where the window holds nothing.
    pub fn mean(&mut self, now: Timestamp, window: Span) -> Option<f64> {
        self.prune(now, window);
        let count = self.samples.len();
        (count > 0).then(|| self.samples.iter().map(|&(_, value)| value).sum::<f64>() / count as f64)
    }

    fn prune(&mut self, now: Timestamp, window: Span) {
        let oldest = (now - window.min(LONGEST)).second();
        while self.samples.front().is_some_and(|&(second, _)| second < oldest) {
            self.samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_the_window_count_and_an_empty_one_is_absent() {
        let at = |second: i64| Timestamp(second * 1_000_000);
        let window = Span::secs(180);
        let mut mean = MeanWindow::default();
        assert_eq!(mean.mean(at(0), window), None);
        for step in 0..=30 {
            mean.record(at(step * 10), window, 1.0);
        }
        assert_eq!(mean.samples.len(), 19);
        mean.record(at(300), window, 20.0);
        assert_eq!(mean.mean(at(300), window), Some(38.0 / 19.0));
        assert_eq!(mean.mean(at(481), window), None);
    }
}
