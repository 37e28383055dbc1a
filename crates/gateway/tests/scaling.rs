//! Replicas that come, go, crash and stall under running requests.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::time::Duration;

use gateway::{GatewayConfig, GroupConfig, Outcome, RouteError};
use http_body_util::Full;
use hyper::Request;
use support::{Engine, World, answered, chunk, quick, soon, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn the_replica_with_the_fewest_requests_is_chosen_and_ties_go_round() {
    let world = World::start().await;
    let (mut a, mut b) = (world.engine("a").await, world.engine("b").await);
    let _stuck = world.ask();
    let _first = a.call().await;
    // Each request to the idle one ends before the next, so that it is the least loaded each time.
    for _ in 0..3 {
        let pending = world.ask();
        b.call().await.answer_json("{}");
        assert_eq!(answered(pending).await.0, 200);
    }
    let mut c = world.engine("c").await;
    // b and c are equal now and take turns.
    for _ in 0..2 {
        for engine in [&mut c, &mut b] {
            let pending = world.ask();
            engine.call().await.answer_json("{}");
            assert_eq!(answered(pending).await.0, 200);
        }
    }
    let served: Vec<_> = world.handle.snapshot().groups[0].replicas.iter().map(|replica| replica.served).collect();
    assert_eq!(served, [1, 5, 2]);
}

/// An address where nobody listens.
async fn nobody() -> std::net::SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_refused_connection_is_retried_elsewhere_and_the_replica_is_avoided() {
    let config = GatewayConfig { connect_backoff: Duration::from_secs(600), ..quick() };
    let mut world = World::with(config, GroupConfig::new("g", ["m"])).await;
    world.handle.add_replica("g", "dead", nobody().await).unwrap();
    let mut engine = world.engine("a").await;
    for retries in [1, 0, 0] {
        let pending = world.ask();
        engine.call().await.answer_json("{}");
        assert_eq!(answered(pending).await.0, 200);
        let record = world.record().await;
        assert_eq!((record.retries, record.replica.as_deref()), (retries, Some("a")));
    }
}

#[tokio::test]
async fn the_only_replica_is_tried_again_though_it_refused() {
    let mut world = World::start().await;
    world.handle.add_replica("g", "dead", nobody().await).unwrap();
    let (status, body) = answered(world.ask()).await;
    assert_eq!(status, 502);
    assert!(body.contains("3 attempts failed"), "{body}");
    let record = world.record().await;
    assert_eq!((record.outcome, record.retries), (Outcome::UpstreamError, 2));
}

#[tokio::test]
async fn a_crash_before_the_first_byte_is_retried_on_a_replica_that_is_still_to_come() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    let _call = engine.call().await;
    let report = world.handle.remove_replica("a").unwrap();
    assert_eq!(report.in_flight, 1);
    assert_eq!(world.woken().await, "g", "the retried request waits on an empty group");
    let mut next = world.engine("a").await;
    next.call().await.answer_json("{}");
    assert_eq!(answered(pending).await.0, 200);
    let record = world.record().await;
    assert_eq!((record.outcome, record.retries), (Outcome::Ok, 1));
    let totals = world.handle.snapshot().groups[0].totals;
    assert_eq!((totals.requests, totals.retries), (1, 1));
}

#[tokio::test]
async fn a_connection_lost_before_the_crash_is_reported_is_retried_once_it_is() {
    let config = GatewayConfig { crash_grace: Duration::from_secs(600), ..quick() };
    let world = World::with(config, GroupConfig::new("g", ["m"])).await;
    let mut engine = world.engine("a").await;
    let mut other = Engine::start().await;
    let pending = world.ask();
    let _call = engine.call().await;
    engine.crash().await;
    world.handle.add_replica("g", "b", other.addr).unwrap();
    world.handle.remove_replica("a").unwrap();
    other.call().await.answer_json("{}");
    assert_eq!(answered(pending).await.0, 200);
}

