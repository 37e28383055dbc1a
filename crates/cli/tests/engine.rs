//! The stand-in engine as a program, and `load` against it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::http::{Batch, Client};
use common::world::signal;
use common::{command, eventually, run};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Child;

/// A running stand-in.
struct Engine {
    child: Child,
    url: String,
}

impl Engine {
    /// Starts one on a free port, and waits until it says where.
    fn start(arguments: &[&str]) -> Self {
        let all: Vec<&str> = ["engine", "--port", "0", "--model", "m"].into_iter().chain(arguments.to_vec()).collect();
        let mut child = command(&all).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.split_once("m is served at ")?.1.to_owned())).unwrap();
        // Read to the end, so that the engine never writes to a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    fn metric(&self, client: &Client, name: &str) -> Option<f64> {
        let page = client.get(&format!("{}/metrics", self.url)).unwrap().body;
        let line = page.lines().find(|line| line.starts_with(name))?.to_owned();
        line.rsplit_once(' ')?.1.parse().ok()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_models_health_and_completions_streamed_or_not() {
    let (engine, client) = (Engine::start(&["--speed", "10"]), Client::new());
    let at = |path: &str| format!("{}{path}", engine.url);
    assert_eq!(client.get(&at("/health")).unwrap().status, 200);
    assert_eq!(client.get(&at("/v1/models")).unwrap().json()["data"][0]["id"], "m");
    let whole = client.complete(&engine.url, "m", 7).unwrap();
    assert_eq!((whole.status, &whole.json()["usage"]["completion_tokens"]), (200, &json!(7)));
    let chat = json!({ "model": "m", "max_tokens": 5, "messages": [{ "role": "user", "content": "hello" }] });
    let answer = client.post(&at("/v1/chat/completions"), &chat).unwrap().json();
    assert!(answer["choices"][0]["message"]["content"].is_string(), "{answer}");
    let body = json!({ "model": "m", "prompt": "hello", "max_tokens": 5, "stream": true });
    let stream = client.post(&at("/v1/completions"), &body).unwrap().body;
    assert!(stream.starts_with("data: {") && stream.trim_end().ends_with("data: [DONE]"), "{stream}");
    // A slow machine puts several tokens into one event.
    let events = stream.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
    let text: String =
        events.filter_map(|event: Value| Some(event["choices"][0]["text"].as_str()?.to_owned())).collect();
    assert_eq!(text.split_whitespace().count(), 5, "{stream}");
    let unknown = client.complete(&engine.url, "other", 7).unwrap();
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["error"]["message"].as_str().unwrap().contains("other"));
}

#[test]
fn its_metrics_have_vllms_names() {
    let (engine, client) = (Engine::start(&["--speed", "10"]), Client::new());
    Batch::start(&engine.url, "m", 3, 10).end(10);
    for name in [
        "vllm:num_requests_running{",
        "vllm:num_requests_waiting{",
        "vllm:kv_cache_usage_perc{",
        "vllm:num_preemptions_total{",
        "vllm:time_to_first_token_seconds_bucket{",
        "vllm:e2e_request_latency_seconds_sum{",
    ] {
        assert!(engine.metric(&client, name).is_some(), "{name}");
    }
    assert_eq!(engine.metric(&client, "vllm:generation_tokens_total{"), Some(30.0));
    assert_eq!(engine.metric(&client, "vllm:time_to_first_token_seconds_count{"), Some(3.0));
}

#[test]
fn a_load_against_it_reports_plausible_latencies() {
    let engine = Engine::start(&["--speed", "10"]);
    let shape = ["--shape", "even:rate=4,input=50,output=20,cv=0", "--for", "10s", "--speed", "10"];
    let arguments: Vec<&str> = ["load", &engine.url, "--json", "--fail-above", "0"].into_iter().chain(shape).collect();
    let report = run(&arguments).good().lines().remove(0);
    // Every quarter second, the first after one.
    assert_eq!((&report["requests"], &report["succeeded"], &report["failed"]), (&json!(39), &json!(39), &json!(0)));
    assert_eq!((&report["inputTokens"], &report["outputTokens"]), (&json!(1950), &json!(780)));
    let of = |latency: &str, field: &str| report[latency][field].as_f64().unwrap();
    // What the model of this engine needs for one iteration is far above.
    assert!(of("ttft", "p50") > 0.002 && of("tpot", "p50") > 0.002, "{report}");
    assert!(of("e2e", "p50") >= of("ttft", "p50") + 10.0 * of("tpot", "p50"), "{report}");
    for latency in ["ttft", "tpot", "e2e", "lateness"] {
        let rising = ["p50", "p90", "p95", "p99", "max"].map(|field| of(latency, field));
        assert!(rising.is_sorted(), "{latency}: {rising:?}");
    }
    assert!(report["seconds"].as_f64().unwrap() >= 9.0, "trace seconds: {report}");
}

#[test]
fn a_load_fails_where_nothing_or_too_little_succeeds() {
    let engine = Engine::start(&["--fail", "reject", "--speed", "10"]);
    let shape = ["--model", "m", "--shape", "even:rate=2", "--for", "5s", "--speed", "10"];
    let of = |url: &str, more: &[&str]| {
        run(&["load", url].into_iter().chain(shape).chain(more.to_vec()).collect::<Vec<_>>())
    };
    let refused = of(&engine.url, &[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stdout.contains("status 503"), "{refused:?}");
    let client = Client::new();
    client.post(&format!("{}/standin/faults", engine.url), &json!({ "fail": [] })).unwrap();
    // The next ones come before the first has ended, and only one is allowed at once.
    let crowded = ["--max-in-flight", "1", "--shape", "even:rate=20,output=50", "--speed", "10"];
    let some = |more: &[&str]| {
        let head = ["load", &engine.url, "--model", "m", "--for", "5s"];
        run(&head.into_iter().chain(crowded).chain(more.to_vec()).collect::<Vec<_>>())
    };
    assert!(some(&[]).good().stdout.contains("dropped"));
    assert_eq!(some(&["--fail-above", "0.01"]).code, Some(1));
    some(&["--fail-above", "1"]).good();
}

#[test]
fn sigterm_lets_running_requests_end() {
    let (mut engine, client) = (Engine::start(&["--speed", "10"]), Client::new());
    let batch = Batch::start(&engine.url, "m", 3, 400);
    let running = || engine.metric(&client, "vllm:num_requests_running{") == Some(3.0);
    eventually("three running requests", running);
    signal("TERM", engine.child.id());
    batch.end(400);
    assert_eq!(engine.child.wait().unwrap().code(), Some(0));
}
