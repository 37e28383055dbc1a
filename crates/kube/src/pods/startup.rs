//! How long pods take from being asked for to being ready, measured: what a forecast has to look ahead.

use super::view::PodView;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Start-ups that are remembered of a target.
const REMEMBERED: usize = 64;

/// Start-up times of one target.
#[derive(Debug, Default, Clone)]
pub(crate) struct Startup {
    /// In seconds, the latest last.
    seconds: VecDeque<f64>,
    /// Pods that were counted, or were ready when they were first seen.
    counted: BTreeSet<String>,
    /// Whether pods were seen before: those that are ready at first say when they became so last, and not first.
    begun: bool,
}

/// A distribution of start-up times, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) max: f64,
}

impl Startup {
    /// Takes a look at a target's pods.
    pub(crate) fn see(&mut self, pods: &[Arc<PodView>]) {
        let ready = pods.iter().filter(|pod| pod.ready == Some(true));
        for pod in ready {
            if !self.counted.insert(pod.uid.clone()) || !self.begun {
                continue;
            }
            let (Some(created), Some(at)) = (pod.created, pod.ready_at) else { continue };
            if self.seconds.len() == REMEMBERED {
                self.seconds.pop_front();
            }
            self.seconds.push_back(at.since(created).as_secs().max(0.0));
        }
        self.begun = true;
        self.counted.retain(|uid| pods.iter().any(|pod| pod.uid == *uid));
    }

    /// What was measured; none before the first start-up.
    pub(crate) fn distribution(&self) -> Option<Distribution> {
        let mut sorted: Vec<f64> = self.seconds.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: usize| sorted.get((sorted.len() * share).div_ceil(100).saturating_sub(1)).copied();
        Some(Distribution { count: sorted.len(), p50: at(50)?, p90: at(90)?, max: *sorted.last()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, ready: Option<&str>) -> Arc<PodView> {
        let mut conditions = Vec::new();
        if let Some(at) = ready {
            conditions.push(json!({"type": "Ready", "status": "True", "lastTransitionTime": at}));
        }
        let pod = json!({"metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-05T00:00:00Z"},
            "status": {"phase": "Running", "conditions": conditions}});
        Arc::new(PodView::of(serde_json::from_value(pod).unwrap()))
    }

    #[test]
    fn each_start_counts_once_and_pods_that_were_there_before_do_not() {
        let mut startup = Startup::default();
        startup.see(&[pod("old", Some("2026-01-05T09:00:00Z"))]);
        assert_eq!(startup.distribution(), None);
        let (old, new) = (pod("old", Some("2026-01-05T09:00:00Z")), pod("new", None));
        startup.see(&[Arc::clone(&old), new]);
        let new = pod("new", Some("2026-01-05T00:00:40Z"));
        for _ in 0..3 {
            startup.see(&[Arc::clone(&old), Arc::clone(&new)]);
        }
        startup.see(&[pod("newer", Some("2026-01-05T00:01:00Z")), new]);
        let expected = Distribution { count: 2, p50: 40.0, p90: 60.0, max: 60.0 };
        assert_eq!(startup.distribution(), Some(expected));
    }
}
