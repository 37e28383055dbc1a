//! How long replicas take to start: from a pod's creation to when it became ready, each pod counted once.

use super::view::PodView;
use autoscaler_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The latest this many: an image or a model that loads faster than last month's should show soon.
const MOST_SAMPLES: usize = 256;
/// A pod that is first seen ready may have been so before; a start that took longer than this is not believed then.
const BELIEVED: Span = Span::secs(3600);

/// What was measured, to be remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    samples: VecDeque<Span>,
    count: u64,
}

/// Start-up times of a target.
#[derive(Debug, Clone, Default)]
pub(crate) struct StartUps {
    measured: Measured,
    /// Pods that exist, and whether they have been counted. Others are forgotten, so this is as many as there are pods.
    known: HashMap<Box<str>, bool>,
    /// Pods that were ready by then were counted by who measured before.
    counted_until: Option<Timestamp>,
}

/// Start-up times in brief.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StartUp {
    /// Starts ever measured.
    pub(crate) count: u64,
    /// Of the latest starts: the middle.
    pub(crate) p50: Span,
    /// Nine in ten are as fast.
    pub(crate) p90: Span,
    /// The slowest.
    pub(crate) max: Span,
}

impl Measured {
    /// Starts ever measured.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Seconds of the starts after so many, as far as they are kept.
    pub(crate) fn since(&self, count: u64) -> Vec<f64> {
        let new = usize::try_from(self.count.saturating_sub(count)).unwrap_or(usize::MAX);
        self.samples.iter().skip(self.samples.len().saturating_sub(new)).map(|span| span.as_secs()).collect()
    }
}

impl StartUps {
    /// Goes on with what was measured until then.
    pub(crate) fn resume(measured: Measured, until: Timestamp) -> Self {
        Self { measured, counted_until: Some(until), ..Self::default() }
    }

    /// What was measured so far.
    pub(crate) fn measured(&self) -> &Measured {
        &self.measured
    }

    /// Looks at the pods of the target, as often as one likes.
    pub(crate) fn observe(&mut self, pods: &[Arc<PodView>]) {
        let mut known = HashMap::with_capacity(pods.len());
        for pod in pods.iter().filter(|pod| !pod.uid.is_empty()) {
            let before = self.known.get(&pod.uid).copied();
            let counted = before == Some(true);
            if !counted && pod.serves() {
                self.measure(pod, before.is_some());
            }
            known.insert(pod.uid.clone(), counted || pod.serves());
        }
        self.known = known;
    }

    /// A pod that was seen starting is measured whatever happened to it. One that is first seen ready tells its last
    /// change of readiness, which is its first only where nothing was restarted.
    fn measure(&mut self, pod: &PodView, seen_starting: bool) {
        let Some(took) = pod.ready_at.map(|ready| ready.since(pod.created)).filter(|took| *took > Span::ZERO) else {
            return;
        };
        let counted = || self.counted_until.is_some_and(|until| pod.ready_at <= Some(until));
        if !seen_starting && (pod.restarts > 0 || took > BELIEVED || counted()) {
            return;
        }
        let measured = &mut self.measured;
        if measured.samples.len() >= MOST_SAMPLES {
            measured.samples.pop_front();
        }
        measured.samples.push_back(took);
        measured.count += 1;
    }

    /// In brief; none before the first start.
    pub(crate) fn summary(&self) -> Option<StartUp> {
        let mut sorted: Vec<Span> = self.measured.samples.iter().copied().collect();
        sorted.sort_unstable();
        // The nearest rank: a time that was measured, not one in between.
        let rank = |hundredths: usize| sorted.get((sorted.len() * hundredths).div_ceil(100).saturating_sub(1)).copied();
        Some(StartUp { count: self.measured.count, p50: rank(50)?, p90: rank(90)?, max: rank(100)? })
    }
}
