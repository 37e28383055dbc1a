//! From the leader's kill -9 to the first count that the next one writes: `takeover PROGRAM [TRIALS]`, with defaults (a lease of
//! 15 s). The load rises at the moment of the kill, so nothing of it can be the first leader's.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::large_futures, reason = "a benchmark")]

#[path = "../tests/common/mod.rs"]
mod common;
mod program;

use common::cluster::Cluster;
use program::Program;
use serde_json::json;
use std::time::Instant;

#[tokio::main]
async fn main() {
    let Some(path) = program::path() else { return };
    let Some(mut cluster) = Cluster::start().await else { return };
    let trials = program::number(1, 5);
    let http = reqwest::Client::new();
    cluster.deployment("chat", 2, json!({})).await;
    cluster.ready("chat", 2).await;
    cluster.engines.set("chat", 4.0);
    let replicas = cluster.sizes("chat").await;
    let patient = json!({"autoscaling.aibrix.ai/scale-down-cooldown-window": "300s"});
    cluster.autoscaler_with("chat", "APA", json!({"maxReplicas": 2 + trials}), patient).await;
    let Some(mut leader) = Program::start(&path, &mut cluster) else { return };
    leader.decides(&http, 1).await;
    let mut took = Vec::new();
    for trial in 1..=trials {
        let Some(next) = Program::start(&path, &mut cluster) else { return };
        // It waits for the lease: its caches are full once it has a page.
        while next.page(&http).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let wanted = i32::try_from(2 + trial).unwrap();
        // One replica more.
        cluster.engines.set("chat", 4.0 * f64::from(wanted) / f64::from(wanted - 1));
        drop(leader);
        let killed = Instant::now();
        cluster.wants("chat", wanted).await;
        took.push(killed.elapsed().as_secs_f64());
        cluster.ready("chat", wanted).await;
        cluster.engines.set("chat", 4.0);
        leader = next;
    }
    took.sort_by(f64::total_cmp);
    let down = replicas.sizes().windows(2).filter(|pair| pair[1] < pair[0]).count();
    println!(
        "{trials} kills: median {:.1} s, worst {:.1} s until the next leader scales; {down} scale-downs",
        took[took.len() / 2],
        took[took.len() - 1]
    );
}
