//! The open-loop load client: each request starts on schedule, whatever became of the earlier ones.
//!
//! Open loop matters: a client that waits for answers slows down with the server, and so hides every queue.

mod report;
mod request;
mod stream;

pub use report::{Failure, Progress, Report};
pub use request::{Done, Sender};

use crate::Arrival;
use crate::score::Slo;
use report::Collector;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How to send a load.
#[derive(Debug, Clone)]
pub struct Config {
    /// The endpoint's base, such as `http://127.0.0.1:8000` (a trailing `/v1` is allowed).
    pub url: String,
    /// The model's name.
    pub model: String,
    /// Which API.
    pub api: Api,
    /// Trace seconds per second: arrivals come that much faster, and reported latencies are in trace seconds.
    pub speed: f64,
    /// A request's deadline in trace seconds.
    pub timeout: f64,
    /// What counts as attained, in trace seconds.
    pub slo: Slo,
    /// Sent as a bearer token.
    pub api_key: Option<String>,
    /// Requests at once. What would exceed it is dropped and counted: the load stays open loop, the memory bounded.
    pub max_in_flight: usize,
    /// What prompts say.
    pub prompts: Prompts,
}

/// What prompts say: words of which most tokenizers make a token each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prompts {
    /// All the same. An engine with a prefix cache computes the first and skips most of the others.
    #[default]
    Same,
    /// Random letters: no two begin alike, so that no prefix cache helps.
    Unlike,
}

/// Which API requests use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `/v1/completions`.
    Completions,
    /// `/v1/chat/completions`.
    Chat,
}

/// Requests at once where nothing is said: file descriptors are the limit on most machines.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 10_000;

impl Config {
    /// A load for `url` and `model` with the defaults.
    #[must_use]
    pub fn new(url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            model: model.into(),
            api: Api::Completions,
            speed: 1.0,
            timeout: 600.0,
            slo: Slo::default(),
            api_key: None,
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            prompts: Prompts::default(),
        }
    }
}

/// Sends `arrivals` and reports when the last one has ended. Cancelling `stop` starts no more requests and lets those
/// that run end. `progress` is called about ten times a second.
///
/// Fails where the client itself cannot be made, or where `arrivals` fails; the requests' own failures are counted.
pub async fn run<E>(
    config: Config,
    arrivals: impl Iterator<Item = Result<Arrival, E>>,
    stop: CancellationToken,
    mut progress: impl FnMut(&Progress) + Send + 'static,
) -> Result<Report, ClientError>
where
    E: std::fmt::Display,
{
    let sender = Arc::new(Sender::new(&config)?);
    let slots = Arc::new(Semaphore::new(config.max_in_flight.min(Semaphore::MAX_PERMITS)));
    let (results, inbox) = mpsc::channel(1024);
    let collector = Collector::new(&config).ok_or(ClientError::Setup("latencies cannot be recorded".to_owned()))?;
    let collecting = tokio::spawn(collector.run(inbox, move |seen| progress(seen)));
    let tasks = TaskTracker::new();
    let start = Instant::now();
    let mut failed = None;
    for arrival in arrivals {
        let arrival = match arrival {
            Ok(arrival) => arrival,
            Err(error) => {
                failed = Some(ClientError::Arrivals(error.to_string()));
                break;
            }
        };
        let due = start + machine(arrival.at, config.speed);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = tokio::time::sleep_until(due) => {}
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            let _ = results.send(request::Done::dropped()).await;
            continue;
        };
        let (sender, results) = (Arc::clone(&sender), results.clone());
        tasks.spawn(async move {
            let done = sender.send(arrival, due).await;
            drop(slot);
            let _ = results.send(done).await;
        });
    }
    tasks.close();
    tasks.wait().await;
    drop(results);
    let report = collecting.await.map_err(|error| ClientError::Setup(error.to_string()))?;
    failed.map_or(Ok(report), Err)
}

/// The names of the models that an endpoint lists.
pub async fn models(url: &str, api_key: Option<&str>) -> Result<Vec<String>, ClientError> {
    let base = url.trim_end_matches('/').trim_end_matches("/v1");
    let refuse = |error: &dyn std::error::Error| ClientError::Setup(format!("{base}/v1/models: {}", cause(error)));
    let client =
        reqwest::Client::builder().timeout(MODELS_TIMEOUT).no_proxy().build().map_err(|error| refuse(&error))?;
    let mut request = client.get(format!("{base}/v1/models"));
    if let Some(key) = api_key {
        request = request.bearer_auth(key);
    }
    let response =
        request.send().await.and_then(reqwest::Response::error_for_status).map_err(|error| refuse(&error))?;
    let body = response.bytes().await.map_err(|error| refuse(&error))?;
    let list: serde_json::Value = serde_json::from_slice(&body).map_err(|error| refuse(&error))?;
    let entries = list["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(entries.iter().filter_map(|entry| entry["id"].as_str().map(str::to_owned)).collect())
}

/// What is at the bottom of an error: "connection refused" says more than that a request could not be sent.
fn cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

/// A list of models is a small answer.
const MODELS_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a load could not be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The endpoint's address or the HTTP client.
    #[error("{0}")]
    Setup(String),
    /// The arrivals.
    #[error("{0}")]
    Arrivals(String),
}

fn machine(trace_seconds: f64, speed: f64) -> Duration {
    Duration::try_from_secs_f64(trace_seconds / speed).unwrap_or(Duration::MAX)
}
