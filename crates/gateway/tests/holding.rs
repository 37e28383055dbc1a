//! Requests that find no replica: they wait, in order, within limits.

mod support;

use std::time::Duration;

use gateway::{GatewayConfig, GroupConfig, HoldLimits, Outcome, Traffic};
use http_body_util::Full;
use hyper::Request;
use support::{World, answered, quick, soon, until};

fn group(hold: HoldLimits) -> GroupConfig {
    GroupConfig { hold, ..GroupConfig::new("g", ["m"]) }
}

#[tokio::test]
async fn a_request_on_an_empty_group_wakes_the_world_and_is_served_once_a_replica_comes() {
    let mut world = World::start().await;
    let mut wakeups = world.handle.wakeups();
    let pending = world.ask();
    assert_eq!(world.woken().await, "g");
    soon("the watch changes too", wakeups.changed()).await.unwrap();
    let snapshot = world.handle.snapshot();
    assert_eq!((snapshot.groups[0].held, snapshot.groups[0].held_bytes, snapshot.active), (1, 33, 1));
    let mut engine = world.engine("a").await;
    engine.call().await.answer_json("{}");
    assert_eq!(answered(pending).await.0, 200);
    let record = world.record().await;
    assert!(record.held > Duration::ZERO && record.outcome == Outcome::Ok && record.retries == 0);
    assert_eq!(world.handle.snapshot().buffered_bytes, 0);
}

#[tokio::test]
async fn arrivals_count_at_once_and_prompts_wait_until_their_first_token() {
    let world = World::start().await;
    let traffic = || world.handle.snapshot().groups[0].traffic;
    let stream = world.post(r#"{"model":"m","stream":true,"prompt":[1,2,3]}"#);
    world.held(1).await;
    assert_eq!(
        traffic(),
        Traffic { requests: 1, prompt_tokens: 3, unanswered: 1, unanswered_prompt_tokens: 3 },
        "a request that is held has arrived"
    );
    let mut engine = world.engine("a").await;
    let call = engine.call().await;
    assert_eq!(traffic().unanswered, 1, "sent, and without a token");
    let chunks = call.answer_stream();
    chunks.event("{}").await;
    until("the first token is seen", || traffic().unanswered == 0).await;
    // Of an answer that comes as a whole nobody sees the first token: it waits only while it is held.
    let whole = world.ask();
    let call = engine.call().await;
    let now = traffic();
    assert_eq!((now.requests, now.unanswered, now.unanswered_prompt_tokens), (2, 0, 0));
    call.answer_json("{}");
    assert_eq!(answered(whole).await.0, 200);
    // One that leaves while it waits does not wait any more.
    drop((chunks, stream));
    assert_eq!(traffic().requests, 2);
}

#[tokio::test]
async fn held_requests_go_first_in_first_out() {
    let config = GroupConfig { max_in_flight_per_replica: Some(1), ..GroupConfig::new("g", ["m"]) };
    let world = World::with(quick(), config).await;
    let mut pending = Vec::new();
    for number in 0..4 {
        pending.push(world.post(format!(r#"{{"model":"m","prompt":"{number}"}}"#)));
        world.held(number + 1).await;
    }
    let mut engine = world.engine("a").await;
    for number in 0..4 {
        let call = engine.call().await;
        assert!(call.request.body().ends_with(format!("\"{number}\"}}").as_bytes()));
        assert_eq!(world.handle.snapshot().groups[0].in_flight(), 1, "the limit per replica holds");
        call.answer_json("{}");
    }
    for request in pending {
        assert_eq!(answered(request).await.0, 200);
    }
}

#[tokio::test]
async fn more_than_may_wait_is_refused_with_retry_after() {
    let mut world = World::with(quick(), group(HoldLimits { max_requests: 1, ..HoldLimits::default() })).await;
    let first = world.ask();
    world.held(1).await;
    let refused = soon("a refusal", world.ask()).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let (_, body) = support::text(refused).await;
    assert!(body.contains("hold_queue_full"), "{body}");
    assert_eq!(world.record().await.outcome, Outcome::RejectedHold);
    first.abort();
    world.held(0).await;
    assert_eq!(world.record().await.outcome, Outcome::ClientGone, "who leaves the queue is counted too");
}

#[tokio::test]
async fn bytes_that_wait_are_limited_too() {
    let world = World::with(quick(), group(HoldLimits { max_bytes: 40, ..HoldLimits::default() })).await;
    let _first = world.ask();
    world.held(1).await;
    assert_eq!(answered(world.ask()).await.0, 503);
}

#[tokio::test]
async fn a_wait_that_takes_too_long_ends_in_503() {
    let hold = HoldLimits { timeout: Duration::from_millis(20), ..HoldLimits::default() };
    let mut world = World::with(quick(), group(hold)).await;
    let (status, body) = answered(world.ask()).await;
    assert_eq!(status, 503);
    assert!(body.contains("hold_timeout"), "{body}");
    let record = world.record().await;
    assert_eq!((record.outcome, record.group.as_deref()), (Outcome::RejectedHold, Some("g")));
    world.held(0).await;
}

#[tokio::test]
async fn the_requests_own_deadline_ends_a_wait_with_504() {
    let mut world = World::start().await;
    let request = Request::post(world.uri("/v1/completions")).header("x-request-timeout", "0.02");
    let pending = world.send(request.body(Full::from(r#"{"model":"m"}"#)).unwrap());
    assert_eq!(answered(pending).await.0, 504);
    assert_eq!(world.record().await.outcome, Outcome::Timeout);
}

#[tokio::test]
async fn a_group_that_is_removed_lets_its_waiting_requests_go() {
    let world = World::start().await;
    let pending = world.ask();
    world.held(1).await;
    world.handle.remove_group("g").unwrap();
    assert_eq!(answered(pending).await.0, 404);
}

#[tokio::test]
async fn at_shutdown_waiting_requests_are_refused_and_running_ones_finish() {
    let mut world = World::start().await;
    let mut engine = world.engine("a").await;
    let running = world.ask();
    let call = engine.call().await;
    world.handle.set_group(GroupConfig::new("empty", ["other"])).unwrap();
    let waiting = world.post(r#"{"model":"other"}"#);
    until("it waits", || world.handle.snapshot().group("empty").unwrap().held == 1).await;
    world.stop();
    assert_eq!(answered(waiting).await.0, 503);
    assert_eq!(world.record().await.outcome, Outcome::Shutdown);
    call.answer_json("{}");
    assert_eq!(answered(running).await.0, 200);
    soon("the gateway ends", &mut world.served).await.unwrap();
}

#[tokio::test]
async fn what_outlives_the_shutdowns_patience_is_cut_and_counted() {
    let config = GatewayConfig { shutdown_timeout: Duration::from_secs(600), ..quick() };
    let mut world = World::with(config, GroupConfig::new("g", ["m"])).await;
    world.handle.set_shutdown_timeout(Duration::from_millis(20));
    let mut engine = world.engine("a").await;
    let client = world.client.clone();
    let request = Request::post(world.uri("/v1/completions")).body(Full::from(r#"{"model":"m"}"#)).unwrap();
    let running = tokio::spawn(async move { client.request(request).await });
    let _call = engine.call().await;
    world.stop();
    soon("the gateway ends", &mut world.served).await.unwrap();
    assert!(soon("the client hears", running).await.unwrap().is_err());
    assert_eq!(world.record().await.outcome, Outcome::Shutdown);
}
