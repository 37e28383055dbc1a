//! The service as it is run: started, ended, started again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Redis, config, profile, until};
use gpu_optimizer::{Config, Options, run};
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::SystemTime;
use tokio_util::sync::CancellationToken;

fn start(config: &Value, state: &Path) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<anyhow::Result<()>>) {
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config: Config = serde_json::from_value(config.clone()).unwrap();
    let options = Options { listen, state: Some(state.to_owned()), kubernetes: None };
    let stop = CancellationToken::new();
    (listen, stop.clone(), tokio::spawn(run(config, options, stop)))
}

#[tokio::test]
async fn a_restart_keeps_the_plan_and_what_people_said_even_without_redis() {
    let Some(mut redis) = Redis::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    redis.set("aibrix:profile_llama_a100", &profile("a100", 1.0, 10.0, 1.0)).await;
    redis.set("aibrix:profile_llama_a40", &profile("a40", 0.3, 2.0, 1.0)).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    redis.trace("llama", now - now % 10, 350).await;
    redis.trace("llama", now - now % 10 - 10, 350).await;
    let config = config(Some(&redis));
    let (address, stop, running) = start(&config, &state);
    until(address, "/readyz", |status, _| status == 200).await;
    let planned = until(address, "/metrics/ml/a100", |status, _| status == 200).await;
    assert!(planned.ends_with(" 300\n") || planned.ends_with(" 400\n"), "35 requests/s: {planned}");
    stop.cancel();
    running.await.unwrap().unwrap();
    redis.stop();

    let (address, stop, running) = start(&config, &state);
    let kept = until(address, "/metrics/ml/a100", |status, _| status == 200).await;
    assert_eq!(kept, planned, "from the first answer on");
    let model = until(address, "/api/v1/models/llama", |_, text| text.contains("\"redis\":")).await;
    let model: Value = serde_json::from_str(&model).unwrap();
    assert!(model["planAge"].as_f64().is_some() && model["deployments"][0]["by"] == "plan", "{model}");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_state_of_another_version_is_put_aside_and_the_service_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    std::fs::write(&state, "{\"version\":7,\"models\":{}}").unwrap();
    let (address, stop, running) = start(&config(None), &state);
    let text = until(address, "/metrics/ml/a100", |status, _| status == 200).await;
    assert!(text.ends_with(" 200\n"), "what there is is held: {text}");
    stop.cancel();
    running.await.unwrap().unwrap();
    let aside = std::fs::read_to_string(folder.path().join("state.json.unread")).unwrap();
    assert_eq!(aside, "{\"version\":7,\"models\":{}}");
    assert!(std::fs::read_to_string(&state).unwrap().contains("\"version\":1"));
}

#[tokio::test]
async fn a_taken_address_is_an_error_at_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options { listen: taken.local_addr().unwrap(), state: None, kubernetes: None };
    let error = run(Config::default(), options, CancellationToken::new()).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot listen"), "{error:#}");
}