#[tokio::test]
async fn a_connection_lost_before_the_first_byte_on_a_draining_replica_is_retried_elsewhere() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    let _call = engine.call().await;
    let drain = world.handle.drain_replica("a").unwrap();
    let mut other = world.engine("b").await;
    engine.crash().await;
    other.call().await.answer_json("{}");
    assert_eq!(answered(pending).await.0, 200);
    assert_eq!(soon("the drain", drain).await.cut, 0);
    assert_eq!(world.record().await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn a_connection_lost_on_a_replica_that_lives_on_is_not_retried() {
    let config = GatewayConfig { crash_grace: Duration::from_millis(20), ..quick() };
    let mut world = World::with(config, GroupConfig::new("g", ["m"])).await;
    let mut engine = world.engine("a").await;
    let mut other = world.engine("b").await;
    let pending = world.ask();
    let _call = engine.call().await;
    engine.crash().await;
    assert_eq!(answered(pending).await.0, 502);
    let record = world.record().await;
    assert_eq!((record.outcome, record.retries), (Outcome::UpstreamError, 0));
    assert!(other.calls.try_recv().is_err());
}

#[tokio::test]
async fn a_head_without_a_body_byte_is_not_yet_an_answer_and_can_be_retried() {
    let world = World::start().await;
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    let _silent = engine.call().await.answer_stream();
    let mut other = world.engine("b").await;
    world.handle.remove_replica("a").unwrap();
    other.call().await.answer_json("{}");
    assert_eq!(answered(pending).await, (200, "{}".to_owned()));
}

#[tokio::test]
async fn a_crash_after_the_first_byte_fails_the_request_and_is_not_retried() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let mut other = world.engine("b").await;
    let (_chunks, mut body) = world.stream(&mut engine).await;
    chunk(&mut body).await.unwrap().unwrap();
    world.handle.remove_replica("a").unwrap();
    assert!(chunk(&mut body).await.unwrap().is_err(), "the client sees a broken answer, not a short one");
    let record = world.record().await;
    assert_eq!((record.outcome, record.status, record.retries), (Outcome::UpstreamError, Some(200), 0));
    assert!(other.calls.try_recv().is_err());
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_upstream_error() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let (chunks, mut body) = world.stream(&mut engine).await;
    chunk(&mut body).await.unwrap().unwrap();
    chunks.break_off().await;
    assert!(chunk(&mut body).await.unwrap().is_err());
    assert_eq!(world.record().await.outcome, Outcome::UpstreamError);
    assert_eq!(world.handle.snapshot().groups[0].replicas[0].broken, 1);
}

#[tokio::test]
async fn a_drain_waits_for_the_running_stream_and_takes_no_new_request() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let (chunks, mut body) = world.stream(&mut engine).await;

    let mut drain = Box::pin(world.handle.drain_replica("a").unwrap());
    let mut other = world.engine("b").await;
    for _ in 0..3 {
        let pending = world.ask();
        other.call().await.answer_json("{}");
        assert_eq!(answered(pending).await.0, 200);
        assert_eq!(world.record().await.replica.as_deref(), Some("b"));
    }
    assert!(world.handle.snapshot().groups[0].replicas[0].draining);
    assert!(futures_util::poll!(&mut drain).is_pending());
    assert_eq!(world.handle.add_replica("g", "a", engine.addr), Err(RouteError::DuplicateReplica("a".into())));

    chunks.event("{}").await;
    drop(chunks);
    while let Some(chunk) = chunk(&mut body).await {
        chunk.expect("the stream is whole");
    }
    let report = soon("the drain ends", drain).await;
    assert_eq!((report.in_flight, report.cut), (1, 0));
    assert_eq!(world.record().await.outcome, Outcome::Ok);
    assert_eq!(world.handle.snapshot().groups[0].replicas.len(), 1);
    assert!(world.handle.add_replica("g", "a", engine.addr).is_ok(), "the id is free again");
}

