//! `Hybrid` on a real API server: an engine model from a ConfigMap, arrivals from the pods' pages, and a plan that moves the target.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::large_futures,
    reason = "all of it is test code"
)]

mod common;

use common::cluster::{Cluster, Engines, quick};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Requests of some 1,000 prompt and 200 answer tokens that every engine of an app ends in a second, in hundredths; the pages count
/// them as long as it lives.
struct Traffic {
    rate: Arc<AtomicU64>,
    task: tokio::task::AbortHandle,
}

impl Traffic {
    fn start(engines: Engines, app: &str, rate: u64) -> Self {
        let app = app.to_owned();
        let rate = Arc::new(AtomicU64::new(rate));
        let asked = Arc::clone(&rate);
        let task = tokio::spawn(async move {
            let (mut ended, mut last) = (1000.0, Instant::now());
            loop {
                ended += asked.load(Ordering::SeqCst) as f64 / 100.0 * last.elapsed().as_secs_f64();
                last = Instant::now();
                engines.print(&app, page(ended.floor()));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { rate, task: task.abort_handle() }
    }

    fn set(&self, rate: u64) {
        self.rate.store(rate, Ordering::SeqCst);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn page(ended: f64) -> String {
    let histogram = |name: &str, bound: u32, mean: f64| {
        format!(
            "# TYPE {name} histogram\n{name}_bucket{{le=\"{bound}\"}} {ended}\n{name}_bucket{{le=\"+Inf\"}} {ended}\n\
             {name}_sum {}\n{name}_count {ended}\n",
            ended * mean
        )
    };
    let histograms = [
        histogram("vllm:request_prompt_tokens", 2000, 1000.0),
        histogram("vllm:request_generation_tokens", 400, 200.0),
        histogram("vllm:time_to_first_token_seconds", 1, 0.2),
        histogram("vllm:request_time_per_output_token_seconds", 1, 0.02),
        histogram("vllm:e2e_request_latency_seconds", 5, 4.0),
    ];
    // Nothing runs, so that the metrics beside the plan never ask for more than one replica.
    format!(
        "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 0\n\
         # TYPE vllm:request_success_total counter\nvllm:request_success_total {ended}\n{}",
        histograms.concat()
    )
}

const ENGINE: &str = r#"{"name": "8b", "gpus": 1, "overheadMs": 3.0, "weightsMs": 9.0, "computeMsPerToken": 0.055,
    "kvNsPerToken": 65.0, "attentionNsPerToken2": 0.9, "kvCapacityTokens": 400000}"#;

/// The engine's model, where [`planned`] looks for it.
fn profile() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "engine"}, "data": {"profile.json": ENGINE}})
}

/// What a manifest says of its plan; the cost may be nothing.
fn planned(cost_per_hour: Option<f64>, max: u32) -> Value {
    json!({
        "profiles": [{"gpuType": "A100", "costPerHour": cost_per_hour, "configMapRef": {"name": "engine"}}],
        "slo": {"objectives": [{"metric": "ttft", "seconds": 2.0}, {"metric": "tpot", "seconds": 0.1}], "attainment": 0.95},
        "forecast": {"horizonSeconds": 1},
        "maxReplicas": max,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hybrid_plans_from_pages_and_a_config_map_and_without_one_says_so() {
    let Some(cluster) = Cluster::start().await else { return };
    let controller = cluster.controller(quick()).await;
    cluster.deployment("chat", 1, json!({})).await;
    cluster.ready("chat", 1).await;
    let traffic = Traffic::start(cluster.engines.clone(), "chat", 100);
    cluster.autoscaler("chat", "Hybrid", planned(None, 3)).await;
    cluster.condition("chat", "PlanFresh", "False", "ProfileUnusable").await;
    let note = cluster.event("chat", "ProfileUnusable").await;
    assert!(note.contains("ConfigMap engine: is not in namespace"), "{note}");
    cluster.create(profile()).await;
    let message = cluster.condition("chat", "PlanFresh", "True", "Planned").await;
    assert!(message.contains("the plan asks for"), "{message}");
    // More than twice what one replica can serve; levels are means of minutes, so it does not last.
    traffic.set(4000);
    cluster.wants("chat", 3).await;
    traffic.set(5);
    cluster.wants("chat", 1).await;
    controller.stop().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let saved = maps.list(&ListParams::default()).await.unwrap();
    assert!(
        saved.iter().any(|map| map.name_any().starts_with("aibrix-autoscaler-plan-")),
        "what it has learnt is saved"
    );
    // The next one reads a profile that is broken: the plan before goes on, and the status tells.
    let broken = json!({"data": {"profile.json": "{}"}});
    maps.patch("engine", &PatchParams::default(), &Patch::Merge(broken)).await.unwrap();
    let next = cluster.controller(quick()).await;
    let message = cluster.condition("chat", "PlanFresh", "False", "ProfileUnusable").await;
    assert!(message.contains("missing field") && message.contains("the plan asks for 1"), "{message}");
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_objects_of_one_model_share_a_plan_that_grows_the_cheaper_one() {
    let Some(cluster) = Cluster::start().await else { return };
    let controller = cluster.controller(quick()).await;
    cluster.create(profile()).await;
    // The same engine at two prices, so that only the price speaks for one.
    for (name, cost) in [("spot", 1.0), ("reserved", 3.0)] {
        cluster.deployment(name, 1, json!({})).await;
        cluster.ready(name, 1).await;
        cluster.engines.print(name, page(1000.0));
        let model = json!({"model.aibrix.ai/name": "chat-8b"});
        cluster.autoscaler_with(name, "Hybrid", planned(Some(cost), 15), model).await;
    }
    // One pod is busy, and stays the only one: what others would do were the load's, too.
    let pod = cluster.pods("reserved").await.remove(0);
    let traffic = Traffic::start(cluster.engines.clone(), &format!("pod {pod}"), 100);
    for name in ["spot", "reserved"] {
        cluster.condition(name, "PlanFresh", "True", "Planned").await;
    }
    traffic.set(3000);
    cluster.wants_at_least("spot", 2).await;
    let reserved = cluster.condition("reserved", "PlanFresh", "True", "Planned").await;
    assert!(reserved.contains("the plan asks for 1"), "{reserved}");
    controller.stop().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let saved = maps.list(&ListParams::default()).await.unwrap();
    let plans = saved.iter().filter(|map| map.name_any().starts_with("aibrix-autoscaler-plan-")).count();
    assert_eq!(plans, 1, "one model has one memory");
}
