//! Replicas of several pods.

use super::{at, deleting, labelled, pending, pod, starting, views, with};
use crate::pods::{Grouping, replicas};
use autoscaler_core::observe::Phase;
use serde_json::{Value, json};

/// A pod of a group of two.
fn lws(pod: Value, group: u32, worker: u32) -> Value {
    let labels = json!({"leaderworkerset.sigs.k8s.io/name": "llama", "leaderworkerset.sigs.k8s.io/group-index": group.to_string(),
                        "leaderworkerset.sigs.k8s.io/worker-index": worker.to_string(), "leaderworkerset.sigs.k8s.io/group-key": "abc"});
    with(labelled(pod, labels), json!({"metadata": {"annotations": {"leaderworkerset.sigs.k8s.io/size": "2"}}}))
}

fn role(pod: Value, set: &str, index: u32) -> Value {
    labelled(
        pod,
        json!({"roleset-name": set, "role-name": "decode",
                         "stormservice.orchestration.aibrix.ai/role-replica-index": index.to_string()}),
    )
}

/// Name, phase, ready, leaders, members.
type Row = (String, Phase, Option<bool>, usize, usize);

fn rows(pods: impl IntoIterator<Item = Value>, grouping: Grouping) -> Vec<Row> {
    let found = replicas(&views(pods), grouping, 99, at(200));
    found
        .list
        .into_iter()
        .map(|one| (one.pod.name, one.pod.phase, one.pod.ready, one.leaders.len(), one.members.len()))
        .collect()
}

#[test]
fn a_leader_with_workers_is_ready_when_all_of_them_are() {
    let cases: [(&str, Vec<Value>, Row); 6] = [
        (
            "all ready",
            vec![lws(pod("g-0"), 0, 0), lws(pod("g-0-1"), 0, 1)],
            ("g-0".into(), Phase::Running, Some(true), 1, 2),
        ),
        (
            "a worker starts",
            vec![lws(pod("g-0"), 0, 0), lws(starting("g-0-1"), 0, 1)],
            ("g-0".into(), Phase::Running, Some(false), 1, 2),
        ),
        (
            "a worker has no node",
            vec![lws(pod("g-0"), 0, 0), lws(pending("g-0-1"), 0, 1)],
            ("g-0".into(), Phase::Pending, Some(false), 1, 2),
        ),
        ("a worker is not there yet", vec![lws(pod("g-0"), 0, 0)], ("g-0".into(), Phase::Pending, Some(false), 1, 1)),
        ("the leader is not there", vec![lws(pod("g-0-1"), 0, 1)], ("group-0".into(), Phase::Pending, None, 0, 1)),
        (
            "the old group leaves",
            vec![deleting(lws(pod("old"), 0, 0)), lws(pod("g-0"), 0, 0), lws(pod("g-0-1"), 0, 1)],
            ("g-0".into(), Phase::Running, Some(true), 1, 2),
        ),
    ];
    for (what, pods, expected) in cases {
        assert_eq!(rows(pods, Grouping::LeaderWorkerSet), [expected], "{what}");
    }
}

#[test]
fn a_groups_requests_are_the_sum_over_its_pods() {
    let pods = views([lws(pod("g-0"), 0, 0), lws(pod("g-0-1"), 0, 1), lws(pod("g-1"), 1, 0)]);
    let found = replicas(&pods, Grouping::LeaderWorkerSet, 2, at(200));
    let cpu: Vec<Option<i64>> = found.list.iter().map(|one| one.pod.requests.get("cpu").copied()).collect();
    assert_eq!(cpu, [Some(8500), Some(4250)]);
}

#[test]
fn a_group_that_leaves_as_a_whole_is_leaving() {
    let pods = views([deleting(lws(pod("g-0"), 0, 0)), deleting(lws(pod("g-0-1"), 0, 1))]);
    let found = replicas(&pods, Grouping::LeaderWorkerSet, 1, at(200));
    assert!(found.list.len() == 1 && found.list[0].pod.deleting);
}

#[test]
fn with_one_role_set_a_replica_of_a_role_is_a_pod() {
    let found = rows([role(pod("s-decode-0"), "s", 0), role(starting("s-decode-1"), "s", 1)], Grouping::AcrossRoleSets);
    assert_eq!(
        found,
        [
            ("s-decode-0".into(), Phase::Running, Some(true), 1, 1),
            ("s-decode-1".into(), Phase::Running, Some(false), 1, 1)
        ]
    );
}

#[test]
fn with_several_role_sets_a_replica_of_a_role_is_a_pod_in_each() {
    // Three RoleSets of two; one pod of one set is still starting, and it is the first.
    let pods = vec![
        role(pod("a0"), "a", 0),
        role(pod("a1"), "a", 1),
        role(starting("b0"), "b", 0),
        role(pod("b1"), "b", 1),
        role(pod("c0"), "c", 0),
        role(pod("c1"), "c", 1),
    ];
    let found = rows(pods.clone(), Grouping::AcrossRoleSets);
    let expected = |n, ready| (format!("replica-{n}"), Phase::Running, Some(ready), 3, 3);
    assert_eq!(found, [expected(0, true), expected(1, false)], "as many are ready as every set has");
    let all = replicas(&views(pods), Grouping::AcrossRoleSets, 2, at(200));
    assert_eq!(all.list[0].pod.requests["cpu"], 4250, "a replica's load is meant per pod");
    assert_eq!(all.list[0].share, 3);
}

#[test]
fn a_role_set_that_lacks_a_pod_leaves_the_replica_incomplete() {
    let found =
        rows([role(pod("a0"), "a", 0), role(pod("a1"), "a", 1), role(pod("b0"), "b", 0)], Grouping::AcrossRoleSets);
    assert_eq!(found[1], ("replica-1".into(), Phase::Pending, Some(false), 1, 1));
}

#[test]
fn a_whole_role_set_is_one_replica() {
    let found =
        rows([role(pod("a0"), "a", 0), role(pod("a1"), "a", 1), role(starting("b0"), "b", 0)], Grouping::RoleSet);
    assert_eq!(
        found,
        [("a".into(), Phase::Running, Some(true), 2, 2), ("b".into(), Phase::Running, Some(false), 1, 1)]
    );
}
