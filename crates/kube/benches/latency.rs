//! From a change of the engines' load to the count that is written: `latency PROGRAM [TRIALS]`. The controller runs with its
//! defaults, so times are shown as shares of its interval, too.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::large_futures, reason = "a benchmark")]

#[path = "../tests/common/mod.rs"]
mod common;
mod program;

use common::cluster::Cluster;
use program::Program;
use serde_json::json;
use std::time::{Duration, Instant};

/// The controller's default.
const INTERVAL: f64 = 5.0;

#[tokio::main]
async fn main() {
    let Some(path) = program::path() else { return };
    let Some(mut cluster) = Cluster::start().await else { return };
    let trials = program::number(1, 20);
    let http = reqwest::Client::new();
    for strategy in ["APA", "KPA"] {
        let name = strategy.to_lowercase();
        cluster.deployment(&name, 1, json!({})).await;
        cluster.ready(&name, 1).await;
        cluster.engines.set(&name, 1.0);
        cluster.autoscaler(&name, strategy, json!({"maxReplicas": 2})).await;
    }
    let Some(controller) = Program::start(&path, &mut cluster) else { return };
    controller.decides(&http, 2).await;
    for name in ["apa", "kpa"] {
        let mut took = Vec::new();
        for _ in 0..trials {
            // At any point of the interval.
            tokio::time::sleep(Duration::from_secs_f64(rand::random::<f64>() * INTERVAL)).await;
            let began = Instant::now();
            cluster.engines.set(name, 12.0);
            cluster.wants(name, 2).await;
            took.push(began.elapsed().as_secs_f64());
            cluster.ready(name, 2).await;
            cluster.engines.set(name, 0.0);
            cluster.ready(name, 1).await;
        }
        took.sort_by(f64::total_cmp);
        let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
        println!(
            "{name}: {trials} changes: median {median:.2} s ({:.2} intervals), worst {worst:.2} s ({:.2} intervals)",
            median / INTERVAL,
            worst / INTERVAL
        );
    }
}
