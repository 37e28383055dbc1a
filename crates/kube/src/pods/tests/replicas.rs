//! From pods to what the core counts.

use super::{at, deleting, labelled, pending, pod, starting, text, views, with};
use crate::pods::{Grouping, replicas};
use autoscaler_core::observe::Phase;
use serde_json::{Value, json};

/// What happens, the pods, the wanted count, who is listed, how many are surplus.
type Case<'a> = (&'a str, Vec<Value>, u32, &'a [&'a str], usize);

fn new(pod: Value) -> Value {
    with(labelled(pod, json!({"pod-template-hash": "new"})), json!({"metadata": {"creationTimestamp": text(100)}}))
}

#[test]
fn a_rollouts_surge_is_not_capacity_on_its_way() {
    let old = |names: &[&str]| names.iter().map(|name| pod(name)).collect::<Vec<_>>();
    let cases: [Case<'_>; 8] = [
        ("no rollout", old(&["a", "b"]), 2, &["a", "b"], 0),
        ("one starts, as wanted", [old(&["a"]), vec![starting("b")]].concat(), 2, &["a", "b"], 0),
        ("the surge starts", [old(&["a", "b"]), vec![new(starting("c"))]].concat(), 2, &["a", "b"], 1),
        ("the surge is stuck", [old(&["a", "b"]), vec![new(pending("c"))]].concat(), 2, &["a", "b"], 1),
        ("the surge serves", [old(&["a", "b"]), vec![new(pod("c"))]].concat(), 2, &["a", "b", "c"], 0),
        (
            "one old has gone, two new start",
            [old(&["a"]), vec![starting("b"), new(starting("c"))]].concat(),
            2,
            &["a", "c"],
            1,
        ),
        (
            "an old one leaves",
            [old(&["a"]), vec![deleting(pod("b")), new(starting("c"))]].concat(),
            2,
            &["a", "b", "c"],
            0,
        ),
        ("all are to go", vec![starting("a"), starting("b")], 0, &[], 2),
    ];
    for (what, pods, wanted, names, surplus) in cases {
        let found = replicas(&views(pods), Grouping::EachPod, wanted, at(200));
        let listed: Vec<&str> = found.list.iter().map(|one| one.pod.name.as_str()).collect();
        assert_eq!((listed.as_slice(), found.surplus), (names, surplus), "{what}");
    }
}

#[test]
fn pods_that_have_ended_are_left_out_and_counted() {
    let evicted = with(pod("e"), json!({"status": {"phase": "Failed", "reason": "Evicted"}}));
    let done = with(pod("d"), json!({"status": {"phase": "Succeeded"}}));
    let found = replicas(&views([pod("a"), evicted, done]), Grouping::EachPod, 1, at(200));
    assert_eq!((found.list.len(), found.ended), (1, 2));
}

#[test]
fn a_pod_counts_from_when_it_was_asked_for() {
    let found = replicas(&views([pending("p"), pod("r")]), Grouping::EachPod, 2, at(200));
    let [waits, serves] = found.list.as_slice() else { panic!("two replicas") };
    assert_eq!((waits.pod.started_at, waits.pod.ready, waits.pod.ready_at), (Some(at(0)), None, None));
    assert!(waits.pod.starting() && waits.pod.phase == Phase::Pending);
    assert_eq!((serves.pod.started_at, serves.pod.ready_at), (Some(at(0)), Some(at(90))));
    assert!(serves.pod.serves() && serves.pod.requests["cpu"] == 4250);
}

#[test]
fn a_pod_on_a_lost_node_is_neither_capacity_nor_on_its_way() {
    let lost = with(pod("a"), json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}));
    let found = replicas(&views([lost]), Grouping::EachPod, 1, at(200));
    assert!(!found.list[0].pod.serves() && !found.list[0].pod.starting());
}