#[tokio::test]
async fn a_suspended_replica_finishes_what_it_has_and_takes_waiting_requests_once_it_is_resumed() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let (chunks, mut body) = world.stream(&mut engine).await;
    world.handle.suspend_replica("a").unwrap();
    let waiting = world.ask();
    assert_eq!(world.woken().await, "g", "nobody can take it");
    world.held(1).await;
    assert!(world.handle.snapshot().groups[0].replicas[0].suspended);

    world.handle.resume_replica("a").unwrap();
    engine.call().await.answer_json("{}");
    assert_eq!(answered(waiting).await.0, 200, "the older request runs on meanwhile");
    drop(chunks);
    while let Some(chunk) = chunk(&mut body).await {
        chunk.expect("the stream is whole");
    }
    let outcomes = [world.record().await.outcome, world.record().await.outcome];
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Ok]);
}

#[tokio::test]
async fn a_suspended_replica_stays_without_requests_and_can_be_drained() {
    let world = World::start().await;
    let _engine = world.engine("a").await;
    world.handle.suspend_replica("a").unwrap();
    assert_eq!(world.handle.snapshot().groups[0].replicas.len(), 1);
    soon("the drain ends", world.handle.drain_replica("a").unwrap()).await;
    assert!(matches!(world.handle.resume_replica("a"), Err(RouteError::UnknownReplica(_))));
}

#[tokio::test]
async fn what_breaks_on_a_suspended_replica_is_not_scalings_doing() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let (_chunks, mut body) = world.stream(&mut engine).await;
    chunk(&mut body).await.unwrap().unwrap();
    world.handle.suspend_replica("a").unwrap();
    world.handle.remove_replica("a").unwrap();
    assert!(chunk(&mut body).await.unwrap().is_err());
    assert_eq!(world.record().await.outcome, Outcome::UpstreamError);
}

#[tokio::test]
async fn an_idle_replica_is_drained_at_once_and_an_unknown_one_not_at_all() {
    let world = World::start().await;
    let _engine = world.engine("a").await;
    let report = soon("the drain ends", world.handle.drain_replica("a").unwrap()).await;
    assert_eq!((report.in_flight, report.cut), (0, 0));
    assert!(matches!(world.handle.drain_replica("a"), Err(RouteError::UnknownReplica(_))));
    assert!(world.handle.remove_replica("a").is_err());
}

#[tokio::test]
async fn a_drain_ends_with_the_last_requests_own_deadline() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let request = Request::post(world.uri("/v1/completions")).header("x-request-timeout", "0.05");
    let pending = world.send(request.body(Full::from(r#"{"model":"m"}"#)).unwrap());
    let chunks = engine.call().await.answer_stream();
    chunks.event("{}").await;
    let mut body = soon("the head", pending).await.unwrap().into_body();
    let report = soon("the drain ends", world.handle.drain_replica("a").unwrap()).await;
    assert_eq!(report.cut, 0, "a deadline is not a cut");
    chunk(&mut body).await.unwrap().unwrap();
    assert!(chunk(&mut body).await.unwrap().is_err());
    assert_eq!(world.record().await.outcome, Outcome::Timeout);
}

#[tokio::test]
async fn a_drains_limit_cuts_what_streams_moves_what_has_not_begun_and_reports_both() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let streaming = world.ask();
    let chunks = engine.call().await.answer_stream();
    chunks.event("{}").await;
    let mut body = soon("the head", streaming).await.unwrap().into_body();
    chunk(&mut body).await.unwrap().unwrap();
    let queued = world.ask();
    let _call = engine.call().await;
    let mut other = world.engine("b").await;

    let report = soon("the drain", world.handle.drain_replica_within("a", Duration::ZERO).unwrap()).await;
    assert_eq!((report.in_flight, report.cut), (2, 1));
    assert!(chunk(&mut body).await.unwrap().is_err());
    assert_eq!(world.record().await.outcome, Outcome::AbortedByScaling);
    other.call().await.answer_json("{}");
    assert_eq!(answered(queued).await.0, 200);
    assert_eq!(world.handle.snapshot().groups[0].totals.outcomes.of(Outcome::AbortedByScaling), 1);
}

#[tokio::test]
async fn what_breaks_on_a_draining_replica_counts_as_aborted_by_scaling() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let (chunks, mut body) = world.stream(&mut engine).await;
    chunk(&mut body).await.unwrap().unwrap();
    let drain = world.handle.drain_replica("a").unwrap();
    chunks.break_off().await;
    assert_eq!(soon("the drain", drain).await.cut, 1);
    assert!(chunk(&mut body).await.unwrap().is_err());
    assert_eq!(world.record().await.outcome, Outcome::AbortedByScaling);
}

