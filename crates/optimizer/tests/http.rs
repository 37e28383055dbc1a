//! What is answered, byte by byte, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{START, World, config, profile};
use serde_json::json;
use std::fmt::Write as _;

/// A world with records for its load: 10.5 requests/s for a minute.
fn planned(folder: &std::path::Path) -> World {
    let mut config = config(None);
    let mut lines = String::new();
    for at in 0..630 {
        let arrival = START as f64 - 58.0 + f64::from(at) / 10.5;
        let end = arrival + 0.05;
        let _ = writeln!(
            lines,
            "{{\"arrival\":{arrival},\"end\":{end},\"inputTokens\":{},\"outputTokens\":128}}",
            if at % 3 == 0 { 1024 } else { 256 }
        );
    }
    std::fs::write(folder.join("records"), lines).unwrap();
    std::fs::write(folder.join("a100.json"), profile("a100", 1.0, 10.0, 1.0)).unwrap();
    std::fs::write(folder.join("a40.json"), profile("a40", 0.3, 2.0, 1.0)).unwrap();
    config["models"][0]["profiles"] = json!([folder]);
    config["models"][0]["records"] = json!(folder.join("records"));
    World::new(&config)
}

#[tokio::test]
async fn aibrix_reads_three_lines_in_hundredths() {
    let folder = tempfile::tempdir().unwrap();
    let world = planned(folder.path());
    world.turn("llama", START).await;
    let page = "# HELP vllm:deployment_replicas Number of suggested replicas.\n\
                # TYPE vllm:deployment_replicas gauge\n\
                vllm:deployment_replicas{model_name=\"llama\"} 100\n";
    assert_eq!(world.get("/metrics/ml/a100").await, page);
    let (status, text) = world.call("GET", "/metrics/ml/b200", "").await;
    assert_eq!(status, 404);
    assert_eq!(text, "{\"error\":\"Failed to read metrics: no deployment \\\"ml/b200\\\" of any model is known\"}");
}

#[tokio::test]
async fn counts_that_people_set_are_hundredths_too_and_minus_one_frees_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let world = planned(folder.path());
    world.turn("llama", START).await;
    let put = async |body: &str| world.call("PUT", "/scale/ml/a40", body).await;
    assert_eq!(
        put("{\"replicas\":\"3\"}").await,
        (200.try_into().unwrap(), "{\"message\":\"Scaled to 3\"}".to_owned())
    );
    assert_eq!(world.hundredths("ml/a40").await, Some(300));
    // The plan fills up around it: 6 of 10.5 requests/s are carried already.
    world.turn("llama", START).await;
    assert_eq!((world.hundredths("ml/a100").await, world.hundredths("ml/a40").await), (Some(100), Some(300)));
    for bad in ["{\"replicas\":\"x\"}", "{\"replicas\":\"-2\"}", "{}", "", "{\"replicas\":\"99999999\"}"] {
        let (status, text) = put(bad).await;
        assert!(status == 400 && text.contains("whole numbers from -1"), "{bad}: {text}");
    }
    assert_eq!(world.hundredths("ml/a40").await, Some(300), "a typing error sets nothing free");
    assert_eq!(put("{\"replicas\":\"-1\"}").await.1, "{\"message\":\"Scaled to -1\"}");
    world.turn("llama", START).await;
    assert_eq!(world.hundredths("ml/a40").await, Some(100));
    let (status, _) = world.call("POST", "/scale/ml/a40/2", "").await;
    assert_eq!((status.as_u16(), world.hundredths("ml/a40").await), (200, Some(200)), "the older form");
    assert_eq!(world.call("PUT", "/scale/ml/none", "{\"replicas\":\"1\"}").await.0, 500);
}

#[tokio::test]
async fn a_deployment_is_stopped_and_started_as_in_aibrix() {
    let folder = tempfile::tempdir().unwrap();
    let world = planned(folder.path());
    world.turn("llama", START).await;
    let said = async |method: &str| world.call(method, "/monitor/ml/a40", "").await.1;
    assert_eq!(said("POST").await, "{\"message\":\"Deployment optimization already started\"}");
    assert_eq!(said("DELETE").await, "{\"message\":\"Deployment optimization stopped\"}");
    assert_eq!(world.hundredths("ml/a40").await, None);
    world.turn("llama", START).await;
    assert_eq!(world.hundredths("ml/a100").await, Some(200), "alone it needs two");
    assert_eq!(said("POST").await, "{\"message\":\"Deployment optimization started\"}");
    world.turn("llama", START).await;
    assert!(world.hundredths("ml/a40").await.is_some());
    let (status, text) = world.call("POST", "/monitor/ml/none", "").await;
    assert!(status == 500 && text.contains("Error starting deployment optimization"), "{text}");
    let (status, text) = world.call("GET", "/update_profile/none", "").await;
    assert_eq!((status.as_u16(), text.as_str()), (404, "{\"error\":\"none not monitored\"}"));
    assert_eq!(world.call("GET", "/update_profile/llama", "").await.0, 200);
}

