//! The sweep: all pages at once, in the order of the targets.

use crate::access::{Access, TlsOptions};
use crate::error::ScrapeError;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How to scrape.
#[derive(Debug, Clone)]
pub struct ScrapeConfig {
    /// A request's deadline. Engines answer late exactly when they are busy: a second is the least to allow.
    pub request_timeout: Duration,
    /// The whole sweep's deadline.
    pub sweep_timeout: Duration,
    /// The largest page, in bytes after decompression.
    pub max_page_bytes: usize,
    /// Requests at once.
    pub max_concurrent: usize,
    /// Requests are spread over this span, so that hundreds do not start in one instant.
    pub jitter: Duration,
    /// Whether pages may come compressed: a tenth of the bytes for some of the engine's time.
    pub gzip: bool,
}

impl Default for ScrapeConfig {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(1),
            sweep_timeout: Duration::from_secs(2),
            max_page_bytes: 16 << 20,
            max_concurrent: 256,
            jitter: Duration::ZERO,
            gzip: false,
        }
    }
}

/// One page to fetch.
#[derive(Debug, Clone)]
pub struct Target {
    /// What the caller calls it.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// Credentials and trust.
    pub access: Access,
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its bytes.
    pub body: Bytes,
    /// How long it took.
    pub took: Duration,
}

/// Fetches pages; connections are kept between sweeps.
#[derive(Debug)]
pub struct Scraper {
    config: ScrapeConfig,
    // One client for each way to verify: a client's connections share its TLS settings.
    clients: Mutex<BTreeMap<TlsOptions, reqwest::Client>>,
}

/// Idle connections are kept for a few intervals, and not longer: replicas come and go.
const IDLE: Duration = Duration::from_secs(90);
/// Ways to verify that are remembered; manifests have a handful.
const MAX_CLIENTS: usize = 64;

impl Scraper {
    /// A scraper without connections yet.
    #[must_use]
    pub fn new(config: ScrapeConfig) -> Self {
        Self { config, clients: Mutex::new(BTreeMap::new()) }
    }

    /// Fetches all pages; the answers are in the order of the targets, with their ids.
    pub async fn sweep(&self, targets: &[Target]) -> Vec<(String, Result<Page, ScrapeError>)> {
        let end = Instant::now() + self.config.sweep_timeout;
        let count = targets.len();
        let fetches = targets.iter().enumerate().map(|(index, target)| async move {
            tokio::time::sleep(self.delay(index, count)).await;
            let deadline = end.min(Instant::now() + self.config.request_timeout);
            let page = timeout_at(deadline, self.fetch(target)).await.unwrap_or(Err(ScrapeError::Timeout));
            (index, page)
        });
        let mut found: Vec<Option<Result<Page, ScrapeError>>> = (0..count).map(|_| None).collect();
        let mut running = stream::iter(fetches).buffer_unordered(self.config.max_concurrent.max(1));
        // What was not even begun by the end has no answer in time, either.
        while let Ok(Some((index, page))) = timeout_at(end, running.next()).await {
            found[index] = Some(page);
        }
        let answer =
            |(target, page): (&Target, Option<_>)| (target.id.clone(), page.unwrap_or(Err(ScrapeError::Timeout)));
        targets.iter().zip(found).map(answer).collect()
    }

    /// Spread evenly: the same target keeps its place, so its samples stay evenly spaced.
    fn delay(&self, index: usize, count: usize) -> Duration {
        self.config.jitter.mul_f64(index as f64 / count.max(1) as f64)
    }

    async fn fetch(&self, target: &Target) -> Result<Page, ScrapeError> {
        let start = Instant::now();
        let url: reqwest::Url = target.url.parse().map_err(|_| ScrapeError::Address(target.url.clone()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ScrapeError::Address(target.url.clone()));
        }
        let mut request = self.client(&target.access.tls)?.get(url);
        if let Some(secret) = &target.access.bearer {
            request = request.bearer_auth(secret.read()?);
        }
        let mut response = request.send().await.map_err(|error| ScrapeError::of(&error))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(ScrapeError::Redirected);
        }
        if !status.is_success() {
            return Err(ScrapeError::Status(status.as_u16()));
        }
        let limit = self.config.max_page_bytes;
        let mut body = BytesMut::new();
        while let Some(part) = response.chunk().await.map_err(|error| ScrapeError::of(&error))? {
            if body.len() + part.len() > limit {
                return Err(ScrapeError::TooLarge { limit });
            }
            body.extend_from_slice(&part);
        }
        Ok(Page { body: body.freeze(), took: start.elapsed() })
    }

    fn client(&self, tls: &TlsOptions) -> Result<reqwest::Client, ScrapeError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(tls) {
            return Ok(client.clone());
        }
        let client = self.build(tls)?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(tls.clone(), client.clone());
        Ok(client)
    }

    fn build(&self, tls: &TlsOptions) -> Result<reqwest::Client, ScrapeError> {
        let refuse = |error: reqwest::Error| ScrapeError::Tls(error.to_string());
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .gzip(self.config.gzip)
            .tcp_nodelay(true)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(2)
            .tls_danger_accept_invalid_certs(tls.insecure_skip_verify);
        if let Some(pem) = &tls.ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(refuse)?;
            builder = builder.tls_certs_only(certificates);
        }
        builder.build().map_err(refuse)
    }
}
