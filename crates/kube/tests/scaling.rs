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

#[tokio::test(flavor = "multi_thread")]
async fn decode_does_not_grow_beyond_a_prefill_that_finds_no_room_and_goes_on_when_that_is_over() {
    let Some(cluster) = Cluster::start().await else { return };
    for name in ["prefill", "decode"] {
        cluster.deployment(name, 1, json!({})).await;
        cluster.ready(name, 1).await;
    }
    cluster.kubelet.no_room_for("prefill");
    cluster.engines.set("prefill", 7.0);
    let decode = cluster.sizes("decode").await;
    let controller = cluster.controller(quick()).await;
    for name in ["prefill", "decode"] {
        let role = json!({"coordination": {"group": "chat", "role": name}});
        let deadline = json!({"autoscaling.aibrix.ai/pending-deadline": "2s"});
        cluster.autoscaler_with(name, "KPA", role, deadline).await;
    }
    cluster.wants("prefill", 2).await;
    cluster.event("prefill", "ReplicaPending").await;
    cluster.engines.set("decode", 12.0);
    cluster.because("decode", "prefill of").await;
    assert_eq!(decode.sizes(), [1], "one prefill replica serves of the two that are wanted");
    cluster.engines.set("prefill", 0.0);
    cluster.wants("prefill", 1).await;
    cluster.wants("decode", 5).await;
    controller.stop().await;
}
