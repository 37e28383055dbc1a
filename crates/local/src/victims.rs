//! Which replicas to stop when a group shrinks. Pure.

use std::cmp::Reverse;

use crate::status::{ReplicaId, ReplicaState, ReplicaStatus};

/// `count` of `replicas` (fewer if there are not as many), the best to stop first: what serves nobody before what
/// does, then by `load` (least first), then the youngest. Leaving and ended ones are not considered.
///
/// A key and not a comparison: sorting may panic on a comparison that is no total order.
pub(crate) fn victims<Load: Ord>(
    mut replicas: Vec<ReplicaStatus>,
    count: usize,
    mut load: impl FnMut(&ReplicaStatus) -> Load,
) -> Vec<ReplicaId> {
    replicas.retain(|replica| !replica.leaving && !replica.state.is_final());
    replicas.sort_by_cached_key(|replica| (stage(replica.state), load(replica), Reverse(replica.index)));
    replicas.into_iter().take(count).map(|replica| replica.id).collect()
}

/// How far a replica is from serving; the least is given up first. One that is not ready now may still finish requests.
fn stage(state: ReplicaState) -> u8 {
    match state {
        ReplicaState::Pending(_) => 0,
        ReplicaState::BackingOff => 1,
        // Not leaving: it did not become ready in time.
        ReplicaState::Stopping => 2,
        ReplicaState::Starting => 3,
        ReplicaState::NotReady => 4,
        ReplicaState::Ready | ReplicaState::Draining | ReplicaState::Stopped | ReplicaState::Failed => 5,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::time::Instant;

    use super::*;
    use crate::status::PendingReason;

    fn replica(index: u32, state: ReplicaState, leaving: bool) -> ReplicaStatus {
        let now = Instant::now();
        ReplicaStatus {
            id: ReplicaId::new("a", index),
            group: "a".into(),
            index,
            state,
            leaving,
            pid: None,
            ports: BTreeMap::new(),
            gpus: Vec::new(),
            created_at: now,
            started_at: None,
            ready_at: None,
            readiness_changed_at: now,
            restarts: 0,
            last_exit: None,
            outdated: false,
        }
    }

    #[test]
    fn what_does_not_serve_goes_first_then_the_least_busy_then_the_youngest() {
        let replicas = vec![
            replica(0, ReplicaState::Ready, false),
            replica(1, ReplicaState::Ready, false),
            replica(2, ReplicaState::Starting, false),
            replica(3, ReplicaState::Pending(PendingReason::NoGpu), false),
            replica(4, ReplicaState::Draining, true),
            replica(5, ReplicaState::BackingOff, false),
            replica(6, ReplicaState::Ready, false),
            replica(7, ReplicaState::Stopped, false),
            replica(8, ReplicaState::NotReady, false),
        ];
        let chosen = victims(replicas, 10, |replica| if replica.index == 0 { 1 } else { 5 });
        let ids: Vec<_> = chosen.iter().map(ReplicaId::as_str).collect();
        assert_eq!(ids, ["a-3", "a-5", "a-2", "a-8", "a-0", "a-6", "a-1"]);
    }

    #[test]
    fn no_more_are_chosen_than_asked_for() {
        let replicas = (0..5).map(|index| replica(index, ReplicaState::Ready, false)).collect();
        assert_eq!(victims(replicas, 2, |_| 0).len(), 2);
    }
}
