//! A blocking HTTP client, and clients that keep an endpoint busy until they are told to stop.

use super::GUARD;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A client with its own small runtime.
pub(crate) struct Client {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Client {
    pub(crate) fn new() -> Self {
        // Fails where another test has installed it already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(GUARD).build().unwrap();
        Self { runtime, client }
    }

    pub(crate) fn get(&self, url: &str) -> reqwest::Result<Answer> {
        self.answer(self.client.get(url))
    }

    /// Asks for a completion of `tokens` tokens.
    pub(crate) fn complete(&self, gateway: &str, model: &str, tokens: u32) -> reqwest::Result<Answer> {
        let body = json!({ "model": model, "prompt": "a few words", "max_tokens": tokens });
        self.post(&format!("{gateway}/v1/completions"), &body)
    }

    /// Sends a body to any address.
    pub(crate) fn post(&self, url: &str, body: &Value) -> reqwest::Result<Answer> {
        self.answer(self.client.post(url).header("content-type", "application/json").body(body.to_string()))
    }

    fn answer(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        self.runtime.block_on(async {
            let response = request.send().await?;
            Ok(Answer { status: response.status().as_u16(), body: response.text().await? })
        })
    }
}

/// Requests that are sent at the same time, each once.
pub(crate) struct Batch(Vec<JoinHandle<Answer>>);

impl Batch {
    /// `size` requests to `model` for answers of `tokens` tokens.
    pub(crate) fn start(gateway: &str, model: &str, size: usize, tokens: u32) -> Self {
        // All are made before the first one sends: making one takes longer than sending.
        let clients: Vec<Client> = (0..size).map(|_| Client::new()).collect();
        let request = |client: Client| {
            let (gateway, model) = (gateway.to_owned(), model.to_owned());
            std::thread::spawn(move || client.complete(&gateway, &model, tokens).unwrap())
        };
        Self(clients.into_iter().map(request).collect())
    }

    /// Waits for the answers. Each must be whole.
    #[track_caller]
    pub(crate) fn end(self, tokens: u32) {
        for request in self.0 {
            let answer = request.join().unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.json()["usage"]["completion_tokens"], tokens, "{answer:?}");
        }
    }
}

/// Clients that each send one request after the other.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Answer>>>,
}

impl Crowd {
    /// `size` clients that ask `model` for answers of `tokens` tokens.
    pub(crate) fn start(gateway: &str, model: &str, size: usize, tokens: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (gateway, model, stop) = (gateway.to_owned(), model.to_owned(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let client = Client::new();
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    answers.push(client.complete(&gateway, &model, tokens).unwrap());
                }
                answers
            })
        };
        Self { clients: (0..size).map(client).collect(), stop }
    }

    /// Lets the clients end their last requests, and answers how many there were. Each must have succeeded.
    #[track_caller]
    pub(crate) fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let answers: Vec<Answer> = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        let failed: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 200).collect();
        assert!(failed.is_empty(), "{} of {} requests failed: {:?}", failed.len(), answers.len(), failed[0]);
        answers.len() as u64
    }
}
