//! What else there is in a cluster: HPAs of others, other controllers, and a CRD that changes under the controller.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::large_futures,
    reason = "all of it is test code"
)]

mod common;

use autoscaler_kube::Options;
use common::cluster::{Cluster, quick};
use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_hpa_of_somebody_else_on_the_target_is_told_of_and_nothing_is_scaled_beside_it() {
    let Some(cluster) = Cluster::start().await else { return };
    cluster.deployment("chat", 1, json!({})).await;
    cluster.ready("chat", 1).await;
    cluster.engines.set("chat", 8.0);
    let seen = cluster.sizes("chat").await;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"});
    cluster
        .create(
            json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "theirs"},
            "spec": {"maxReplicas": 3, "scaleTargetRef": target}}),
        )
        .await;
    let controller = cluster.controller(quick()).await;
    cluster.autoscaler("chat", "APA", json!({})).await;
    let said = cluster.condition("chat", "Conflict", "True", "TargetTaken").await;
    assert_eq!(said, "HorizontalPodAutoscaler theirs scales the same target");
    cluster.event("chat", "Conflict").await;
    // One that only recommends is no rival of it.
    cluster.autoscaler("opinion", "APA", json!({"mode": "Recommend", "scaleTargetRef": target})).await;
    cluster.decided("opinion", 2).await;
    assert_eq!(seen.sizes(), [1]);
    // With it gone there is no conflict any more.
    let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    hpas.delete("theirs", &DeleteParams::default()).await.unwrap();
    cluster.condition("chat", "Conflict", "False", "NoConflict").await;
    cluster.wants("chat", 5).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_with_selectors_share_the_objects_and_each_leads_its_own() {
    let Some(cluster) = Cluster::start().await else { return };
    let shard = |name: &str| Options {
        selector: Some(format!("shard={name}")),
        lease: format!("autoscaler-{name}"),
        ..quick()
    };
    for name in ["a", "b"] {
        cluster.deployment(name, 1, json!({})).await;
        cluster.ready(name, 1).await;
        cluster.engines.set(name, 8.0);
        cluster.autoscaler(name, "APA", json!({})).await;
        let labels = Patch::Merge(json!({"metadata": {"labels": {"shard": name}}}));
        cluster.autoscalers().patch(name, &PatchParams::default(), &labels).await.unwrap();
    }
    let other = cluster.sizes("b").await;
    let first = cluster.controller(shard("a")).await;
    cluster.wants("a", 5).await;
    assert_eq!(cluster.autoscalers().get("b").await.unwrap().status, None);
    assert_eq!(other.sizes(), [1]);
    // Both lead at once.
    let second = cluster.controller(shard("b")).await;
    cluster.wants("b", 5).await;
    cluster.decided("a", 5).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crd_that_changes_or_goes_and_comes_back_scales_nothing_and_work_goes_on() {
    let Some(mut cluster) = Cluster::start().await else { return };
    if cluster.world.own().is_none() {
        return;
    }
    let controller = cluster.controller(quick()).await;
    cluster.deployment("chat", 1, json!({})).await;
    cluster.ready("chat", 1).await;
    cluster.autoscaler("chat", "APA", json!({})).await;
    cluster.engines.set("chat", 4.0);
    cluster.decided("chat", 1).await;
    cluster.engines.set("chat", 8.0);
    cluster.wants("chat", 5).await;
    cluster.ready("chat", 5).await;
    let seen = cluster.sizes("chat").await;

    // A field more, as an upgrade has it: watches of the old schema end.
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let name = "podautoscalers.autoscaling.aibrix.ai";
    let more = json!([{"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/later",
        "value": {"type": "string"}}]);
    let more: json_patch::Patch = serde_json::from_value(more).unwrap();
    crds.patch(name, &PatchParams::default(), &Patch::<()>::Json(more)).await.unwrap();
    cluster.decided("chat", 5).await;
    let spec = json!({"spec": {"maxReplicas": 4, "later": "x"}});
    cluster.autoscalers().patch("chat", &PatchParams::default(), &Patch::Merge(spec)).await.unwrap();
    cluster.wants("chat", 4).await;

    // Without it there are no objects, and their targets stay as they are.
    let crd = crds.delete(name, &DeleteParams::default()).await.unwrap();
    let uid = crd.left().and_then(|crd| crd.metadata.uid).unwrap();
    let gone = await_condition(crds.clone(), name, conditions::is_deleted(&uid));
    tokio::time::timeout(common::GUARD, gone).await.unwrap().unwrap();
    cluster.install_crd().await;
    assert_eq!(seen.sizes(), [5, 4]);
    cluster.engines.set("chat", 0.0);
    cluster.autoscaler("chat", "APA", json!({})).await;
    cluster.wants("chat", 1).await;
    controller.stop().await;
}
