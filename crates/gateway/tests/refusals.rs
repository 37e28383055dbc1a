//! What the gateway answers itself: routing errors, limits, models, pages.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::time::Duration;

use gateway::{GatewayConfig, GroupConfig, Outcome, RouteError};
use http_body_util::Full;
use hyper::Request;
use support::{World, answered, quick, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn error(body: &str) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(body).unwrap()["error"].clone()
}

/// Sends raw bytes and reads until the gateway closes.
async fn raw(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon("the gateway closes", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_unknown_model_is_404_with_the_known_ones_named() {
    let mut world = World::start().await;
    world.handle.set_group(GroupConfig::new("h", ["n", "n-lora"])).unwrap();
    let (status, body) = answered(world.post(r#"{"model":"gpt"}"#)).await;
    let error = error(&body);
    assert_eq!((status, &error["code"], &error["param"]), (404, &"model_not_found".into(), &"model".into()));
    assert_eq!(error["message"], "the model \"gpt\" does not exist; models served: m, n, n-lora");
    let record = world.record().await;
    assert_eq!((record.outcome, record.model.as_deref()), (Outcome::Unroutable, Some("gpt")));
    assert_eq!(world.handle.snapshot().unrouted.requests, 1);
}

#[tokio::test]
async fn several_models_lead_to_one_group_and_a_name_to_one_group_only() {
    let world = World::start().await;
    world.handle.set_group(GroupConfig::new("g", ["m", "m-lora"])).unwrap();
    let mut engine = world.engine("a").await;
    for model in ["m", "m-lora"] {
        let pending = world.post(format!("{{\"model\":{model:?}}}"));
        engine.call().await.answer_json("{}");
        assert_eq!(answered(pending).await.0, 200);
    }
    let taken = world.handle.set_group(GroupConfig::new("h", ["x", "m-lora"]));
    assert_eq!(taken, Err(RouteError::ModelTaken { model: "m-lora".into(), group: "g".into() }));
    assert_eq!(world.handle.snapshot().groups.len(), 1, "a refused change changes nothing");
    assert!(world.handle.add_replica("h", "z", engine.addr).is_err());
}

#[tokio::test]
async fn a_path_without_a_model_goes_to_the_only_group_and_else_to_the_one_named_in_a_header() {
    let world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.send(Request::post(world.uri("/tokenize")).body(Full::from("plain")).unwrap());
    engine.call().await.answer_json("{}");
    assert_eq!(answered(pending).await.0, 200);

    world.handle.set_group(GroupConfig::new("h", ["n"])).unwrap();
    let (status, body) = world.get("/v1/files").await;
    assert_eq!((status, &error(&body)["code"]), (400, &"model_required".into()));
    assert_eq!(answered(world.post(r#"{"prompt":"x"}"#)).await.0, 400);
    let named = Request::get(world.uri("/v1/files")).header("x-model", "m");
    let pending = world.send(named.body(Full::default()).unwrap());
    engine.call().await.answer_json("{}");
    assert_eq!(answered(pending).await.0, 200);
}

#[tokio::test]
async fn a_path_that_is_not_inference_is_404_and_wakes_nobody() {
    let mut world = World::start().await;
    let named = Request::get(world.uri("/metrics")).header("x-model", "m").body(Full::default()).unwrap();
    let (status, body) = answered(world.send(named)).await;
    assert_eq!((status, &error(&body)["code"]), (404, &"unknown_path".into()));
    assert_eq!(world.get("/favicon.ico").await.0, 404);
    assert_eq!(world.record().await.outcome, Outcome::Unroutable);
    assert!(!world.handle.wakeups().has_changed().unwrap());
    assert_eq!(world.handle.snapshot().groups[0].held, 0);
}

#[tokio::test]
async fn two_groups_exchange_their_models_in_one_step() {
    let world = World::start().await;
    world.handle.set_group(GroupConfig::new("h", ["n"])).unwrap();
    let mut engine = world.engine("a").await;
    let taken = vec![GroupConfig::new("g", ["n"]), GroupConfig::new("h", ["n"])];
    assert_eq!(
        world.handle.set_groups(taken),
        Err(RouteError::ModelTaken { model: "n".into(), group: "g".into() }),
        "a model has one group"
    );
    world.handle.set_groups(vec![GroupConfig::new("g", ["n"]), GroupConfig::new("h", ["m"])]).unwrap();
    let pending = world.post(r#"{"model":"n"}"#);
    engine.call().await.answer_json("{}");
    assert_eq!(answered(pending).await.0, 200);
}

#[tokio::test]
async fn a_removed_groups_replica_finishes_its_request_while_its_model_is_free_for_another() {
    let mut world = World::start().await;
    let mut old = world.engine("a").await;
    let running = world.ask();
    let call = old.call().await;
    world.handle.set_groups(vec![GroupConfig::new("h", ["m"])]).unwrap();
    assert!(world.handle.snapshot().group("g").unwrap().removed);
    assert_eq!(world.handle.add_replica("g", "b", old.addr), Err(RouteError::UnknownGroup("g".into())));

    let mut engine = support::Engine::start().await;
    world.handle.add_replica("h", "c", engine.addr).unwrap();
    let pending = world.ask();
    engine.call().await.answer_json("{}");
    assert_eq!(answered(pending).await.0, 200);
    assert_eq!(world.record().await.group.as_deref(), Some("h"));

    let drain = world.handle.drain_replica("a").unwrap();
    call.answer_json("{}");
    assert_eq!(answered(running).await.0, 200);
    assert_eq!(soon("the drain ends", drain).await.cut, 0);
    assert!(world.handle.snapshot().group("g").is_none(), "it goes with its last replica");
}

#[tokio::test]
async fn each_group_has_its_own_request_timeout() {
    let group = |name: &str, seconds| GroupConfig {
        request_timeout: Some(Duration::from_secs(seconds)),
        ..GroupConfig::new(name, [name])
    };
    let slow = group("slow", 600);
    let quick_group = GroupConfig { request_timeout: Some(Duration::from_millis(50)), ..group("quick", 0) };
    let config = GatewayConfig { request_timeout: Duration::from_millis(20), ..quick() };
    let world = World::with(config, slow).await;
    world.handle.set_group(quick_group).unwrap();
    let mut engine = support::Engine::start().await;
    world.handle.add_replica("slow", "s", engine.addr).unwrap();
    world.handle.add_replica("quick", "q", engine.addr).unwrap();
    let unhurried = world.post(r#"{"model":"slow"}"#);
    let call = engine.call().await;
    assert_eq!(answered(world.post(r#"{"model":"quick"}"#)).await.0, 504);
    call.answer_json("{}");
    assert_eq!(answered(unhurried).await.0, 200, "neither another group's limit nor the gateway's holds for it");
}

#[tokio::test]
async fn the_only_group_without_names_takes_every_model_and_its_engine_lists_them() {
    let world = World::with(quick(), GroupConfig { name: "g".into(), ..GroupConfig::default() }).await;
    let mut engine = world.engine("a").await;
    let pending = world.post(r#"{"model":"anything"}"#);
    engine.call().await.answer_json("{}");
    assert_eq!(answered(pending).await.0, 200);
    let pending = world.send(Request::get(world.uri("/v1/models")).body(Full::default()).unwrap());
    engine.call().await.answer_json(r#"{"object":"list"}"#);
    assert_eq!(answered(pending).await.1, r#"{"object":"list"}"#);
}

#[tokio::test]
async fn models_are_listed_over_all_groups() {
    let world = World::start().await;
    world.handle.set_group(GroupConfig::new("h", ["n", "org/o"])).unwrap();
    let (status, body) = world.get("/v1/models").await;
    let list: serde_json::Value = serde_json::from_str(&body).unwrap();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!((status, list["object"].as_str().unwrap(), ids), (200, "list", vec!["m", "n", "org/o"]));
    assert_eq!(world.get("/v1/models/org/o").await.0, 200);
    assert_eq!(world.get("/v1/models/none").await.0, 404);
}

#[tokio::test]
async fn a_body_that_is_not_json_or_too_large_is_refused_before_any_engine_sees_it() {
    let config = GatewayConfig { max_request_bytes: 100, ..quick() };
    let mut world = World::with(config, GroupConfig::new("g", ["m"])).await;
    let mut engine = world.engine("a").await;
    for bad in ["{", "[]", "{\"model\":1}", "", "\u{0}\u{ff}"] {
        let (status, body) = answered(world.post(bad)).await;
        assert_eq!((status, &error(&body)["code"]), (400, &"malformed_json".into()), "{bad:?}");
    }
    let (status, body) = answered(world.post(vec![b' '; 101])).await;
    assert_eq!((status, &error(&body)["code"]), (413, &"request_too_large".into()));
    let chunked =
        format!("POST /v1/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n80\r\n{}", "x".repeat(128));
    assert!(raw(&world, chunked.as_bytes()).await.starts_with("HTTP/1.1 413"), "a length that was not announced");
    assert!(engine.calls.try_recv().is_err());
    assert_eq!(world.record().await.outcome, Outcome::BadRequest);
    assert_eq!(world.handle.snapshot().buffered_bytes, 0);
}

#[tokio::test]
async fn heads_that_are_too_large_or_never_end_are_refused() {
    let config = GatewayConfig { header_timeout: Duration::from_millis(50), max_header_bytes: 4096, ..quick() };
    let world = World::with(config, GroupConfig::new("g", ["m"])).await;
    let large = format!("GET /health HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(10_000));
    assert!(raw(&world, large.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET /health HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert!(raw(&world, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let slow = raw(&world, b"GET /health HTTP/1.1\r\nhost: x\r\n").await;
    assert!(!slow.contains("200"), "closed: {slow}");
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused_in_time() {
    let config = GatewayConfig { body_timeout: Duration::from_millis(50), ..quick() };
    let world = World::with(config, GroupConfig::new("g", ["m"])).await;
    let slow = raw(&world, b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").await;
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
}

#[tokio::test]
async fn upgrades_and_tunnels_are_refused() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let upgrade = b"GET /v1/realtime HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n";
    assert!(raw(&world, upgrade).await.starts_with("HTTP/1.1 501"));
    assert_eq!(world.record().await.outcome, Outcome::BadRequest);
    let tunnel = raw(&world, b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(tunnel.starts_with("HTTP/1.1 405"), "{tunnel}");
    assert!(engine.calls.try_recv().is_err());
}

#[tokio::test]
async fn a_timeout_header_that_is_no_number_is_refused() {
    let world = World::start().await;
    let request = Request::post(world.uri("/v1/completions")).header("x-request-timeout", "soon");
    let pending = world.send(request.body(Full::from(r#"{"model":"m"}"#)).unwrap());
    assert_eq!(answered(pending).await.0, 400);
}

#[tokio::test]
async fn health_and_metrics_are_served_and_not_counted_as_load() {
    let mut world = World::start().await;
    assert_eq!(world.get("/health").await, (200, "ok\n".to_owned()));
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    let chunks = engine.call().await.answer_stream();
    chunks.event("{}").await;
    drop(chunks);
    answered(pending).await;
    world.record().await;
    let (status, page) = world.get("/gateway/metrics").await;
    assert_eq!((status, page.as_str()), (200, world.handle.render_metrics().as_str()));
    for line in [
        "gateway_requests_total{group=\"g\",outcome=\"ok\"} 1",
        "gateway_requests_total{group=\"g\",outcome=\"aborted_by_scaling\"} 0",
        "gateway_held_requests{group=\"g\"} 0",
        "gateway_in_flight_requests{group=\"g\",replica=\"a\",draining=\"false\"} 0",
        "gateway_ttft_seconds_bucket{group=\"g\",le=\"+Inf\"} 1",
        "gateway_output_tokens_total{group=\"g\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
}

#[tokio::test]
async fn a_subscriber_that_does_not_listen_costs_nothing_but_its_events() {
    let world = World::start().await;
    let _deaf = world.handle.subscribe(1);
    for _ in 0..3 {
        answered(world.post("{")).await;
    }
    assert_eq!(world.handle.snapshot().dropped_events, 2);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_and_are_served_later() {
    let config = GatewayConfig { max_connections: 1, ..quick() };
    let world = World::with(config, GroupConfig::new("g", ["m"])).await;
    let first = TcpStream::connect(world.addr).await.unwrap();
    let mut second = TcpStream::connect(world.addr).await.unwrap();
    second.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(50), second.read(&mut byte)).await;
    assert!(early.is_err(), "not served while the first holds the only place");
    drop(first);
    let mut answer = String::new();
    soon("an answer", second.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"));
}
