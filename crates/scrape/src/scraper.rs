//! The sweep: all pages at once, in the order of the targets. Must not know what a page says.

pub(crate) mod ask;

use crate::access::{Access, Auth, TlsOptions};
use crate::body::{Budget, Held, read};
use crate::client::{Clients, Ready};
use crate::error::ScrapeError;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, HeaderValue};
use reqwest::{StatusCode, Url};
use std::collections::BTreeMap;
use std::fmt;
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
    /// The most that all pages on their way hold together, in bytes: many large ones at once must not cost all memory.
    pub max_bytes_in_flight: usize,
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
            max_bytes_in_flight: 256 << 20,
            max_concurrent: 256,
            jitter: Duration::ZERO,
            accept_gzip: false,
        }
    }
}

/// One page to fetch.
#[derive(Clone)]
pub struct Target {
    /// What the caller calls it.
    pub id: String,
    /// Where it is: `http://` or `https://`, without a user or password, which belong in `access`.
    pub url: String,
    /// Credentials and trust.
    pub access: Access,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What follows the path may carry a token.
        let url = Url::parse(&self.url).map_or_else(
            |_| "…".to_owned(),
            |url| {
                format!(
                    "{}://{}:{}{}",
                    url.scheme(),
                    url.host_str().unwrap_or("…"),
                    url.port_or_known_default().unwrap_or(0),
                    url.path()
                )
            },
        );
        f.debug_struct("Target").field("id", &self.id).field("url", &url).field("access", &self.access).finish()
    }
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its bytes, decompressed.
    pub body: Bytes,
    /// From the request's start to the last byte.
    pub took: Duration,
    /// When the last byte came: the date of what the page says, which the end of the sweep is not.
    pub received: std::time::Instant,
}

/// Fetches pages; connections are kept between sweeps.
#[derive(Debug)]
pub struct Scraper {
    config: ScrapeConfig,
    clients: Clients,
}

/// The older text format, which every server has; exporters print another where it is asked for.
const FORMATS: HeaderValue = HeaderValue::from_static("text/plain;version=0.0.4, */*;q=0.1");

type Headers<'a> = BTreeMap<&'a Auth, Result<Option<HeaderValue>, ScrapeError>>;

impl Scraper {
    /// A scraper without connections yet.
    #[must_use]
    pub fn new(config: ScrapeConfig) -> Self {
        Self { config, clients: Clients::default() }
    }

    /// Fetches all pages; the answers are in the order of the targets, with their ids. Holds every page until the end: many
    /// targets are for [`Scraper::sweep_each`].
    pub async fn sweep(&self, targets: &[Target]) -> Vec<(String, Result<Page, ScrapeError>)> {
        let mut found: Vec<_> = targets.iter().map(|target| (target.id.clone(), Err(ScrapeError::Timeout))).collect();
        self.sweep_each(targets, |index, page| found[index].1 = page).await;
        found
    }

    /// Fetches all pages, and gives each to `each` as it comes, with its target's index. Every target is answered once. Ends
    /// at the sweep's deadline at the latest; what has not come by then is a [`ScrapeError::Timeout`]. Needs a Tokio
    /// runtime with time and I/O; `each` runs between its tasks, so it has to be short.
    pub async fn sweep_each(&self, targets: &[Target], mut each: impl FnMut(usize, Result<Page, ScrapeError>)) {
        let start = Instant::now();
        let end = start + self.config.sweep_timeout;
        let mut open = vec![true; targets.len()];
        let answer = |index: usize, page| {
            open[index] = false;
            each(index, page);
        };
        let _ = timeout_at(end, self.fetch_all(targets, start, end, answer)).await;
        // What was not even begun by the end has no answer in time, either.
        for (index, _) in open.iter().enumerate().filter(|(_, open)| **open) {
            each(index, Err(ScrapeError::Timeout));
        }
    }

    async fn fetch_all(
        &self,
        targets: &[Target],
        start: Instant,
        end: Instant,
        mut answer: impl FnMut(usize, Result<Page, ScrapeError>),
    ) {
        let addresses: Vec<Result<Url, ScrapeError>> = targets.iter().map(|target| address(&target.url)).collect();
        let ways = targets.iter().zip(&addresses).filter_map(|(target, url)| Some(way(target, url.as_ref().ok()?)));
        let sweep = &Sweep {
            headers: headers(targets).await,
            clients: self.clients.ready(ways.collect(), self.config.accept_gzip).await,
            budget: Budget::new(self.config.max_bytes_in_flight),
        };
        let fetch = |(index, (target, url))| {
            let fetch = async move {
                tokio::time::sleep_until(start + self.delay(index, targets.len())).await;
                let deadline = end.min(Instant::now() + self.config.request_timeout);
                let page = timeout_at(deadline, self.fetch(target, url, sweep)).await;
                (index, page.unwrap_or(Err(ScrapeError::Timeout)))
            };
            // Boxed and collected, or else the compiler does not see that a sweep can move between threads.
            fetch.boxed()
        };
        let fetches: Vec<BoxFuture<'_, _>> = targets.iter().zip(addresses).enumerate().map(fetch).collect();
        let mut running = stream::iter(fetches).buffer_unordered(self.config.max_concurrent.max(1));
        while let Some((index, page)) = running.next().await {
            // What it holds is given back once it was looked at.
            let (page, _held) = match page {
                Ok((page, held)) => (Ok(page), Some(held)),
                Err(error) => (Err(error), None),
            };
            answer(index, page);
        }
    }

    /// Spread evenly: the same target keeps its place, so its samples stay evenly spaced.
    fn delay(&self, index: usize, count: usize) -> Duration {
        self.config.jitter.mul_f64(index as f64 / count.max(1) as f64)
    }

    async fn fetch<'a>(
        &self,
        target: &'a Target,
        url: Result<Url, ScrapeError>,
        sweep: &'a Sweep<'a>,
    ) -> Result<(Page, Held<'a>), ScrapeError> {
        let start = Instant::now();
        let url = url?;
        let no_client = || Err(ScrapeError::Tls("no client was made".to_owned()));
        let client = sweep.clients.get(&way(target, &url)).cloned().unwrap_or_else(no_client)?;
        let mut request = client.get(url).header(ACCEPT, FORMATS);
        if let Some(header) = sweep.headers.get(&target.access.auth).cloned().transpose()?.flatten() {
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
        let (body, held) = read(response, self.config.max_page_bytes, &sweep.budget).await?;
        Ok((Page { body, took: start.elapsed(), received: Instant::now().into_std() }, held))
    }
}

/// What the requests of one sweep share.
struct Sweep<'a> {
    headers: Headers<'a>,
    clients: Ready<'a>,
    budget: Budget,
}

/// How a target is verified; none over http.
fn way<'a>(target: &'a Target, url: &Url) -> Option<&'a TlsOptions> {
    (url.scheme() == "https").then_some(&target.access.tls)
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
