//! What the controller costs: `fleet PROGRAM [OBJECTS] [PODS OF EACH] [SECONDS]`. Deployments with pods that share a few engines on
//! this machine, half of the objects under APA and half under KPA, and the controller with its defaults.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::large_futures, reason = "a benchmark")]

#[path = "../tests/common/mod.rs"]
mod common;
mod program;

use common::cluster::Cluster;
use futures_util::StreamExt;
use futures_util::stream;
use kube::Api;
use kube::api::ListParams;
use program::Program;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// Engines that all pods share.
const ENGINES: u32 = 16;

#[tokio::main]
async fn main() {
    let Some(path) = program::path() else { return };
    let Some(mut cluster) = Cluster::start().await else { return };
    let (objects, pods, seconds) = (program::number(1, 1000), program::number(2, 5), program::number(3, 120));
    let replicas = i32::try_from(pods).unwrap();
    let names: Vec<String> = (0..objects).map(|at| format!("t{at}")).collect();
    let making = stream::iter(names.iter().enumerate()).for_each_concurrent(16, |(at, name)| {
        let (cluster, engine) = (&cluster, u32::try_from(at).unwrap() % ENGINES + 1);
        async move {
            cluster.engines.set(name, 4.0);
            cluster.deployment(name, replicas, json!({"test/ip": format!("127.9.0.{engine}")})).await;
            cluster.autoscaler(name, if at % 2 == 0 { "APA" } else { "KPA" }, json!({"maxReplicas": 20})).await;
        }
    });
    making.await;
    let all: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let ready = "status.phase=Running";
    while all.list(&ListParams::default().fields(ready)).await.unwrap().items.len() < (objects * pods) as usize {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    println!("{objects} PodAutoscalers, {} pods are ready; the controller begins", objects * pods);

    let http = reqwest::Client::new();
    let Some(controller) = Program::start(&path, &mut cluster) else { return };
    let first = controller.decides(&http, 1).await;
    let every = controller.decides(&http, objects as usize).await;
    println!(
        "from start to the first decision {:.2} s, of all objects {:.2} s",
        first.as_secs_f64(),
        every.as_secs_f64()
    );

    // What follows the start is over.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (before, used) = (controller.page(&http).await, program::processor(controller.id()));
    let servers: Vec<_> = cluster.world.own().map(|plane| plane.processes()).unwrap_or_default();
    let servers: Vec<_> = servers.into_iter().map(|(name, id)| (name, id, program::processor(id))).collect();
    let own = program::processor(std::process::id());
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let after = controller.page(&http).await;
    let span = f64::from(seconds);
    println!(
        "processor: {:.3} cores (engines and kubelet here {:.3}); memory {:.1} MiB",
        (program::processor(controller.id()) - used) / span,
        (program::processor(std::process::id()) - own) / span,
        program::memory(controller.id())
    );
    for (name, id, used) in servers {
        println!("  {name}: {:.3} cores", (program::processor(id) - used) / span);
    }
    let grown = |key: &str| after.get(key).copied().unwrap_or(0.0) - before.get(key).copied().unwrap_or(0.0);
    for key in after.keys().filter(|key| key.starts_with("rest_client_requests") || key.contains("_pages_")) {
        println!("  {key}: {:.2} a second", grown(key) / span);
    }
    println!("ticks: {:.1} a second", grown("aibrix_autoscaler_tick_lateness_seconds_count") / span);
    for share in [0.5, 0.99] {
        println!("  lateness, {share} of them: at most {} s", quantile(&after, &grown, share));
    }
    println!("  a look at the metrics takes, 0.99 of them: at most {} s", look(&after, &grown));
}

fn quantile(page: &BTreeMap<String, f64>, grown: &impl Fn(&str) -> f64, share: f64) -> f64 {
    bucket(page, grown, "aibrix_autoscaler_tick_lateness_seconds", share)
}

fn look(page: &BTreeMap<String, f64>, grown: &impl Fn(&str) -> f64) -> f64 {
    bucket(page, grown, "aibrix_autoscaler_look_seconds", 0.99)
}

/// The bound of the bucket that a share of the samples lies in.
fn bucket(page: &BTreeMap<String, f64>, grown: &impl Fn(&str) -> f64, name: &str, share: f64) -> f64 {
    let all = grown(&format!("{name}_count"));
    let mut bounds: Vec<(f64, f64)> = page
        .keys()
        .filter_map(|key| {
            let bound = key.strip_prefix(&format!("{name}_bucket{{le=\""))?.strip_suffix("\"}")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound, grown(key)))
        })
        .collect();
    bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    bounds.iter().find(|(_, count)| *count >= share * all).map_or(f64::INFINITY, |(bound, _)| *bound)
}
