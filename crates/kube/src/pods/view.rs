//! What is kept of a pod: a cluster has thousands, and most of each is never looked at.

use autoscaler_core::{Phase, Timestamp};
use autoscaler_runtime::quantity::milli;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeMap;

/// What is kept of a pod.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PodView {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) ip: Option<String>,
    pub(crate) phase: Phase,
    /// The readiness condition; none where there is none yet.
    pub(crate) ready: Option<bool>,
    /// When readiness last changed.
    pub(crate) ready_at: Option<Timestamp>,
    pub(crate) created: Option<Timestamp>,
    /// When its node took it up (`status.startTime`).
    pub(crate) started: Option<Timestamp>,
    pub(crate) deleting: bool,
    /// Numbers of the containers' ports, by name.
    pub(crate) ports: BTreeMap<String, u16>,
    /// Thousandths by resource, summed over the containers; a resource that a container does not request is not in it.
    pub(crate) requests: BTreeMap<String, i64>,
    /// Why it does not run, where something says so.
    pub(crate) waits: Option<String>,
    /// The annotation that decides which pods of a ReplicaSet go first.
    pub(crate) deletion_cost: Option<String>,
}

/// Read by the ReplicaSet controller (Kubernetes `pkg/controller/controller_utils.go`).
pub(crate) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

impl PodView {
    /// Keeps what is looked at.
    pub(crate) fn of(pod: Pod) -> Self {
        let (meta, spec, status) = (pod.metadata, pod.spec.unwrap_or_default(), pod.status.unwrap_or_default());
        let conditions = status.conditions.unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
        // A sidecar is an init container that goes on running (Kubernetes 1.28).
        let sidecars =
            spec.init_containers.iter().flatten().filter(|one| one.restart_policy.as_deref() == Some("Always"));
        let containers: Vec<&Container> = spec.containers.iter().chain(sidecars).collect();
        let statuses = status.container_statuses.iter().flatten();
        let init = status.init_container_statuses.iter().flatten();
        Self {
            waits: waits(&conditions, init.chain(statuses)),
            phase: match status.phase.as_deref() {
                Some("Running") => Phase::Running,
                Some("Succeeded") => Phase::Succeeded,
                Some("Failed") => Phase::Failed,
                Some("Unknown") => Phase::Unknown,
                _ => Phase::Pending,
            },
            ready: ready.map(|condition| condition.status == "True"),
            ready_at: ready.and_then(|condition| condition.last_transition_time.as_ref()).map(timestamp),
            ports: ports(&containers),
            requests: requests(&containers),
            created: meta.creation_timestamp.as_ref().map(timestamp),
            started: status.start_time.as_ref().map(timestamp),
            deleting: meta.deletion_timestamp.is_some(),
            deletion_cost: meta.annotations.and_then(|mut all| all.remove(DELETION_COST)),
            name: meta.name.unwrap_or_default(),
            namespace: meta.namespace.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            labels: meta.labels.unwrap_or_default(),
            ip: status.pod_ip.filter(|ip| !ip.is_empty()),
        }
    }
}

fn timestamp(time: &Time) -> Timestamp {
    Timestamp(time.0.as_microsecond())
}

fn ports(containers: &[&Container]) -> BTreeMap<String, u16> {
    let all = containers.iter().flat_map(|one| one.ports.iter().flatten());
    // Of two ports with one name the first counts, as in a Service.
    let named = all.filter_map(|port| Some((port.name.clone()?, u16::try_from(port.container_port).ok()?)));
    named.fold(BTreeMap::new(), |mut ports, (name, number)| {
        ports.entry(name).or_insert(number);
        ports
    })
}

/// Sums the requests; a resource counts only where every container requests it, as in HPA.
fn requests(containers: &[&Container]) -> BTreeMap<String, i64> {
    let mut sums: BTreeMap<String, (i64, usize)> = BTreeMap::new();
    for container in containers {
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        for (resource, quantity) in requests.into_iter().flatten() {
            let Ok(value) = milli(&quantity.0) else { continue };
            let (sum, count) = sums.entry(resource.clone()).or_default();
            *sum = sum.saturating_add(value);
            *count += 1;
        }
    }
    let complete = sums.into_iter().filter(|(_, (_, count))| *count == containers.len());
    complete.map(|(resource, (sum, _))| (resource, sum)).collect()
}

/// Why a pod does not run: it has no node, or a container waits for something.
fn waits<'a>(conditions: &[PodCondition], containers: impl Iterator<Item = &'a ContainerStatus>) -> Option<String> {
    let unscheduled = conditions.iter().find(|one| one.type_ == "PodScheduled" && one.status == "False");
    if let Some(reason) = unscheduled.and_then(|condition| condition.reason.clone()) {
        return Some(reason);
    }
    let mut waiting = containers.filter_map(|one| one.state.as_ref()?.waiting.as_ref()?.reason.clone());
    waiting.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view(pod: serde_json::Value) -> PodView {
        PodView::of(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn what_is_looked_at_is_kept() {
        let pod = view(json!({
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "labels": {"app": "a"},
                "creationTimestamp": "2026-01-05T00:00:00Z", "annotations": {DELETION_COST: "7", "x": "y"}},
            "spec": {
                "initContainers": [{"name": "i", "resources": {"requests": {"cpu": "9"}}},
                    {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}}],
                "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8000}, {"containerPort": 1}],
                    "resources": {"requests": {"cpu": "2", "memory": "1Gi"}}}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "startTime": "2026-01-05T00:00:01Z", "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-05T00:01:00Z"}]},
        }));
        assert_eq!((pod.ready, pod.phase, pod.ip.as_deref()), (Some(true), Phase::Running, Some("10.0.0.1")));
        assert_eq!(pod.ready_at.unwrap().since(pod.created.unwrap()).as_secs(), 60.0);
        assert_eq!(pod.ports, BTreeMap::from([("http".to_owned(), 8000)]));
        assert_eq!(pod.requests, BTreeMap::from([("cpu".to_owned(), 2100)]), "the sidecar requests no memory");
        assert_eq!(pod.deletion_cost.as_deref(), Some("7"));
    }

    #[test]
    fn a_pod_that_waits_says_for_what() {
        let unschedulable = view(json!({"metadata": {}, "status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}}));
        assert_eq!(unschedulable.waits.as_deref(), Some("Unschedulable"));
        let pulling = view(json!({"metadata": {}, "status": {"phase": "Pending", "containerStatuses": [
            {"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
             "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}}));
        assert_eq!(
            (pulling.waits.as_deref(), pulling.ready, pulling.phase),
            (Some("ImagePullBackOff"), None, Phase::Pending)
        );
    }
}
