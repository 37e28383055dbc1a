//! What goes wrong in a cluster, against a real API server: nothing of it scales down, and work goes on after it.

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
use serde_json::json;
use std::time::Duration;

/// Elections in seconds.
fn brief() -> Options {
    Options { lease_duration: Duration::from_secs(3), ..quick() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_controller_takes_over_from_a_leader_that_crashed() {
    let Some(cluster) = Cluster::start().await else { return };
    let first = cluster.controller(brief()).await;
    cluster.deployment("chat", 1, json!({})).await;
    cluster.ready("chat", 1).await;
    cluster.autoscaler("chat", "APA", json!({})).await;
    cluster.engines.set("chat", 8.0);
    cluster.ready("chat", 5).await;
    let second = cluster.controller(brief()).await;
    first.kill();
    let seen = cluster.sizes("chat").await;
    cluster.engines.set("chat", 0.0);
    cluster.wants("chat", 1).await;
    assert!(seen.sizes().iter().all(|size| *size <= 5), "{:?}", seen.sizes());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_begins_under_load_scales_nothing_down() {
    let Some(cluster) = Cluster::start().await else { return };
    cluster.deployment("chat", 4, json!({})).await;
    cluster.ready("chat", 4).await;
    cluster.engines.set("chat", 4.0);
    let seen = cluster.sizes("chat").await;
    for _ in 0..2 {
        let controller = cluster.controller(quick()).await;
        if seen.sizes() == [4] {
            cluster.autoscaler_once("chat", "KPA").await;
        }
        cluster.decided("chat", 4).await;
        controller.stop().await;
    }
    assert_eq!(seen.sizes(), [4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_was_away_finds_everything_as_it_was() {
    let Some(mut cluster) = Cluster::start().await else { return };
    if cluster.world.own().is_none() {
        return;
    }
    let controller = cluster.controller(brief()).await;
    cluster.deployment("chat", 1, json!({})).await;
    cluster.ready("chat", 1).await;
    cluster.autoscaler("chat", "APA", json!({})).await;
    cluster.engines.set("chat", 8.0);
    cluster.ready("chat", 5).await;
    let Some(plane) = cluster.world.own() else { return };
    plane.stop_apiserver();
    // Many times the lease, so that the leader has stopped by itself.
    tokio::time::sleep(Duration::from_secs(60)).await;
    plane.start_apiserver().await;
    let seen = cluster.sizes("chat").await;
    cluster.decided("chat", 5).await;
    assert_eq!(seen.sizes(), [5]);
    cluster.engines.set("chat", 0.0);
    cluster.wants("chat", 1).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_hang_or_cannot_be_reached_never_scale_down_and_delay_nobody() {
    let Some(cluster) = Cluster::start().await else { return };
    for (name, annotations) in [("hangs", json!({"test/hangs": "1"})), ("silent", json!({"test/silent": "1"}))] {
        cluster.deployment(name, 3, annotations).await;
        cluster.ready(name, 3).await;
    }
    cluster.deployment("sound", 1, json!({})).await;
    cluster.ready("sound", 1).await;
    let (hanging, silent) = (cluster.sizes("hangs").await, cluster.sizes("silent").await);
    let controller = cluster.controller(quick()).await;
    for name in ["hangs", "silent", "sound"] {
        cluster.autoscaler(name, "APA", json!({})).await;
    }
    for name in ["hangs", "silent"] {
        cluster.condition(name, "ScalingActive", "False", "FailedGetMetrics").await;
    }
    cluster.engines.set("sound", 8.0);
    cluster.wants("sound", 5).await;
    assert_eq!((hanging.sizes(), silent.sizes()), (vec![3], vec![3]));
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_on_their_way_are_not_asked_for_again_and_stuck_ones_are_told_of() {
    let Some(cluster) = Cluster::start().await else { return };
    cluster.deployment("chat", 1, json!({})).await;
    cluster.ready("chat", 1).await;
    cluster.kubelet.no_room_for("chat");
    let seen = cluster.sizes("chat").await;
    let controller = cluster.controller(quick()).await;
    cluster.engines.set("chat", 7.0);
    let deadline = json!({"autoscaling.aibrix.ai/pending-deadline": "4s"});
    cluster.autoscaler_with("chat", "APA", json!({"maxReplicas": 9}), deadline).await;
    cluster.wants("chat", 2).await;
    cluster.event("chat", "ReplicaPending").await;
    assert_eq!(seen.sizes()[..2], [1, 2], "the shortage is answered once while a pod is on its way");
    controller.stop().await;
}
