//! Metrics that are no pod's page: services, Prometheus servers, and the cluster's own metrics APIs.

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
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A service outside the target; answers its address.
async fn service(waiting: Arc<AtomicU32>) -> String {
    let (optimizer, prometheus) = (Arc::clone(&waiting), waiting);
    let page = async move || format!("vllm:deployment_replicas {}\n", optimizer.load(Ordering::SeqCst) * 100);
    let query = async move || {
        let value = prometheus.load(Ordering::SeqCst).to_string();
        let sample = json!({"metric": {}, "value": [0, value]});
        axum::Json(json!({"status": "success", "data": {"resultType": "vector", "result": [sample]}}))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().route("/metrics/chat", get(page)).route("/api/v1/query", get(query.clone()).post(query));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_at_zero_is_woken_from_outside_it_and_put_to_sleep_again() {
    let Some(cluster) = Cluster::start().await else { return };
    let waiting = Arc::new(AtomicU32::new(0));
    let address = service(Arc::clone(&waiting)).await;
    let controller = cluster.controller(quick()).await;
    // AIBrix's optimizer speaks in hundredths of a replica.
    let optimizer = json!({"metricSourceType": "external", "protocolType": "http", "endpoint": address,
        "path": "/metrics/chat", "targetMetric": "vllm:deployment_replicas", "targetValue": "100"});
    let prometheus = json!({"metricSourceType": "prometheus", "endpoint": format!("http://{address}"),
        "query": "sum(waiting)", "targetMetric": "waiting", "targetValue": "1"});
    for (name, strategy, source) in [("by-optimizer", "KPA", optimizer), ("by-prometheus", "APA", prometheus)] {
        cluster.deployment(name, 0, json!({})).await;
        let annotations = json!({"autoscaling.aibrix.ai/scale-to-zero-grace": "1s"});
        cluster
            .autoscaler_with(name, strategy, json!({"minReplicas": 0, "metricsSources": [source]}), annotations)
            .await;
        cluster.decided(name, 0).await;
    }
    waiting.store(3, Ordering::SeqCst);
    for name in ["by-optimizer", "by-prometheus"] {
        cluster.ready(name, 3).await;
    }
    waiting.store(0, Ordering::SeqCst);
    for name in ["by-optimizer", "by-prometheus"] {
        cluster.wants(name, 0).await;
    }
    controller.stop().await;
}

const WAITING: metrics_api::Kind = external("waiting", "Waiting");

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_apis_of_the_cluster_scale_and_their_absence_holds() {
    let Some(mut cluster) = Cluster::start().await else { return };
    if cluster.world.own().is_none() {
        return;
    }
    let controller = cluster.controller(quick()).await;
    let usage = json!({"metricSourceType": "resource", "targetMetric": "cpu", "targetValue": "500"});
    let outside = json!({"metricSourceType": "external", "targetMetric": "waiting", "targetValue": "2"});
    for (name, source) in [("by-usage", usage), ("by-external", outside)] {
        cluster.deployment(name, 2, json!({})).await;
        cluster.ready(name, 2).await;
        cluster.autoscaler(name, "APA", json!({"metricsSources": [source]})).await;
        cluster.condition(name, "ScalingActive", "False", "FailedGetMetrics").await;
    }
    metrics_api::serve(&cluster, USAGE).await;
    metrics_api::serve(&cluster, WAITING).await;
    let now = jiff::Timestamp::now().to_string();
    for pod in cluster.pods("by-usage").await {
        let used = json!({"labels": {"app": "by-usage"}, "timestamp": now, "window": "10s",
            "containers": [{"name": "c", "usage": {"cpu": "1", "memory": "1Gi"}}]});
        metrics_api::measure(&cluster, USAGE, &pod, used).await;
    }
    let value = json!({"metricName": "waiting", "metricLabels": {}, "timestamp": now, "value": "8"});
    metrics_api::measure(&cluster, WAITING, "waiting", value).await;
    cluster.wants("by-usage", 4).await;
    cluster.wants("by-external", 4).await;
    controller.stop().await;
}
