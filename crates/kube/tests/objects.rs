//! Objects and what becomes of them, against a real API server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::large_futures,
    reason = "all of it is test code"
)]

mod common;

use common::cluster::{Cluster, quick};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn each_object_is_answered_in_its_conditions() {
    let Some(cluster) = Cluster::start().await else { return };
    let controller = cluster.controller(quick()).await;
    for name in ["taken", "paused", "opinion"] {
        let replicas = i32::from(name != "paused");
        cluster.deployment(name, replicas, json!({})).await;
        cluster.engines.set(name, 8.0);
    }

    // Of two on one target, the older one scales.
    cluster.autoscaler("taken", "APA", json!({})).await;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "taken"});
    cluster.condition("taken", "Conflict", "False", "NoConflict").await;
    cluster.grow_older("taken").await;
    cluster.autoscaler("late", "APA", json!({"scaleTargetRef": target})).await;
    let said = cluster.condition("late", "Conflict", "True", "TargetTaken").await;
    assert_eq!(said, "PodAutoscaler taken is older and scales the same target");
    cluster.wants("taken", 5).await;

    // Once the older one is gone, the younger one scales; what was scaled stays.
    cluster.autoscalers().delete("taken", &DeleteParams::default()).await.unwrap();
    cluster.condition("late", "Conflict", "False", "NoConflict").await;
    cluster.condition("late", "Ready", "True", "AsExpected").await;

    // A human's zero is a pause.
    cluster.autoscaler("paused", "APA", json!({})).await;
    cluster.condition("paused", "ScalingActive", "False", "ScalingDisabled").await;

    // One that only recommends says what it would do.
    let seen = cluster.sizes("opinion").await;
    cluster.autoscaler("opinion", "APA", json!({"mode": "Recommend"})).await;
    cluster.decided("opinion", 2).await;
    assert_eq!(seen.sizes(), [1]);

    // What is not there, or cannot be meant, is said.
    cluster.autoscaler("nowhere", "APA", json!({})).await;
    let said = cluster.condition("nowhere", "AbleToScale", "False", "FailedGetScale").await;
    assert_eq!(said, format!("Deployment {}/nowhere does not exist", cluster.namespace));
    cluster
        .autoscaler("unknown", "APA", json!({"scaleTargetRef": {"apiVersion": "x.io/v1", "kind": "X", "name": "x"}}))
        .await;
    let said = cluster.condition("unknown", "AbleToScale", "False", "FailedGetScale").await;
    assert!(said.contains("serves no API group x.io"), "{said}");
    cluster.autoscaler("unsound", "APA", json!({"minReplicas": 9})).await;
    let said = cluster.condition("unsound", "ValidSpec", "False", "InvalidSpec").await;
    assert!(said.contains("spec.minReplicas"), "{said}");

    // A change counts at once.
    let patch = json!({"spec": {"minReplicas": 1}});
    cluster.autoscalers().patch("unsound", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    cluster.condition("unsound", "ValidSpec", "True", "AsExpected").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_pods_are_marked_to_go_before_a_scale_down() {
    let Some(cluster) = Cluster::start().await else { return };
    cluster.deployment("chat", 3, json!({})).await;
    cluster.ready("chat", 3).await;
    let mut idle = cluster.pods("chat").await;
    cluster.engines.set_pod(&idle.remove(1), 3.0);
    let marked = [cluster.marked(&idle[0]).await, cluster.marked(&idle[1]).await];
    let controller = cluster.controller(quick()).await;
    cluster.autoscaler("chat", "APA", json!({})).await;
    // Servers before 1.21 do not look at the mark, so which pods go is not asserted.
    futures_util::future::join_all(marked).await;
    cluster.ready("chat", 1).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_native_hpas_of_the_second_version_is_told_of() {
    let Some(cluster) = Cluster::start().await else { return };
    let controller = cluster.controller(quick()).await;
    cluster.deployment("chat", 1, json!({})).await;
    cluster.autoscaler("chat", "HPA", json!({})).await;
    if cluster.serves("autoscaling/v2").await {
        let hpas: kube::Api<k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler> =
            kube::Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let there = kube::runtime::wait::await_condition(hpas, "chat-hpa", |hpa: Option<&_>| hpa.is_some());
        tokio::time::timeout(common::GUARD, there).await.unwrap().unwrap();
    } else {
        let said = cluster.condition("chat", "AbleToScale", "False", "NotSupported").await;
        assert!(said.contains("autoscaling/v2"), "{said}");
    }
    controller.stop().await;
}
