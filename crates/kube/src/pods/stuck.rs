//! Pods that were asked for long ago and do not serve: they no longer count as on their way (the core's pending guard sees to
//! that), and somebody has to be told.

use super::view::PodView;
use autoscaler_core::{Phase, Span, Timestamp};
use std::sync::Arc;

/// A pod that does not get ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stuck {
    pub(crate) pod: String,
    /// In words that whoever runs the cluster can act upon.
    pub(crate) why: String,
}

/// The pods that have not become ready within `deadline` of their creation.
pub(crate) fn stuck(pods: &[Arc<PodView>], deadline: Span, now: Timestamp) -> Vec<Stuck> {
    let late = pods.iter().filter(|pod| {
        let starting = matches!(pod.phase, Phase::Pending | Phase::Running) && pod.ready != Some(true) && !pod.deleting;
        starting && pod.created.is_some_and(|created| now.since(created) >= deadline)
    });
    let why = |pod: &PodView| match (pod.waits.as_deref(), pod.phase) {
        (Some("Unschedulable"), _) => "no node has room for it".to_owned(),
        (Some(reason), _) => reason.to_owned(),
        (None, Phase::Pending) => "pending".to_owned(),
        (None, _) => "running and not ready".to_owned(),
    };
    late.map(|pod| Stuck { pod: pod.name.clone(), why: why(pod) }).collect()
}
