//! One request: its body, its stream, its times.

use super::stream::{Chunk, Events};
use super::{Api, ClientError, Config, Failure, Prompts, machine};
use crate::Arrival;
use futures_util::StreamExt;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What became of one request. Times are machine seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// How it failed, where it did.
    pub failure: Option<Failure>,
    /// From when it was due to its first token.
    pub ttft: Option<f64>,
    /// Mean time per token after the first.
    pub tpot: Option<f64>,
    /// From when it was due to its end.
    pub total: f64,
    /// How late it was sent.
    pub late: f64,
    /// Tokens that the prompt was to have.
    pub input_tokens: u64,
    /// Tokens that the engine counted in it, where it said so.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

impl Done {
    /// A request that was not sent, because too many were under way.
    pub(super) fn dropped() -> Self {
        Self {
            failure: Some(Failure::Dropped),
            ttft: None,
            tpot: None,
            total: 0.0,
            late: 0.0,
            input_tokens: 0,
            prompt_tokens: None,
            output_tokens: 0,
        }
    }
}

/// Sends requests to one endpoint, each when its caller says.
pub struct Sender {
    client: reqwest::Client,
    url: reqwest::Url,
    config: Config,
    timeout: Duration,
    /// What unlike prompts begin with: another number for every sender and request.
    nonce: AtomicU64,
}

/// An event larger than this is no chunk of an answer.
const MAX_EVENT: usize = 4 << 20;

impl Sender {
    /// A sender for the endpoint of a configuration. Fails where that is no address.
    pub fn new(config: &Config) -> Result<Self, ClientError> {
        let refuse = |error: &dyn std::fmt::Display| ClientError::Setup(format!("{}: {error}", config.url));
        let base = config.url.trim_end_matches('/').trim_end_matches("/v1");
        let path = match config.api {
            Api::Completions => "/v1/completions",
            Api::Chat => "/v1/chat/completions",
        };
        let url: reqwest::Url = format!("{base}{path}").parse().map_err(|error| refuse(&error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse(&"allowed: an address with http:// or https://"));
        }
        let timeout = machine(config.timeout, config.speed);
        let client = reqwest::Client::builder()
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .pool_max_idle_per_host(config.max_in_flight)
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .map_err(|error| refuse(&error))?;
        Ok(Self { client, url, config: config.clone(), timeout, nonce: AtomicU64::new(rand::random()) })
    }

    /// Sends one request that was due at `due`, and waits for its end. Dropping the future closes the connection.
    pub async fn send(&self, arrival: Arrival, due: Instant) -> Done {
        self.send_watched(arrival, due, || ()).await
    }

    /// As [`Sender::send`]; calls `on_first` when the first token comes.
    pub async fn send_watched(&self, arrival: Arrival, due: Instant, on_first: impl FnOnce() + Send) -> Done {
        let late = due.elapsed().as_secs_f64();
        let mut done = Done {
            failure: None,
            ttft: None,
            tpot: None,
            total: 0.0,
            late,
            input_tokens: u64::from(arrival.input_tokens),
            prompt_tokens: None,
            output_tokens: 0,
        };
        let exchange = self.exchange(&arrival, due, &mut done, on_first);
        let outcome = tokio::time::timeout(self.timeout, exchange).await.unwrap_or(Err(Failure::Timeout));
        done.failure = outcome.err();
        done.total = due.elapsed().as_secs_f64();
        done
    }

    async fn exchange(
        &self,
        arrival: &Arrival,
        due: Instant,
        done: &mut Done,
        on_first: impl FnOnce() + Send,
    ) -> Result<(), Failure> {
        let mut on_first = Some(on_first);
        let mut request =
            self.client.post(self.url.clone()).header("content-type", "application/json").body(self.body(arrival));
        if let Some(key) = &self.config.api_key {
            request = request.bearer_auth(key);
        }
        if arrival.prefix_hit_tokens > 0 {
            request = request.header("x-prefix-hit-tokens", arrival.prefix_hit_tokens);
        }
        let response = request.send().await.map_err(|error| Failure::of(&error))?;
        let status = response.status().as_u16();
        if !response.status().is_success() {
            return Err(Failure::Status(status));
        }
        let mut body = response.bytes_stream();
        let mut events = Events::new(MAX_EVENT);
        let (mut first, mut last, mut chunks, mut reported, mut complete) = (None, due, 0_u64, None, false);
        while let Some(part) = body.next().await {
            events.push(&part.map_err(|error| Failure::of(&error))?).map_err(|()| Failure::Malformed)?;
            while let Some(chunk) = events.next_chunk() {
                match chunk {
                    Chunk::Token => {
                        last = Instant::now();
                        first.get_or_insert(last);
                        chunks += 1;
                        if let Some(on_first) = on_first.take() {
                            on_first();
                        }
                    }
                    Chunk::Usage { answer, prompt } => (reported, done.prompt_tokens) = (Some(answer), prompt),
                    Chunk::Done => complete = true,
                    Chunk::Other => {}
                    Chunk::Error => return Err(Failure::Broken),
                }
            }
        }
        if !complete {
            return Err(Failure::Broken);
        }
        done.output_tokens = reported.unwrap_or(chunks);
        done.ttft = first.map(|first| (first - due).as_secs_f64());
        done.tpot = first
            .filter(|_| done.output_tokens > 1)
            .map(|first| (last - first).as_secs_f64() / (done.output_tokens - 1) as f64);
        Ok(())
    }

    fn prompt(&self, words: usize) -> String {
        let mut prompt = match self.config.prompts {
            Prompts::Same => "w ".repeat(words),
            Prompts::Unlike => {
                let mut random = ChaCha8Rng::seed_from_u64(self.nonce.fetch_add(1, Ordering::Relaxed));
                (0..words).flat_map(|_| [char::from(random.random_range(b'a'..=b'z')), ' ']).collect()
            }
        };
        prompt.pop();
        prompt
    }

    /// A prompt of one word a token; the answer has exactly the tokens asked for where the engine honours `ignore_eos`.
    fn body(&self, arrival: &Arrival) -> String {
        let prompt = self.prompt(usize::try_from(arrival.input_tokens).unwrap_or(1));
        let mut body = serde_json::json!({
            "model": self.config.model,
            "max_tokens": arrival.output_tokens,
            "ignore_eos": true,
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        match self.config.api {
            Api::Completions => body["prompt"] = prompt.into(),
            Api::Chat => body["messages"] = serde_json::json!([{ "role": "user", "content": prompt }]),
        }
        body.to_string()
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
