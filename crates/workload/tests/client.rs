//! The load client against a server over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use workload::Arrival;
use workload::client::{self, Config};

const STREAM: &str = "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[{\"text\":\"b\"}]}\n\n\
data: {\"choices\":[],\"usage\":{\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

/// A server that answers with `answer(number of the request)`.
async fn server(answer: impl Fn(usize) -> Response + Clone + Send + Sync + 'static) -> String {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let count = Arc::new(AtomicUsize::new(0));
    let handler = move || {
        let response = answer(count.fetch_add(1, Ordering::SeqCst));
        async move { response }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, Router::new().route("/v1/completions", post(handler))).into_future());
    format!("http://{address}/v1")
}

fn arrivals(count: usize) -> impl Iterator<Item = Result<Arrival, String>> {
    (0..count).map(|_| Ok(Arrival { at: 0.0, input_tokens: 3, output_tokens: 2, prefix_hit_tokens: 0 }))
}

async fn run(url: String, count: usize, change: impl FnOnce(&mut Config)) -> client::Report {
    let mut config = Config::new(url, "m");
    change(&mut config);
    client::run(config, arrivals(count), CancellationToken::new(), |_| {}).await.unwrap()
}

#[tokio::test]
async fn streamed_answers_are_counted_with_their_tokens() {
    let url = server(|_| STREAM.into_response()).await;
    let report = run(url, 20, |_| {}).await;
    assert_eq!((report.requests, report.succeeded, report.failed), (20, 20, 0));
    assert_eq!((report.input_tokens, report.output_tokens), (60, 40));
    assert_eq!((report.ttft.count, report.tpot.count), (20, 20));
    assert_eq!(report.attainment, Some(1.0));
}

#[tokio::test]
async fn failures_are_counted_by_kind_and_miss_the_slo() {
    let url = server(|number| match number % 3 {
        0 => STREAM.into_response(),
        1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => "data: {\"choices\":[{\"text\":\"a\"}]}\n\n".into_response(),
    })
    .await;
    let report = run(url, 9, |_| {}).await;
    assert_eq!((report.succeeded, report.failed), (3, 6));
    assert_eq!(report.failures.get("status 503"), Some(&3));
    assert_eq!(report.failures.get("broken stream"), Some(&3));
    assert_eq!(report.attainment, Some(1.0 / 3.0));
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_deadline_and_the_load_stays_open() {
    let never = |_| Response::new(Body::from_stream(futures_util::stream::pending::<Result<&[u8], std::io::Error>>()));
    let url = server(never).await;
    let report = run(url, 30, |config| {
        config.timeout = 0.2;
        config.max_in_flight = 10;
    })
    .await;
    assert_eq!(report.requests, 30, "arrivals do not wait for answers");
    assert_eq!(report.failures.get("timeout"), Some(&10));
    assert_eq!(report.failures.get("dropped"), Some(&20));
}

#[tokio::test]
async fn nobody_there_is_a_failure_to_connect() {
    drop(server(|_| STREAM.into_response()).await);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let report = run(format!("http://{address}"), 2, |_| {}).await;
    assert_eq!(report.failures.get("connect"), Some(&2));
}

#[tokio::test]
async fn stopping_starts_no_more_requests_and_lets_the_others_end() {
    let url = server(|_| STREAM.into_response()).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let report = client::run(Config::new(url, "m"), arrivals(5), stop, |_| {}).await.unwrap();
    assert_eq!((report.requests, report.attainment), (0, None));
}

#[tokio::test]
async fn a_wrong_address_is_told_at_once() {
    let error =
        client::run(Config::new("ftp://x", "m"), arrivals(1), CancellationToken::new(), |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("allowed: an address with http"), "{error}");
}

#[tokio::test]
async fn latencies_are_those_of_the_answers_in_trace_seconds() {
    const DELAY: Duration = Duration::from_millis(30);
    let slow = |_| {
        let later = async {
            tokio::time::sleep(DELAY).await;
            Ok::<_, std::io::Error>(STREAM)
        };
        Response::new(Body::from_stream(futures_util::stream::once(later)))
    };
    for speed in [1.0, 5.0] {
        let url = server(slow).await;
        let report = run(url, 5, |config| config.speed = speed).await;
        let least = DELAY.as_secs_f64() * speed * 0.999;
        let seen = [report.ttft.p50, report.ttft.mean, report.e2e.p50, report.e2e.max];
        assert!(seen.iter().all(|value| *value >= least), "{seen:?} at speed {speed}");
        assert!(report.lateness.max <= report.e2e.max, "{report:?}");
    }
}

#[tokio::test]
async fn prompts_that_are_to_be_unlike_begin_unlike_and_have_a_word_a_token() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let (sent, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |axum::Json(body): axum::Json<serde_json::Value>| {
        sent.send(body["prompt"].as_str().unwrap().to_owned()).unwrap();
        async move { STREAM.into_response() }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, Router::new().route("/v1/completions", post(handler))).into_future());
    let mut config = Config::new(format!("http://{address}"), "m");
    config.prompts = client::Prompts::Unlike;
    let long =
        (0..20).map(|_| Ok::<_, String>(Arrival { at: 0.0, input_tokens: 40, output_tokens: 2, prefix_hit_tokens: 0 }));
    client::run(config, long, CancellationToken::new(), |_| {}).await.unwrap();
    let mut beginnings = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let prompt = seen.recv().await.unwrap();
        assert_eq!(prompt.split(' ').count(), 40, "{prompt}");
        beginnings.insert(prompt[..32].to_owned());
    }
    assert_eq!(beginnings.len(), 20, "a KV block of 16 tokens must not be shared");
}
