//! Pods that do not get ready.

use super::{at, deleting, pending, pod, starting, text, views, with};
use crate::pods::stuck;
use crate::pods::stuck::Why;
use autoscaler_core::time::Span;
use serde_json::{Value, json};

fn waiting(reason: &str, restarts: u32) -> Value {
    let status = json!([{"name": "vllm", "restartCount": restarts, "state": {"waiting": {"reason": reason}}}]);
    with(starting("a"), json!({"status": {"containerStatuses": status}}))
}

#[test]
fn each_stuck_pod_says_why() {
    let no_gpu = "0/5 nodes are available: 5 Insufficient nvidia.com/gpu.";
    let cases = [
        (pending("a"), Why::Unschedulable(no_gpu.into()), "ReplicaUnschedulable"),
        (waiting("ImagePullBackOff", 0), Why::ImagePull("ImagePullBackOff".into()), "ReplicaImagePull"),
        (waiting("ErrImagePull", 0), Why::ImagePull("ErrImagePull".into()), "ReplicaImagePull"),
        (waiting("CrashLoopBackOff", 6), Why::CrashLoop(6), "ReplicaCrashLoop"),
        (waiting("CreateContainerConfigError", 0), Why::Setup("CreateContainerConfigError".into()), "ReplicaSetup"),
        (waiting("ContainerCreating", 0), Why::Setup("ContainerCreating".into()), "ReplicaSetup"),
        (with(starting("a"), json!({"status": {"phase": "Pending"}})), Why::Pending, "ReplicaPending"),
        (starting("a"), Why::Loading, "ReplicaLoading"),
    ];
    for (pod, why, reason) in cases {
        let pods = views([pod]);
        assert!(stuck(&pods, Span::secs(600), at(600)).is_empty(), "the deadline itself is in time");
        let found = stuck(&pods, Span::secs(600), at(601));
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].why, found[0].why.reason(), found[0].since), (&why, reason, at(0)));
        assert!(!found[0].why.text().is_empty());
    }
}

#[test]
fn pods_that_serve_leave_or_have_ended_are_not_stuck() {
    let failed = with(pod("f"), json!({"status": {"phase": "Failed"}}));
    assert!(stuck(&views([pod("a"), deleting(starting("b")), failed]), Span::secs(600), at(9_999)).is_empty());
}

#[test]
fn a_pod_that_was_ready_has_a_deadline_of_its_own() {
    let again = with(
        pod("a"),
        json!({"status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": text(5_000)}]}}),
    );
    let pods = views([again]);
    assert!(stuck(&pods, Span::secs(600), at(5_500)).is_empty());
    assert_eq!(stuck(&pods, Span::secs(600), at(5_601))[0].since, at(5_000));
}
