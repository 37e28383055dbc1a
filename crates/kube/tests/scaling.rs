//! Load on the engines' pages moves a Deployment of a real API server, up and down again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::large_futures,
    reason = "all of it is test code"
)]

mod common;

use common::cluster::{Cluster, quick};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn load_moves_a_deployment_up_and_down_under_each_strategy() {
    let Some(cluster) = Cluster::start().await else { return };
    let controller = cluster.controller(quick()).await;
    for (name, strategy) in [("by-apa", "APA"), ("by-kpa", "KPA")] {
        cluster.deployment(name, 1, json!({})).await;
        cluster.ready(name, 1).await;
        cluster.autoscaler(name, strategy, json!({})).await;
        cluster.condition(name, "Ready", "True", "AsExpected").await;
        cluster.engines.set(name, 12.0);
        cluster.wants(name, 5).await;
        cluster.ready(name, 5).await;
        cluster.engines.set(name, 0.0);
        cluster.wants(name, 1).await;
        cluster.condition(name, "ScalingActive", "True", "ValidMetricFound").await;
    }
    controller.stop().await;
}
