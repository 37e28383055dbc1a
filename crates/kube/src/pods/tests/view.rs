//! What is taken from a pod.

use super::{at, deleting, pending, pod, raw, view, with};
use crate::pods::pool::Pools;
use crate::pods::view::PodView;
use autoscaler_core::observe::Phase;
use serde_json::{Value, json};

fn requests(value: Value) -> Vec<(String, i64)> {
    view(value).requests.iter().map(|(name, amount)| (name.to_string(), *amount)).collect()
}

#[test]
fn a_pod_is_trimmed_to_what_is_needed() {
    let pod = view(pod("a"));
    assert_eq!((&*pod.name, &*pod.namespace, &*pod.uid), ("a", "ml", "uid-a"));
    assert_eq!((pod.phase, pod.ready, pod.ready_at), (Phase::Running, Some(true), Some(at(90))));
    assert_eq!((pod.created, pod.deleting), (at(0), false));
    assert_eq!(pod.ip.map(|ip| ip.to_string()).as_deref(), Some("10.1.2.3"));
    assert_eq!((pod.port("http"), pod.port("proxy"), pod.port("grpc")), (Some(8000), Some(15001), None));
    assert_eq!((pod.label("app"), pod.label("ap"), pod.label("apps")), (Some("llama"), None, None));
    assert!(pod.serves());
}

#[test]
fn requests_are_sums_over_containers_and_sidecars_where_all_have_them() {
    let gib = 1024_i64 * 1024 * 1024 * 1000;
    let all = vec![("cpu".to_owned(), 4250), ("memory".to_owned(), 16 * gib + gib / 16)];
    assert_eq!(requests(pod("a")), all, "the proxy has no gpu, so a share of the gpu means nothing");
    let bare = json!({"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}, {"name": "b"}], "initContainers": null}});
    assert_eq!(requests(with(pod("a"), bare)), []);
    let limited =
        json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "2"}}}], "initContainers": null}});
    assert_eq!(requests(with(pod("a"), limited)), [("cpu".to_owned(), 2000)]);
    let whole = json!({"spec": {"resources": {"requests": {"cpu": "9"}}, "initContainers": null}});
    assert_eq!(requests(with(pod("a"), whole))[0], ("cpu".to_owned(), 9000));
}

#[test]
fn the_phase_says_when_a_node_has_stopped_answering() {
    let conditions = |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
    let cases = [
        (json!({}), Phase::Running, Some(true)),
        (conditions("False"), Phase::Running, Some(false)),
        (conditions("Unknown"), Phase::Unknown, Some(false)),
        (json!({"status": {"phase": "Unknown"}}), Phase::Unknown, Some(true)),
        (json!({"status": {"reason": "NodeLost"}}), Phase::Unknown, Some(true)),
        (json!({"status": {"phase": "Failed", "reason": "Evicted", "conditions": null}}), Phase::Failed, None),
        (json!({"status": {"phase": "Succeeded"}}), Phase::Succeeded, Some(true)),
        (json!({"status": {"phase": "Whatever"}}), Phase::Pending, Some(true)),
        (json!({"status": null}), Phase::Pending, None),
    ];
    for (patch, phase, ready) in cases {
        let pod = view(with(pod("a"), patch.clone()));
        assert_eq!((pod.phase, pod.ready), (phase, ready), "{patch}");
    }
    assert!(!view(deleting(pod("a"))).serves());
}

#[test]
fn the_most_telling_reason_to_wait_is_kept() {
    let waits = |reasons: &[&str]| {
        let statuses: Vec<Value> = reasons
            .iter()
            .map(|reason| json!({"name": "c", "restartCount": 2, "state": {"waiting": {"reason": reason}}}))
            .collect();
        view(with(pod("a"), json!({"status": {"containerStatuses": statuses}})))
    };
    assert_eq!(waits(&["ContainerCreating", "ImagePullBackOff"]).waiting.as_deref(), Some("ImagePullBackOff"));
    assert_eq!(waits(&["CrashLoopBackOff", "ContainerCreating"]).waiting.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(waits(&["ContainerCreating"]).waiting.as_deref(), Some("ContainerCreating"));
    assert_eq!((waits(&[]).waiting.as_deref(), waits(&["A", "B"]).restarts), (None, 4));
    let message = view(pending("a")).unschedulable.clone();
    assert_eq!(message.as_deref(), Some("0/5 nodes are available: 5 Insufficient nvidia.com/gpu."));
}

#[test]
fn annotations_of_groups_and_costs_are_read() {
    let annotations =
        json!({"leaderworkerset.sigs.k8s.io/size": "4", "controller.kubernetes.io/pod-deletion-cost": "-7"});
    let pod = view(with(pod("a"), json!({"metadata": {"annotations": annotations}})));
    assert_eq!((pod.group_size, pod.deletion_cost), (Some(4), Some(-7)));
}

#[test]
fn odd_pods_do_no_harm() {
    let mut pools = Pools::default();
    assert!(PodView::read(raw(json!({"metadata": {}, "spec": {}})), &mut pools).is_none());
    let bare = PodView::read(raw(json!({"metadata": {"name": "a"}, "spec": {}})), &mut pools).expect("a pod");
    assert_eq!((bare.phase, bare.ready, bare.requests.len()), (Phase::Pending, None, 0));
    let long = "ß".repeat(400);
    let conditions = json!([{"type": "PodScheduled", "status": "False", "message": long}]);
    let cut =
        PodView::read(raw(with(pod("a"), json!({"status": {"conditions": conditions}}))), &mut pools).expect("a pod");
    assert_eq!(cut.unschedulable.map(|text| text.len()), Some(256));
    let port = json!({"spec": {"containers": [{"name": "a", "ports": [{"name": "p", "containerPort": 99999}]}], "initContainers": null}});
    assert_eq!(view(with(pod("a"), port)).port("p"), None);
}
