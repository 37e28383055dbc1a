//! What passes through unchanged, when, and what is learnt from it.

mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use gateway::Outcome;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use support::{World, answered, chunk, full, soon};

#[tokio::test]
async fn each_chunk_arrives_before_the_next_is_sent() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    let chunks = engine.call().await.answer_stream();
    chunks.event(r#"{"choices":[{"text":"x"}]}"#).await;
    let mut body = soon("the head", pending).await.unwrap().into_body();
    assert_eq!(chunk(&mut body).await.unwrap().unwrap(), "data: {\"choices\":[{\"text\":\"x\"}]}\n\n");
    for text in ["data: {\"choices\":[{}]}\n\n", ": ping\n\n", "data: {\"choices\":[],\"us"] {
        chunks.send(text).await;
        assert_eq!(chunk(&mut body).await.unwrap().unwrap(), text);
    }
    chunks.send("age\":{\"prompt_tokens\":31,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n").await;
    drop(chunks);
    soon("the rest", body.collect()).await.unwrap();

    let record = world.record().await;
    assert_eq!((record.outcome, record.status, record.stream), (Outcome::Ok, Some(200), true));
    assert_eq!((record.prompt_tokens, record.prompt_estimated), (Some(31), false));
    assert_eq!((record.output_tokens, record.output_estimated), (Some(2), false));
    assert_eq!((record.group.as_deref(), record.model.as_deref()), (Some("g"), Some("m")));
    assert_eq!((record.replica.as_deref(), record.path.as_str()), (Some("a"), "/v1/completions"));
    let (ttft, tpot) = (record.ttft.unwrap(), record.tpot.unwrap());
    assert!(ttft + tpot <= record.duration && record.first_byte.unwrap() <= record.duration);
    assert!(record.arrival_epoch_seconds() > 1.6e9 && record.succeeded());
}

#[tokio::test]
async fn without_usage_tokens_are_estimated_and_marked_so() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    let chunks = engine.call().await.answer_stream();
    for _ in 0..3 {
        chunks.event("{}").await;
        assert!(chunks.send(": x\n").await);
    }
    drop(chunks);
    answered(pending).await;
    let record = world.record().await;
    assert_eq!((record.prompt_tokens, record.prompt_estimated), (Some(2), true), "8 characters");
    assert_eq!((record.output_tokens, record.output_estimated), (Some(3), true));
}

#[tokio::test]
async fn a_json_answer_passes_whole_with_its_usage_recorded() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    let answer = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}"#;
    engine.call().await.answer_json(answer);
    assert_eq!(answered(pending).await, (200, answer.to_owned()));
    let record = world.record().await;
    assert_eq!((record.prompt_tokens, record.output_tokens, record.stream), (Some(7), Some(5), false));
    assert_eq!((record.ttft, record.tpot), (None, None));
    assert!(record.first_byte.is_some());
}

#[tokio::test]
async fn headers_of_one_hop_stay_and_the_client_is_named() {
    let world = World::start().await;
    let mut engine = world.engine("a").await;
    let request = Request::post(world.uri("/v1/embeddings?x=1"))
        .header("authorization", "Bearer k")
        .header("x-forwarded-for", "1.1.1.1")
        .header("connection", "x-hop")
        .header("x-hop", "1");
    let pending = world.send(request.body(Full::from(r#"{"model":"m","input":"a"}"#)).unwrap());
    let call = engine.call().await;
    let headers = call.request.headers();
    assert_eq!(call.request.uri(), "/v1/embeddings?x=1");
    assert_eq!(headers["authorization"], "Bearer k");
    assert_eq!(headers["x-forwarded-for"], "1.1.1.1, 127.0.0.1");
    assert_eq!(headers["host"], engine.addr.to_string());
    assert_eq!(headers["x-forwarded-host"], world.addr.to_string());
    assert!(!headers.contains_key("x-hop"));
    assert_eq!(call.request.body(), r#"{"model":"m","input":"a"}"#);
    let mut response = Response::new(full("teapot"));
    *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
    response.headers_mut().insert("keep-alive", "timeout=5".parse().unwrap());
    response.headers_mut().insert("x-engine", "yes".parse().unwrap());
    call.answer(response);
    let response = soon("an answer", pending).await.unwrap();
    assert_eq!(response.status(), 418);
    assert_eq!(response.headers()["x-engine"], "yes");
    assert!(!response.headers().contains_key("keep-alive"));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "teapot");
}

#[tokio::test]
async fn an_answer_without_a_body_passes() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.send(Request::head(world.uri("/v1/cancel")).body(Full::default()).unwrap());
    engine.call().await.answer(Response::builder().header("content-length", "12").body(full("")).unwrap());
    let response = soon("an answer", pending).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["content-length"]), (200, &"12".parse().unwrap()));
    assert_eq!(world.record().await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn an_engines_own_error_passes_and_is_not_counted_as_a_success() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    engine.call().await.answer(Response::builder().status(500).body(full("no")).unwrap());
    assert_eq!(answered(pending).await, (500, "no".to_owned()));
    assert_eq!(world.record().await.outcome, Outcome::UpstreamError);

    let pending = world.ask();
    engine.call().await.answer(Response::builder().status(400).body(full("too long")).unwrap());
    assert_eq!(answered(pending).await.0, 400);
    let record = world.record().await;
    assert_eq!((record.outcome, record.succeeded()), (Outcome::BadRequest, false));
    let totals = world.handle.snapshot().groups[0].totals;
    assert_eq!((totals.requests, totals.succeeded), (2, 0));
}

#[tokio::test]
async fn a_client_that_leaves_mid_stream_stops_the_engine() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let (chunks, mut body) = world.stream(&mut engine).await;
    chunk(&mut body).await;
    drop(body);
    soon("the engine sees it", chunks.closed()).await;
    let record = world.record().await;
    assert_eq!((record.outcome, record.output_tokens), (Outcome::ClientGone, Some(1)));
    assert_eq!(world.handle.snapshot().groups[0].in_flight(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_stops_the_engine() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    let mut call = engine.call().await;
    pending.abort();
    soon("the engine sees it", call.abandoned()).await;
    let record = world.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::ClientGone, None));
}

/// Far more than the sockets' buffers hold.
const ENDLESS: usize = 512 << 20;

#[tokio::test]
async fn an_engine_is_not_read_faster_than_the_client_reads() {
    let world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    let chunks = engine.call().await.answer_stream();
    let sent = Arc::new(AtomicUsize::new(0));
    let progress = Arc::clone(&sent);
    let sender = tokio::spawn(async move {
        while progress.load(Relaxed) < ENDLESS && chunks.send(vec![b'x'; 1 << 20]).await {
            progress.fetch_add(1 << 20, Relaxed);
        }
    });
    let body = soon("the head", pending).await.unwrap().into_body();
    // A gateway that buffers would take everything; one with back-pressure comes to a standstill.
    let mut last = usize::MAX;
    while sent.load(Relaxed) != last {
        last = sent.load(Relaxed);
        assert!(last < ENDLESS, "all went somewhere although nobody read");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop(body);
    soon("the sender is let go", sender).await.unwrap();
}
