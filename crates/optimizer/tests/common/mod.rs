//! What the tests of the service share: a Redis of their own, an optimizer with a clock that is driven, and calls to its routes.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use gpu_optimizer::{Config, Optimizer, router};
use redis::AsyncCommands;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

/// A Redis that ends with the test.
pub(crate) struct Redis {
    child: Child,
    pub(crate) port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Redis {
    /// Starts one; none where the machine has no `redis-server`, which is said.
    pub(crate) async fn start() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(free).await
    }

    pub(crate) async fn start_at(port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"];
        let started = Command::new("redis-server")
            .args(["--port", &port.to_string()])
            .args(arguments)
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            eprintln!("SKIPPED: there is no redis-server here");
            return None;
        };
        let mut redis = Self { child, port, _folder: folder };
        while redis.connect().await.is_err() {
            assert!(redis.child.try_wait().unwrap().is_none(), "redis-server has ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(redis)
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    async fn connect(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        redis::Client::open(self.url())?.get_multiplexed_async_connection().await
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// As AIBrix's gateway and tools do it: a text under a key.
    pub(crate) async fn set(&self, key: &str, text: &str) {
        let mut connection = self.connect().await.unwrap();
        let () = connection.set(key, text).await.unwrap();
    }

    /// A trace of version 4 at a tick: so many requests, all of 256 prompt and 128 answer tokens (indexes 80 and 70).
    pub(crate) async fn trace(&self, model: &str, tick: u64, requests: u64) {
        self.set(&format!("aibrix:{model}_request_trace_{tick}"), &trace(requests)).await;
    }
}

pub(crate) fn trace(requests: u64) -> String {
    json!({"meta_v": 4, "meta_interval_sec": 10, "meta_precision": 10, "meta_total_reqs": requests,
        "meta_pending_reqs": 0, "meta_queueing_reqs": 0, "80:70": requests})
    .to_string()
}

/// A profile: one replica sustains `rate` of any size of up to 2048 prompt and 512 answer tokens.
pub(crate) fn profile(gpu: &str, cost: f64, rate: f64, created: f64) -> String {
    json!({"gpu": gpu, "cost": cost, "tputs": [[rate, rate], [rate, rate]], "indexes": [[4, 512], [128, 2048]],
        "created": created, "e2e": [[1.0, 1.0], [1.0, 1.0]], "slos": {"percentile": 99, "e2e": 5.0}})
    .to_string()
}

/// An optimizer whose clock is driven.
pub(crate) struct World {
    pub(crate) optimizer: Arc<Optimizer>,
    clock: Arc<Mutex<f64>>,
}

/// When the tests begin: a tick.
pub(crate) const START: u64 = 1_750_000_000;

impl World {
    pub(crate) fn new(config: &Value) -> Self {
        let config: Config = serde_json::from_value(config.clone()).unwrap();
        config.validate().unwrap();
        let clock = Arc::new(Mutex::new(START as f64));
        let own = Arc::clone(&clock);
        Self { optimizer: Optimizer::new(&config, Arc::new(move || *own.lock().unwrap())).unwrap(), clock }
    }

    /// A turn of a model, two seconds after a tick.
    pub(crate) async fn turn(&self, model: &str, tick: u64) {
        let now = tick as f64 + 2.0;
        *self.clock.lock().unwrap() = now;
        self.optimizer.turn(model, now).await;
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let response = router(Arc::clone(&self.optimizer)).oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 64 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let (status, text) = self.call("GET", path, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        text
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await).unwrap()
    }

    /// What AIBrix's controller would read, in hundredths.
    pub(crate) async fn hundredths(&self, deployment: &str) -> Option<u64> {
        let (status, text) = self.call("GET", &format!("/metrics/{deployment}"), "").await;
        if status != StatusCode::OK {
            return None;
        }
        text.lines().last()?.rsplit(' ').next()?.parse().ok()
    }
}

/// One model on two deployments.
pub(crate) fn config(redis: Option<&Redis>) -> Value {
    let mut config = json!({"models": [{"name": "llama", "deployments": [
        {"namespace": "ml", "name": "a100", "current": 2, "max": 50}, {"namespace": "ml", "name": "a40", "current": 1, "max": 50}]}],
        "settings": {"headroom": 1.0}});
    if let Some(redis) = redis {
        config["redis"] = json!({"url": redis.url()});
    }
    config
}

/// One request over a socket of its own; none where nobody listens.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
}

/// Asks until what is answered is as wanted.
pub(crate) async fn until(address: SocketAddr, path: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
    let asked = async {
        loop {
            match get(address, path).await {
                Some((status, text)) if wanted(status, &text) => return text,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    // Only a service that hangs meets it.
    tokio::time::timeout(Duration::from_secs(60), asked).await.unwrap()
}
