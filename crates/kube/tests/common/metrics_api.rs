//! The cluster's own metrics APIs, stood for by CRDs of their groups, which the API server serves under the same paths.

use super::GUARD;
use super::cluster::Cluster;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};

/// A kind of a metrics API.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    group: &'static str,
    plural: &'static str,
    name: &'static str,
}

/// What pods use, as the metrics server says.
pub(crate) const USAGE: Kind = Kind { group: "metrics.k8s.io", plural: "pods", name: "PodMetrics" };

/// A metric from outside of the cluster. That API has one kind for all metrics; a CRD needs another for each.
pub(crate) const fn external(metric: &'static str, kind: &'static str) -> Kind {
    Kind { group: "external.metrics.k8s.io", plural: metric, name: kind }
}

/// Serves a kind.
pub(crate) async fn serve(cluster: &Cluster, Kind { group, plural, name: kind }: Kind) {
    let name = format!("{plural}.{group}");
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        // Groups of Kubernetes' own ask for it.
        "metadata": {"name": name, "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}},
        "spec": {"group": group, "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema":
                {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]},
    });
    cluster.create(crd).await;
    let crds = Api::all(cluster.client.clone());
    let established = await_condition(crds, &name, conditions::is_crd_established());
    tokio::time::timeout(GUARD, established).await.unwrap().unwrap();
}

/// Puts a measurement into one.
pub(crate) async fn measure(cluster: &Cluster, Kind { group, plural, name: kind }: Kind, name: &str, more: Value) {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1beta1", kind), plural);
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
    let mut object = json!({"apiVersion": format!("{group}/v1beta1"), "kind": kind, "metadata": {"name": name}});
    for (key, value) in more.as_object().unwrap() {
        let into = if key == "labels" { &mut object["metadata"][key] } else { &mut object[key] };
        *into = value.clone();
    }
    api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await.unwrap();
}
