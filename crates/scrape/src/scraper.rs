//! The sweep: all pages at once, in the order of the targets. Must not know what a page says.

use crate::access::{Access, Auth};
use crate::client::Clients;
use crate::error::ScrapeError;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderValue};
use reqwest::{StatusCode, Url};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How to scrape.
#[derive(Debug, Clone)]
pub struct ScrapeConfig {
    /// A request's deadline. Engines answer late exactly when they are busy: a second is the least to allow.
    pub request_timeout: Duration,
    /// The whole sweep's deadline.
    pub sweep_timeout: Duration,
    /// The largest page, in bytes after decompression. A sweep may hold this for each of its targets.
    pub max_page_bytes: usize,
    /// Requests at once; at least 1.
    pub max_concurrent: usize,
    /// Requests are spread over this span, so that hundreds do not start in one instant. Part of the sweep's time.
    pub jitter: Duration,
    /// Whether pages may come compressed: a tenth of the bytes for some of the engine's time.
    pub accept_gzip: bool,
}

impl Default for ScrapeConfig {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(1),
            sweep_timeout: Duration::from_secs(2),
            max_page_bytes: 16 << 20,
            max_concurrent: 256,
            jitter: Duration::ZERO,
            accept_gzip: false,
        }
    }
}

/// One page to fetch.
#[derive(Debug, Clone)]
pub struct Target {
    /// What the caller calls it.
    pub id: String,
    /// Where it is: `http://` or `https://`, without a user or password, which belong in `access`.
    pub url: String,
    /// Credentials and trust.
    pub access: Access,
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its bytes, decompressed.
    pub body: Bytes,
    /// From the request's start to the last byte.
    pub took: Duration,
}

/// Fetches pages; connections are kept between sweeps.
#[derive(Debug)]
pub struct Scraper {
    config: ScrapeConfig,
    clients: Clients,
}

/// A page says how long it is, and may lie: no more than this is set aside on its word, in bytes.
const MAX_TRUSTED_LENGTH: usize = 1 << 20;

type Headers<'a> = BTreeMap<&'a Auth, Result<Option<HeaderValue>, ScrapeError>>;

impl Scraper {
    /// A scraper without connections yet.
    #[must_use]
    pub fn new(config: ScrapeConfig) -> Self {
        Self { config, clients: Clients::default() }
    }

    /// Fetches all pages; the answers are in the order of the targets, with their ids. Ends at the sweep's deadline at the
    /// latest; what has not come by then is a [`ScrapeError::Timeout`]. Needs a Tokio runtime with time and I/O.
    pub async fn sweep(&self, targets: &[Target]) -> Vec<(String, Result<Page, ScrapeError>)> {
        let start = Instant::now();
        let end = start + self.config.sweep_timeout;
        let mut found: Vec<Option<Result<Page, ScrapeError>>> = targets.iter().map(|_| None).collect();
        // What was not even begun by the end has no answer in time, either.
        let _ = timeout_at(end, self.fetch_all(targets, start, end, &mut found)).await;
        let answer =
            |(target, page): (&Target, Option<_>)| (target.id.clone(), page.unwrap_or(Err(ScrapeError::Timeout)));
        targets.iter().zip(found).map(answer).collect()
    }

    async fn fetch_all(
        &self,
        targets: &[Target],
        start: Instant,
        end: Instant,
        found: &mut [Option<Result<Page, ScrapeError>>],
    ) {
        let headers = &headers(targets).await;
        let fetches = targets.iter().enumerate().map(|(index, target)| async move {
            tokio::time::sleep_until(start + self.delay(index, targets.len())).await;
            let deadline = end.min(Instant::now() + self.config.request_timeout);
            let page = timeout_at(deadline, self.fetch(target, headers)).await.unwrap_or(Err(ScrapeError::Timeout));
            (index, page)
        });
        let mut running = stream::iter(fetches).buffer_unordered(self.config.max_concurrent.max(1));
        while let Some((index, page)) = running.next().await {
            found[index] = Some(page);
        }
    }

    /// Spread evenly: the same target keeps its place, so its samples stay evenly spaced.
    fn delay(&self, index: usize, count: usize) -> Duration {
        self.config.jitter.mul_f64(index as f64 / count.max(1) as f64)
    }

    async fn fetch(&self, target: &Target, headers: &Headers<'_>) -> Result<Page, ScrapeError> {
        let start = Instant::now();
        let url = address(&target.url)?;
        let tls = (url.scheme() == "https").then_some(&target.access.tls);
        let mut request = self.clients.get(tls, self.config.accept_gzip)?.get(url);
        if let Some(header) = headers.get(&target.access.auth).cloned().transpose()?.flatten() {
            request = request.header(AUTHORIZATION, header);
        }
        let response = send(request).await?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err(ScrapeError::Redirected),
            status => return Err(ScrapeError::Status(status.as_u16())),
        }
        // The header goes where the page was decompressed. What is left of it says that the bytes are no page.
        if response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(ScrapeError::Encoding);
        }
        let body = read(response, self.config.max_page_bytes).await?;
        Ok(Page { body, took: start.elapsed() })
    }
}

/// What each way to authorise sends: a secret is read once in a sweep, and off the tasks that serve requests.
async fn headers(targets: &[Target]) -> Headers<'_> {
    let mut headers = Headers::new();
    for Target { access: Access { auth, .. }, .. } in targets {
        if *auth == Auth::None || headers.contains_key(auth) {
            continue;
        }
        let wanted = auth.clone();
        let read = tokio::task::spawn_blocking(move || wanted.header()).await;
        headers.insert(auth, read.unwrap_or_else(|_| Err(ScrapeError::Secret("could not be read".to_owned()))));
    }
    headers
}

fn address(text: &str) -> Result<Url, ScrapeError> {
    let refuse = |why: &str| ScrapeError::Address(why.to_owned());
    let url: Url = text.parse().map_err(|error| ScrapeError::Address(format!("{error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("a user or password does not belong in an address, which is shown"));
    }
    Ok(url)
}

/// Sends it, and once more where the connection ended before an answer began: a server may close an idle connection (vLLM's
/// does after 5 s) in the instant in which it is used again. Asking for a page twice changes nothing.
async fn send(request: reqwest::RequestBuilder) -> Result<reqwest::Response, ScrapeError> {
    let again = request.try_clone();
    let first = request.send().await.map_err(|error| ScrapeError::of(&error));
    match (first, again) {
        (Err(ScrapeError::Broken(_)), Some(again)) => again.send().await.map_err(|error| ScrapeError::of(&error)),
        (first, _) => first,
    }
}

/// The body, cut off at `limit` bytes.
async fn read(mut response: reqwest::Response, limit: usize) -> Result<Bytes, ScrapeError> {
    let length = response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    if length > limit {
        return Err(ScrapeError::TooLarge { limit });
    }
    let mut body = BytesMut::with_capacity(length.min(MAX_TRUSTED_LENGTH));
    while let Some(part) = response.chunk().await.map_err(|error| ScrapeError::of(&error))? {
        if part.len() > limit - body.len() {
            return Err(ScrapeError::TooLarge { limit });
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}