#[tokio::test]
async fn a_request_that_gets_no_byte_by_its_deadline_ends_in_504_and_stops_the_engine() {
    let config = GatewayConfig { request_timeout: Duration::from_millis(50), ..quick() };
    let mut world = World::with(config, GroupConfig::new("g", ["m"])).await;
    let mut engine = world.engine("a").await;
    let pending = world.ask();
    let mut call = engine.call().await;
    assert_eq!(answered(pending).await.0, 504);
    soon("the engine sees it", call.abandoned()).await;
    let record = world.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::Timeout, Some(504)));
}

#[tokio::test]
async fn a_client_that_does_not_read_cannot_outlast_its_deadline() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let mut client = tokio::net::TcpStream::connect(world.addr).await.unwrap();
    let body = r#"{"model":"m"}"#;
    let head = "POST /v1/completions HTTP/1.1\r\nhost: x\r\nx-request-timeout: 0.2\r\n";
    client.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let chunks = engine.call().await.answer_stream();
    let drain = world.handle.drain_replica("a").unwrap();
    // Fills every buffer on the way until the gateway gives up.
    soon("the gateway lets go", async { while chunks.send(vec![b'x'; 1 << 20]).await {} }).await;
    assert_eq!(soon("the drain", drain).await.cut, 0);
    assert_eq!(world.record().await.outcome, Outcome::Timeout);
    let mut rest = Vec::new();
    let _ = soon("the client's socket ends", client.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn scaling_up_and_down_under_load_loses_nothing() {
    const ROUNDS: usize = 12;
    let mut world = World::start().await;
    let mut pending = Vec::new();
    for round in 0..ROUNDS {
        let id = format!("r{round}");
        let mut engine = world.engine(&id).await;
        tokio::spawn(async move {
            while let Some(call) = engine.calls.recv().await {
                tokio::spawn(async move {
                    let chunks = call.answer_stream();
                    for _ in 0..5 {
                        chunks.send("data: {}\n\n").await;
                        tokio::task::yield_now().await;
                    }
                });
            }
        });
        pending.extend((0..20).map(|_| world.ask()));
        if round > 0 {
            drop(world.handle.drain_replica(&format!("r{}", round - 1)).unwrap());
        }
    }
    for request in pending {
        let (status, body) = answered(request).await;
        assert_eq!((status, body.matches("data:").count()), (200, 5));
    }
    for _ in 0..ROUNDS * 20 {
        assert_eq!(world.record().await.outcome, Outcome::Ok);
    }
    let snapshot = world.handle.snapshot();
    assert_eq!((snapshot.active, snapshot.dropped_events), (0, 0));
    until("drained replicas leave", || world.handle.snapshot().groups[0].replicas.len() == 1).await;
    assert_eq!(world.handle.recent(5).len(), 5);
    let latencies = world.handle.snapshot().groups[0].latencies;
    assert_eq!((latencies.ttft.count, latencies.ttft.p99 >= latencies.ttft.p50), (240, true));
}