#[tokio::test]
async fn the_api_tells_the_whole_plan() {
    let folder = tempfile::tempdir().unwrap();
    let world = planned(folder.path());
    assert_eq!(world.call("GET", "/readyz", "").await.0, 503);
    world.turn("llama", START).await;
    assert_eq!((world.get("/readyz").await, world.get("/healthz").await), ("ok".to_owned(), "ok".to_owned()));
    let lines = world.json("/api/v1/models").await;
    assert_eq!(lines[0]["replicas"], json!({"ml/a100": 1, "ml/a40": 1}));
    assert_eq!((&lines[0]["state"], &lines[0]["planAge"]), (&json!("planned"), &json!(0.0)));
    let model = world.json("/api/v1/models/llama").await;
    let plan = &model["plan"];
    assert!((plan["cost"].as_f64().unwrap() - 1.3).abs() < 1e-9 && plan["bound"].as_f64() <= plan["cost"].as_f64());
    assert_eq!(model["load"]["sizes"].as_array().unwrap().len(), 2);
    for size in plan["sizes"].as_array().unwrap() {
        let shares: f64 = size["served"].as_array().unwrap().iter().map(|one| one["share"].as_f64().unwrap()).sum();
        assert!((shares - 1.0).abs() < 1e-6 && !size["why"].as_str().unwrap().is_empty(), "{size}");
        assert!(
            size["reason"]["marginalCost"].as_f64().unwrap() > 0.0 && size["choices"].as_array().unwrap().len() == 2
        );
    }
    let a100 = &model["deployments"][0];
    assert_eq!((&a100["recommended"], &a100["by"], &a100["profiled"]), (&json!(1), &json!("plan"), &json!(true)));
    assert_eq!(model["profiles"][0]["slos"]["e2e"], 5.0);
    assert_eq!(world.json("/api/v1/models/llama/history").await.as_array().unwrap().len(), 1);
    assert_eq!(world.call("GET", "/api/v1/models/none", "").await.0, 404);
    assert!(world.get("/dash/llama").await.contains("<!doctype html>"));
}

#[tokio::test]
async fn a_deployment_without_profile_is_held_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let world = planned(folder.path());
    std::fs::remove_file(folder.path().join("a40.json")).unwrap();
    world.turn("llama", START).await;
    assert_eq!((world.hundredths("ml/a100").await, world.hundredths("ml/a40").await), (Some(200), Some(100)));
    let model = world.json("/api/v1/models/llama").await;
    assert!(model["plan"]["left"]["ml/a40"].as_str().unwrap().contains("no profile"), "{model}");
    assert_eq!(model["deployments"][1]["by"], "held");
}

#[tokio::test]
async fn its_own_metrics_are_a_page_that_every_parser_reads() {
    let folder = tempfile::tempdir().unwrap();
    let world = planned(folder.path());
    world.turn("llama", START).await;
    let text = world.get("/metrics").await;
    // A model without data has an age beyond all.
    let empty = World::new(&config(None));
    empty.turn("llama", START).await;
    let other = empty.get("/metrics").await;
    assert!(other.contains("gpu_optimizer_load_age_seconds{model_name=\"llama\"} +Inf\n"), "{other}");
    let page = promtext::Page::read(text.as_bytes(), &promtext::Selection::everything()).unwrap();
    assert_eq!(page.problems().total(), 0, "{text}");
    for name in [
        "gpu_optimizer_plan_age_seconds",
        "gpu_optimizer_solve_seconds",
        "gpu_optimizer_cost",
        "gpu_optimizer_replicas",
        "gpu_optimizer_requests_per_second",
        "gpu_optimizer_turns_total",
        "gpu_optimizer_turn_seconds",
    ] {
        assert!(page.family(name).is_some(), "{name}: {text}");
    }
    let mut families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let count = families.len();
    families.sort_unstable();
    families.dedup();
    assert_eq!(families.len(), count, "each family stands together");
}

#[tokio::test]
async fn bodies_and_paths_have_bounds() {
    let world = World::new(&config(None));
    let (status, _) = world.call("PUT", "/scale/ml/a40", &"x".repeat(1 << 20)).await;
    assert_eq!(status, 413);
    let (status, text) = world.call("GET", &format!("/metrics/ml/{}", "x".repeat(50_000)), "").await;
    assert!(status == 404 && text.len() < 500, "{}", text.len());
    let (status, text) = world.call("GET", "/nothing", "").await;
    assert_eq!((status.as_u16(), text.as_str()), (404, "{\"error\":\"no such page\"}"));
}
