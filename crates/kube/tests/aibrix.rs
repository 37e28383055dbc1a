//! The shapes of every sample that AIBrix ships for its `PodAutoscaler`, unchanged but for their names: each is accepted, and
//! moves its target under load.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::large_futures,
    reason = "all of it is test code"
)]

mod common;

use axum::Router;
use axum::routing::get;
use common::cluster::{Cluster, quick};
use common::metrics_api::{self, USAGE, external};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("aibrix/", $name, ".yaml"))
    };
}

/// Makes what a file states.
async fn apply(cluster: &Cluster, text: &str) {
    for object in serde_saphyr::from_multiple::<Value>(text).unwrap() {
        cluster.create(object).await;
    }
}

/// A Deployment with one replica, and a page of its engines.
async fn engine(cluster: &Cluster, name: &str, page: &str) {
    cluster.engines.print(name, page);
    cluster.deployment(name, 1, json!({})).await;
    cluster.ready(name, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_read_pods_act() {
    let Some(cluster) = Cluster::start().await else { return };
    let controller = cluster.controller(quick()).await;
    // Newer engines have another name for it than the samples.
    let full = "# TYPE vllm:kv_cache_usage_perc gauge\nvllm:kv_cache_usage_perc 1\n";
    let both = format!("{full}# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting 7\n");
    let samples = [
        ("apa", sample!("apa"), full, 8),
        ("kpa", sample!("kpa"), full, 8),
        ("predictive", sample!("predictive"), full, 8),
        ("multimetrics", sample!("multimetrics"), &both, 3),
    ];
    for (name, text, page, _) in samples {
        engine(&cluster, name, page).await;
        apply(&cluster, text).await;
    }
    for (name, _, _, max) in samples {
        cluster.ready(name, max).await;
    }
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_read_something_else_act() {
    let Some(mut cluster) = Cluster::start().await else { return };
    if cluster.world.own().is_none() {
        return;
    }
    let controller = cluster.controller(quick()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let optimizer = listener.local_addr().unwrap().to_string();
    let page = get(async || "vllm:deployment_replicas 300\n");
    let router = Router::new().route("/metrics/default/optimizer", page);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let samples = [
        ("apa-resource", sample!("apa-resource"), 2),
        ("external-apa", sample!("external-apa"), 2),
        ("external-kpa", sample!("external-kpa"), 2),
        ("optimizer", sample!("optimizer"), 3),
    ];
    metrics_api::serve(&cluster, USAGE).await;
    for (metric, kind, value) in [("queuedepth", "QueueDepth", "80"), ("runningrequests", "RunningRequests", "200")] {
        let kind = external(metric, kind);
        metrics_api::serve(&cluster, kind).await;
        let now = jiff::Timestamp::now().to_string();
        let value = json!({"metricName": metric, "metricLabels": {}, "timestamp": now, "value": value});
        metrics_api::measure(&cluster, kind, metric, value).await;
    }
    for (name, text, _) in samples {
        engine(&cluster, name, "").await;
        let text = text.replace("OPTIMIZER", &optimizer);
        // A CRD's plural has no underscores.
        let text =
            text.replace("aibrix_queue_depth", "queuedepth").replace("aibrix_running_requests", "runningrequests");
        apply(&cluster, &text).await;
    }
    for pod in cluster.pods("apa-resource").await {
        let used = json!({"labels": {"app": "apa-resource"}, "timestamp": jiff::Timestamp::now().to_string(),
            "window": "10s", "containers": [{"name": "c", "usage": {"cpu": "100m", "memory": "1Gi"}}]});
        metrics_api::measure(&cluster, USAGE, &pod, used).await;
    }
    for (name, _, replicas) in samples {
        cluster.wants(name, replicas).await;
    }
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_for_kubernetes_own_autoscaler_is_handed_on() {
    let Some(cluster) = Cluster::start().await else { return };
    let controller = cluster.controller(quick()).await;
    engine(&cluster, "hpa", "").await;
    apply(&cluster, sample!("hpa")).await;
    let version = if cluster.serves("autoscaling/v2").await { "ValidMetricFound" } else { "NotSupported" };
    if version == "NotSupported" {
        cluster.condition("hpa", "AbleToScale", "False", version).await;
    } else {
        let hpas: Api<k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler> =
            Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let there = await_condition(hpas, "hpa-hpa", |hpa: Option<&_>| hpa.is_some());
        tokio::time::timeout(common::GUARD, there).await.unwrap().unwrap();
    }
    controller.stop().await;
}

/// Serves `StormService`s, as AIBrix's CRD does.
async fn storm_services(cluster: &Cluster) -> Api<DynamicObject> {
    let name = "stormservices.orchestration.aibrix.ai";
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
        "spec": {"group": "orchestration.aibrix.ai", "scope": "Namespaced",
            "names": {"plural": "stormservices", "kind": "StormService"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.scalingTargetSelector"}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                        "properties": {"replicas": {"type": "integer"}}}}}}}]},
    });
    cluster.create(crd).await;
    let crds = Api::all(cluster.client.clone());
    let established = await_condition(crds, name, conditions::is_crd_established());
    tokio::time::timeout(common::GUARD, established).await.unwrap().unwrap();
    let kind = GroupVersionKind::gvk("orchestration.aibrix.ai", "v1alpha1", "StormService");
    let resource = ApiResource::from_gvk_with_plural(&kind, "stormservices");
    Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource)
}

/// A service of so many `RoleSet`s, each with so many pods of both roles, and these pods.
async fn storm(cluster: &Cluster, name: &str, sets: usize, pods: usize) {
    let role = |role: &str| json!({"name": role, "replicas": pods, "template": {}});
    cluster
        .create(json!({
            "apiVersion": "orchestration.aibrix.ai/v1alpha1", "kind": "StormService", "metadata": {"name": name},
            "spec": {"replicas": sets, "selector": {"matchLabels": {"app": name}},
                "template": {"spec": {"roles": [role("prefill"), role("decode")]}}},
        }))
        .await;
    for set in 0..sets {
        for role in ["prefill", "decode"] {
            for pod in 0..pods {
                let labels = json!({"app": format!("{name}-{role}"), "storm-service-name": name, "role-name": role,
                    "roleset-name": format!("{name}-{set}"),
                    "stormservice.orchestration.aibrix.ai/role-replica-index": pod.to_string()});
                cluster
                    .create(json!({
                        "apiVersion": "v1", "kind": "Pod",
                        "metadata": {"name": format!("{name}-{set}-{role}-{pod}"), "labels": labels},
                        "spec": {"schedulerName": "test", "containers": [{"name": "c", "image": "i"}]},
                    }))
                    .await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_of_prefill_and_decode_roles_act_on_the_role_or_the_whole() {
    let Some(mut cluster) = Cluster::start().await else { return };
    if cluster.world.own().is_none() {
        return;
    }
    let storms = storm_services(&cluster).await;
    let controller = cluster.controller(quick()).await;
    storm(&cluster, "pool", 1, 4).await;
    storm(&cluster, "whole", 3, 1).await;
    // Prefill waits, decode is on its target: one moves and the other stays.
    cluster.engines.print("pool-prefill", "# TYPE prefill_queue_length gauge\nprefill_queue_length 20\n");
    cluster.engines.print("pool-decode", "# TYPE decode_batch_utilization gauge\ndecode_batch_utilization 70\n");
    cluster.engines.print("whole-prefill", "# TYPE prefill_queue_length gauge\nprefill_queue_length 20\n");
    apply(&cluster, sample!("storm-pool")).await;
    apply(&cluster, sample!("storm-replica")).await;
    let roles = |object: Option<&DynamicObject>| {
        let roles = object.and_then(|object| object.data["spec"]["template"]["spec"]["roles"].as_array());
        roles.is_some_and(|roles| roles[0]["replicas"] == 8 && roles[1]["replicas"] == 4)
    };
    let whole = |object: Option<&DynamicObject>| object.is_some_and(|object| object.data["spec"]["replicas"] == 6);
    for (name, scaled) in [
        ("pool", Box::new(roles) as Box<dyn Fn(Option<&DynamicObject>) -> bool + Send + Sync>),
        ("whole", Box::new(whole)),
    ] {
        let scaled = await_condition(storms.clone(), name, move |object: Option<&DynamicObject>| scaled(object));
        tokio::time::timeout(common::GUARD, scaled).await.unwrap().unwrap();
    }
    cluster.decided("decode", 4).await;
    controller.stop().await;
}
