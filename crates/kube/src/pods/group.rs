//! Which pods make up one replica.

use super::view::PodView;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

const LWS_GROUP_KEY: &str = "leaderworkerset.sigs.k8s.io/group-key";
const LWS_GROUP_INDEX: &str = "leaderworkerset.sigs.k8s.io/group-index";
const LWS_WORKER_INDEX: &str = "leaderworkerset.sigs.k8s.io/worker-index";
const ROLE_SET: &str = "roleset-name";
const ROLE_INDEX: &str = "stormservice.orchestration.aibrix.ai/role-replica-index";

/// What one replica of a target is, in pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// A pod.
    EachPod,
    /// A leader with its workers. The leader alone serves metrics; the group is ready when all of it is.
    LeaderWorkerSet,
    /// A role's count is per `RoleSet`: one replica is one pod of the role in each `RoleSet`.
    AcrossRoleSets,
    /// A `RoleSet` with all of its (selected) pods.
    RoleSet,
}

/// The pods of one replica.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) name: String,
    /// The pods to read metrics from; none where the leader is missing.
    pub(super) leaders: Vec<Arc<PodView>>,
    /// All of its pods, leaders included.
    pub(super) members: Vec<Arc<PodView>>,
    /// Whether every pod that it should have is there.
    pub(super) complete: bool,
    /// By how much sums over the members are divided, so that a replica's load is meant per pod, as targets are.
    pub(super) share: u32,
}

/// Groups pods that have not ended.
pub(super) fn groups(pods: &[Arc<PodView>], grouping: Grouping) -> Vec<Group> {
    match grouping {
        Grouping::EachPod => pods.iter().map(|pod| alike(pod.name.to_string(), vec![pod.clone()], true)).collect(),
        Grouping::LeaderWorkerSet => by(pods, lws_group).into_iter().map(leader_and_workers).collect(),
        Grouping::AcrossRoleSets => across(pods),
        Grouping::RoleSet => {
            by(pods, |pod| pod.label(ROLE_SET)).into_iter().map(|(name, pods)| alike(name, pods, true)).collect()
        }
    }
}

/// The index says which group it is; the key is a hash of the same.
fn lws_group(pod: &PodView) -> Option<&str> {
    pod.label(LWS_GROUP_INDEX).or_else(|| pod.label(LWS_GROUP_KEY))
}

/// A group whose pods are all alike, and all serve metrics. Of those that leave, and those that take their place, the
/// latter are meant.
fn alike(name: String, pods: Vec<Arc<PodView>>, complete: bool) -> Group {
    let members = staying(pods);
    let share = u32::try_from(members.len()).unwrap_or(u32::MAX).max(1);
    Group { name, leaders: members.clone(), members, complete, share }
}

/// Pods that are not being deleted, or all where all are.
fn staying(pods: Vec<Arc<PodView>>) -> Vec<Arc<PodView>> {
    let staying: Vec<_> = pods.iter().filter(|pod| !pod.deleting).cloned().collect();
    if staying.is_empty() { pods } else { staying }
}

/// Pods without the label are groups of their own.
fn by(pods: &[Arc<PodView>], key: impl Fn(&PodView) -> Option<&str>) -> BTreeMap<String, Vec<Arc<PodView>>> {
    let mut groups: BTreeMap<String, Vec<Arc<PodView>>> = BTreeMap::new();
    for pod in pods {
        groups.entry(key(pod).unwrap_or(&pod.name).to_owned()).or_default().push(pod.clone());
    }
    groups
}

fn leader_and_workers((key, pods): (String, Vec<Arc<PodView>>)) -> Group {
    let members = staying(pods);
    let leads = |pod: &&Arc<PodView>| pod.label(LWS_WORKER_INDEX).is_none_or(|index| index == "0");
    let leaders: Vec<_> = members.iter().filter(leads).take(1).cloned().collect();
    let size = members.iter().find_map(|pod| pod.group_size).unwrap_or(1);
    let complete = !leaders.is_empty() && u32::try_from(members.len()).is_ok_and(|count| count >= size);
    // The leader's name stays when its group begins anew; a group without one is called by its key.
    let name = leaders.first().map_or_else(|| format!("group-{key}"), |leader| leader.name.to_string());
    Group { name, leaders, members, complete, share: 1 }
}

/// Puts the first pod of each `RoleSet` together, then the second of each, those that serve first: so as many replicas
/// are ready as every `RoleSet` has ready pods.
fn across(pods: &[Arc<PodView>]) -> Vec<Group> {
    let mut sets: Vec<_> = by(pods, |pod| pod.label(ROLE_SET)).into_values().collect();
    let index = |pod: &PodView| pod.label(ROLE_INDEX).and_then(|index| index.parse().ok()).unwrap_or(u32::MAX);
    for set in &mut sets {
        set.sort_by(|a, b| {
            let rank = |pod: &PodView| (Reverse(pod.serves()), pod.deleting, index(pod));
            rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
        });
    }
    let most = sets.iter().map(Vec::len).max().unwrap_or(0);
    let nth = |n: usize| -> Vec<_> { sets.iter().filter_map(|set| set.get(n).cloned()).collect() };
    let named = |n: usize, pods: &[Arc<PodView>]| match pods {
        // With one RoleSet, the usual case, a replica is a pod and has its name.
        [pod] if sets.len() == 1 => pod.name.to_string(),
        _ => format!("replica-{n}"),
    };
    (0..most)
        .map(|n| {
            let pods = nth(n);
            let complete = pods.len() == sets.len();
            alike(named(n, &pods), pods, complete)
        })
        .collect()
}
