//! The service with engines' own metrics pages for its load.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use axum::Router;
use axum::routing::get;
use common::{START, World, config, profile};
use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// vLLM's page after so many requests of 256 prompt and 128 answer tokens.
fn page(requests: u64) -> String {
    let mut text = String::new();
    for (name, tokens, bounds) in [("prompt", 256, [200, 500]), ("generation", 128, [100, 200])] {
        let family = format!("vllm:request_{name}_tokens");
        let _ = writeln!(text, "# TYPE {family} histogram");
        let labels = "model_name=\"llama\"";
        for bound in bounds {
            let below = if bound > tokens { requests } else { 0 };
            let _ = writeln!(text, "{family}_bucket{{{labels},le=\"{bound}.0\"}} {below}");
        }
        let _ = writeln!(text, "{family}_bucket{{{labels},le=\"+Inf\"}} {requests}");
        let _ = writeln!(text, "{family}_count{{{labels}}} {requests}\n{family}_sum{{{labels}}} {}", requests * tokens);
        let _ = writeln!(text, "# TYPE vllm:{name}_tokens_total counter");
        let _ = writeln!(text, "vllm:{name}_tokens_total{{{labels}}} {}", requests * tokens);
    }
    let _ = writeln!(text, "# TYPE vllm:request_success_total counter");
    let _ = writeln!(text, "vllm:request_success_total{{model_name=\"llama\",finished_reason=\"stop\"}} {requests}");
    for name in ["running", "waiting"] {
        let _ =
            writeln!(text, "# TYPE vllm:num_requests_{name} gauge\nvllm:num_requests_{name}{{model_name=\"llama\"}} 0");
    }
    text
}

#[tokio::test]
async fn what_engines_count_is_the_load_and_one_that_does_not_answer_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let count = Arc::new(AtomicU64::new(1000));
    let own = Arc::clone(&count);
    let app = Router::new().route("/metrics", get(move || async move { page(own.load(Ordering::SeqCst)) }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a100.json"), profile("a100", 1.0, 10.0, 1.0)).unwrap();
    let mut config = config(None);
    config["models"][0]["profiles"] = json!([folder.path()]);
    config["models"][0]["engines"] = json!([url]);
    let world = World::new(&config);
    for turn in 0..12 {
        world.turn("llama", START + turn * 10).await;
        count.fetch_add(255, Ordering::SeqCst);
    }
    let model = world.json("/api/v1/models/llama").await;
    let rate = model["load"]["rate"].as_f64().unwrap();
    assert!((rate - 25.5).abs() < 0.5, "{model}");
    assert_eq!(world.hundredths("ml/a100").await, Some(300), "{model}");
    let size = &model["load"]["sizes"][0];
    assert!(
        (size["input"].as_f64().unwrap() - 256.0).abs() < 1.0 && (size["output"].as_f64().unwrap() - 128.0).abs() < 1.0
    );
    // Another replica that is not there: what the first one says still counts.
    config["models"][0]["engines"] = json!([url, "http://127.0.0.1:1/metrics"]);
    let world = World::new(&config);
    world.turn("llama", START + 200).await;
    let model = world.json("/api/v1/models/llama").await;
    let message = model["troubles"]["engines"]["message"].as_str().unwrap();
    assert!(message.starts_with("1 of 2 pages failed") && message.contains("127.0.0.1:1"), "{message}");
}
