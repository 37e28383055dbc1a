//! HTTP clients, one for each way to verify: a client's connections share its TLS settings. Must not know of sweeps.

use crate::access::TlsOptions;
use crate::error::ScrapeError;
use crate::tls;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Idle connections are kept this long: a few intervals of the slowest usual scraping (30 s). Replicas come and go.
const IDLE: Duration = Duration::from_secs(90);
/// Idle connections to one replica: its page and perhaps one more of its ports' paths.
const MAX_IDLE_PER_HOST: usize = 2;
/// Ways to verify that are remembered; manifests have a handful. Beyond it, the one that was used least recently goes.
const MAX_CLIENTS: usize = 64;

/// The clients, made when they are first needed.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<Cache>);

#[derive(Debug, Default)]
struct Cache {
    uses: u64,
    // `None` is http, for which no trust is loaded.
    known: BTreeMap<Option<TlsOptions>, Known>,
}

#[derive(Debug)]
struct Known {
    last_use: u64,
    client: reqwest::Client,
}

/// The clients of one sweep: for https with some options, or for http.
pub(crate) type Ready<'a> = BTreeMap<Option<&'a TlsOptions>, Result<reqwest::Client, ScrapeError>>;

impl Clients {
    /// The clients for these ways to verify. Those that are new are built off the tasks that serve requests: the
    /// system's authorities are hundreds of files. What cannot be built is tried again in the next sweep, and once in it.
    pub(crate) async fn ready<'a>(&self, wanted: BTreeSet<Option<&'a TlsOptions>>, gzip: bool) -> Ready<'a> {
        let mut ready = Ready::new();
        for tls in wanted {
            ready.insert(tls, self.one(tls.cloned(), gzip).await);
        }
        ready
    }

    async fn one(&self, way: Option<TlsOptions>, gzip: bool) -> Result<reqwest::Client, ScrapeError> {
        let known = self.cache().find(|known| *known == way);
        if let Some(client) = known {
            return Ok(client);
        }
        let options = way.clone();
        let built = tokio::task::spawn_blocking(move || build(options.as_ref(), gzip)).await;
        let client = built.unwrap_or_else(|_| Err(ScrapeError::Tls("the client could not be built".to_owned())))?;
        self.cache().keep(way, client.clone());
        Ok(client)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn find(&mut self, is_wanted: impl Fn(&Option<TlsOptions>) -> bool) -> Option<reqwest::Client> {
        self.uses += 1;
        let (_, known) = self.known.iter_mut().find(|(way, _)| is_wanted(way))?;
        known.last_use = self.uses;
        Some(known.client.clone())
    }

    fn keep(&mut self, way: Option<TlsOptions>, client: reqwest::Client) {
        if self.known.len() >= MAX_CLIENTS {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.last_use).map(|(way, _)| way.clone());
            oldest.and_then(|oldest| self.known.remove(&oldest));
        }
        self.known.insert(way, Known { last_use: self.uses, client });
    }
}

fn build(tls: Option<&TlsOptions>, gzip: bool) -> Result<reqwest::Client, ScrapeError> {
    let config = tls.map_or_else(tls::without_trust, tls::config).map_err(ScrapeError::Tls)?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .gzip(gzip)
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .user_agent(concat!("autoscaler-scrape/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ScrapeError::of(&error))
}
