//! HTTP clients, one for each way to verify: a client's connections share its TLS settings. Must not know of sweeps.

use crate::access::TlsOptions;
use crate::error::ScrapeError;
use crate::tls;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
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

impl Clients {
    /// The client for https with these options, or for http.
    pub(crate) fn get(&self, tls: Option<&TlsOptions>, gzip: bool) -> Result<reqwest::Client, ScrapeError> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.uses += 1;
        let last_use = cache.uses;
        let key = tls.cloned();
        if let Some(known) = cache.known.get_mut(&key) {
            known.last_use = last_use;
            return Ok(known.client.clone());
        }
        let client = build(tls, gzip)?;
        if cache.known.len() >= MAX_CLIENTS {
            let oldest = cache.known.iter().min_by_key(|(_, known)| known.last_use).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| cache.known.remove(&oldest));
        }
        cache.known.insert(key, Known { last_use, client: client.clone() });
        Ok(client)
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
