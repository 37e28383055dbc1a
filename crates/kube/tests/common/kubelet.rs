//! A kubelet without a machine: binds pods to its one node, and reports them as running after a while. Annotations of a pod
//! say otherwise: `test/mode: NotReady` or `Failed`, and `test/ready-after` in seconds.

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::AbortHandle;

/// Ends with the value.
pub(crate) struct Kubelet {
    task: AbortHandle,
    full: Full,
}

/// The apps whose pods find no room any more.
type Full = Arc<Mutex<BTreeSet<String>>>;

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kubelet {
    /// Begins to see to all pods of a namespace, on a node that is called like it.
    pub(crate) async fn start(client: Client, namespace: &str) -> Self {
        let nodes: Api<Node> = Api::all(client.clone());
        let metadata = ObjectMeta { name: Some(namespace.to_owned()), ..ObjectMeta::default() };
        nodes.create(&PostParams::default(), &Node { metadata, ..Node::default() }).await.unwrap();
        let full = Full::default();
        let serving = serve(client, namespace.to_owned(), Arc::clone(&full));
        Self { task: tokio::spawn(serving).abort_handle(), full }
    }

    /// From now on, new pods of an app stay pending.
    pub(crate) fn no_room_for(&self, app: &str) {
        self.full.lock().unwrap().insert(app.to_owned());
    }
}

async fn serve(client: Client, namespace: String, full: Full) {
    let all: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let mut pods = std::pin::pin!(watcher(all, watcher::Config::default()).default_backoff().applied_objects());
    let mut done: BTreeSet<(String, &str)> = BTreeSet::new();
    while let Some(pod) = pods.next().await {
        let Ok(pod) = pod else { continue };
        let step = step(&pod);
        let no_room = pod.labels().get("app").is_some_and(|app| full.lock().unwrap().contains(app));
        if step == Some("bind") && no_room {
            continue;
        }
        let fresh = step.is_some_and(|step| done.insert((pod.uid().unwrap_or_default(), step)));
        if let Some(step) = step.filter(|_| fresh) {
            tokio::spawn(carry_out(client.clone(), pod, step));
        }
    }
}

fn step(pod: &Pod) -> Option<&'static str> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    match (pod.metadata.deletion_timestamp.is_some(), bound, phase) {
        (true, ..) => Some("remove"),
        (false, false, _) => Some("bind"),
        (false, true, Some("Pending")) => Some("run"),
        _ => None,
    }
}

async fn carry_out(client: Client, pod: Pod, step: &'static str) {
    let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let annotation = |key: &str| pod.annotations().get(key).cloned();
    match step {
        "remove" => {
            let uid = Preconditions { uid: pod.uid(), resource_version: None };
            let _ = pods.delete(&name, &DeleteParams::default().grace_period(0).preconditions(uid)).await;
        }
        "bind" => {
            let target = ObjectReference {
                kind: Some("Node".to_owned()),
                name: Some(namespace.clone()),
                ..ObjectReference::default()
            };
            let metadata = ObjectMeta { name: Some(name.clone()), namespace: Some(namespace), ..ObjectMeta::default() };
            let body = Binding { metadata, target };
            let _ =
                pods.create_subresource::<_, serde_json::Value>("binding", &name, &PostParams::default(), &body).await;
        }
        _ => {
            let mode = annotation("test/mode").unwrap_or_default();
            let after = annotation("test/ready-after").and_then(|text| text.parse().ok()).unwrap_or(0.0);
            tokio::time::sleep(Duration::from_secs_f64(after)).await;
            let ready = if mode == "NotReady" || mode == "Failed" { "False" } else { "True" };
            let phase = if mode == "Failed" { "Failed" } else { "Running" };
            let now = jiff::Timestamp::now().to_string();
            // Thousands of pods share a few engines.
            let ip = annotation("test/ip").unwrap_or_else(address);
            let condition = |kind: &str| json!({ "type": kind, "status": ready, "lastTransitionTime": now });
            let status = json!({ "status": { "phase": phase, "podIP": ip, "startTime": now,
                "conditions": [condition("Ready"), condition("ContainersReady")] } });
            let _ = pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await;
        }
    }
}

/// An address of this machine that no other pod has, of this or another test's cluster.
fn address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id() % 200;
    format!("127.{}.{}.{}", 10 + process, next / 250, next % 250 + 1)
}
