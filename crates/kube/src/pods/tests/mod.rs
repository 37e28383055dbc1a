//! Pods as the API server shows them, and what becomes of them.

mod feed;
mod grouping;
mod index;
mod memory;
mod replicas;
mod selector;
mod startup;
mod stuck;
mod victims;
mod view;

use super::pool::Pools;
use super::raw::RawPod;
use super::view::PodView;
use autoscaler_core::time::{Span, Timestamp};
use k8s_openapi::jiff::Timestamp as Time;
use serde_json::{Value, json};
use std::sync::Arc;

/// When the pods of these tests were made.
const CREATED: &str = "2026-01-05T10:00:00Z";

/// `seconds` after the pods were made.
fn at(seconds: i64) -> Timestamp {
    let created: Time = CREATED.parse().expect("a time");
    Timestamp(created.as_microsecond()) + Span::secs(seconds)
}

fn text(seconds: i64) -> String {
    Time::from_microsecond(at(seconds).0).expect("a time").to_string()
}

/// A pod of a Deployment, serving a model, with a sidecar: running and ready since 90 s after it was made.
fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "ml", "uid": format!("uid-{name}"), "resourceVersion": "5", "creationTimestamp": CREATED,
            "generateName": "llama-7d9f-",
            "labels": {"app": "llama", "pod-template-hash": "7d9f"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "llama-7d9f", "uid": "rs-1", "controller": true}],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:status": {}}}],
        },
        "spec": {
            "nodeName": "gpu-1", "serviceAccountName": "default", "volumes": [{"name": "cache", "emptyDir": {}}],
            "initContainers": [
                {"name": "download", "image": "x", "resources": {"requests": {"cpu": "8"}}},
                {"name": "proxy", "image": "x", "restartPolicy": "Always", "ports": [{"name": "proxy", "containerPort": 15001}],
                 "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}}},
            ],
            "containers": [{
                "name": "vllm", "image": "vllm/vllm-openai",
                "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}, {"containerPort": 9000}],
                "resources": {"requests": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}},
            }],
        },
        "status": {
            "phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}], "startTime": text(2), "qosClass": "Burstable",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": text(90)},
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": CREATED},
            ],
            "containerStatuses": [{"name": "vllm", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": text(3)}}}],
        },
    })
}

/// The same, not ready yet.
fn starting(name: &str) -> Value {
    with(
        pod(name),
        json!({"status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": text(2)}]}}),
    )
}

/// The same, without a node.
fn pending(name: &str) -> Value {
    let scheduled = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                           "message": "0/5 nodes are available: 5 Insufficient nvidia.com/gpu."});
    with(
        pod(name),
        json!({"status": {"phase": "Pending", "podIP": null, "startTime": null, "containerStatuses": null,
                                      "conditions": [scheduled]}, "spec": {"nodeName": null}}),
    )
}

/// A merge patch.
fn with(mut value: Value, patch: Value) -> Value {
    match (&mut value, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            for (key, change) in patch {
                let old = fields.remove(&key).unwrap_or(Value::Null);
                if !change.is_null() {
                    fields.insert(key, with(old, change));
                }
            }
            value
        }
        (_, patch) => patch,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "`json!` at each call")]
fn labelled(pod: Value, labels: Value) -> Value {
    with(pod, json!({"metadata": {"labels": labels}}))
}

fn deleting(pod: Value) -> Value {
    with(pod, json!({"metadata": {"deletionTimestamp": CREATED}}))
}

fn raw(value: Value) -> RawPod {
    serde_json::from_value(value).expect("a pod")
}

fn view(value: Value) -> Arc<PodView> {
    Arc::new(PodView::read(raw(value), &mut Pools::default()).expect("a pod with a name"))
}

fn views(values: impl IntoIterator<Item = Value>) -> Vec<Arc<PodView>> {
    values.into_iter().map(view).collect()
}
