//! Pods as the core sees them: one entry a replica, also where a replica is several pods.

use super::view::PodView;
use autoscaler_core::{Phase, Pod, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// LeaderWorkerSet's labels: the group that a pod belongs to, and its place in it; 0 leads.
const GROUP: &str = "leaderworkerset.sigs.k8s.io/group-index";
const SET: &str = "leaderworkerset.sigs.k8s.io/name";
const WORKER: &str = "leaderworkerset.sigs.k8s.io/worker-index";

/// A target's replicas.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replicas {
    /// For the core, without metrics.
    pub(crate) pods: Vec<Pod>,
    /// The pods that answer for those replicas that serve, in the same order as they are in `pods`.
    pub(crate) serving: Vec<Arc<PodView>>,
}

/// The replicas that these pods are. `wanted` is the target's own count: while a rollout has more pods than that, those that
/// are not ready yet take the place of others, and are no capacity on its way.
pub(crate) fn replicas(views: &[Arc<PodView>], wanted: u32) -> Replicas {
    let mut groups: BTreeMap<String, Vec<&Arc<PodView>>> = BTreeMap::new();
    for view in views {
        let group = match (view.labels.get(SET), view.labels.get(GROUP)) {
            (Some(set), Some(group)) => format!("{set}/{group}"),
            _ => view.name.clone(),
        };
        groups.entry(group).or_default().push(view);
    }
    let mut found: Vec<(Pod, Arc<PodView>)> = groups.values().filter_map(|group| replica(group)).collect();
    // The surge of a rollout: the youngest that are not ready are what is too many.
    let live = found.iter().filter(|(pod, _)| pod.serves() || pod.starting()).count();
    let mut extra = live.saturating_sub(usize::try_from(wanted).unwrap_or(usize::MAX));
    found.sort_by(|(a, _), (b, _)| (b.started_at, &b.name).cmp(&(a.started_at, &a.name)));
    found.retain(|(pod, _)| {
        let goes = extra > 0 && pod.starting();
        extra -= usize::from(goes);
        !goes
    });
    found.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let serving = found.iter().filter(|(pod, _)| pod.serves()).map(|(_, view)| Arc::clone(view)).collect();
    Replicas { pods: found.into_iter().map(|(pod, _)| pod).collect(), serving }
}

/// One replica of one or several pods: it serves when all of them do, and its leader answers for it.
fn replica(group: &[&Arc<PodView>]) -> Option<(Pod, Arc<PodView>)> {
    let leads = |view: &PodView| view.labels.get(WORKER).is_none_or(|index| index == "0");
    let leader = group.iter().find(|view| leads(view)).or(group.first())?;
    let mut pod = of(leader);
    for view in group.iter().filter(|view| view.uid != leader.uid) {
        let other = of(view);
        pod.phase = worse(pod.phase, other.phase);
        pod.ready = match (pod.ready, other.ready) {
            (Some(mine), Some(theirs)) => Some(mine && theirs),
            _ => None,
        };
        pod.deleting |= other.deleting;
        pod.ready_at = pod.ready_at.max(other.ready_at);
        for (resource, value) in other.requests {
            pod.requests.entry(resource).and_modify(|sum| *sum = sum.saturating_add(value)).or_insert(value);
        }
    }
    Some((pod, Arc::clone(leader)))
}

fn of(view: &PodView) -> Pod {
    Pod {
        name: view.name.clone(),
        phase: view.phase,
        ready: view.ready,
        deleting: view.deleting,
        // From when it was asked for: one that no node takes up is stuck, too. HPA's rules count from the node's word, which
        // is later by the time that scheduling takes.
        started_at: view.created.or(view.started),
        ready_at: view.ready_at,
        metrics: BTreeMap::new(),
        usage: BTreeMap::new(),
        usage_at: Timestamp(0),
        usage_window: autoscaler_core::Span::secs(60),
        requests: view.requests.clone(),
    }
}

/// Of two pods of one replica, the phase that keeps it from serving longest.
fn worse(a: Phase, b: Phase) -> Phase {
    let rank = |phase: Phase| match phase {
        Phase::Running => 0,
        Phase::Pending => 1,
        Phase::Unknown => 2,
        Phase::Succeeded => 3,
        Phase::Failed => 4,
    };
    if rank(b) > rank(a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(name: &str, labels: &Value, ready: bool, created: &str) -> Arc<PodView> {
        let status = if ready { "True" } else { "False" };
        let pod = json!({"metadata": {"name": name, "uid": name, "labels": labels, "creationTimestamp": created},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [
                {"type": "Ready", "status": status, "lastTransitionTime": created}]}});
        Arc::new(PodView::of(serde_json::from_value(pod).unwrap()))
    }

    const EARLY: &str = "2026-01-05T00:00:00Z";
    const LATE: &str = "2026-01-05T01:00:00Z";

    fn names(replicas: &Replicas) -> Vec<&str> {
        replicas.pods.iter().map(|pod| pod.name.as_str()).collect()
    }

    #[test]
    fn a_pod_is_a_replica() {
        let none = json!({});
        let found = replicas(&[pod("b", &none, false, EARLY), pod("a", &none, true, EARLY)], 2);
        assert_eq!(names(&found), ["a", "b"]);
        assert_eq!(found.serving.len(), 1);
    }

    #[test]
    fn a_group_of_pods_is_one_replica_that_serves_when_all_do() {
        let member = |group: &str, index: &str| json!({SET: "m", GROUP: group, WORKER: index});
        let pods = [
            pod("m-0", &member("0", "0"), true, EARLY),
            pod("m-0-1", &member("0", "1"), true, EARLY),
            pod("m-1", &member("1", "0"), true, EARLY),
            pod("m-1-1", &member("1", "1"), false, EARLY),
        ];
        let found = replicas(&pods, 2);
        assert_eq!(names(&found), ["m-0", "m-1"]);
        assert_eq!(found.serving.iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>(), ["m-0"]);
    }

    #[test]
    fn a_rollouts_surge_is_no_capacity_on_its_way() {
        let none = json!({});
        let old = [pod("a", &none, true, EARLY), pod("b", &none, true, EARLY)];
        let surge = pod("c", &none, false, LATE);
        let found = replicas(&[old.to_vec(), vec![surge]].concat(), 2);
        assert_eq!(names(&found), ["a", "b"]);
        let found = replicas(&[old.to_vec(), vec![pod("c", &none, true, LATE)]].concat(), 2);
        assert_eq!(names(&found), ["a", "b", "c"], "what is ready serves, and its load counts");
        let found = replicas(&[old.to_vec(), vec![pod("c", &none, false, LATE)]].concat(), 3);
        assert_eq!(names(&found), ["a", "b", "c"], "what is wanted is on its way");
    }
}
