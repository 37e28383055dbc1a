//! The loop that reads, claims and renews the Lease. Every write carries the resource version that it rests on, so a
//! conflict is a lost race, and every call has a deadline.

use super::options::LeaseOptions;
use super::record::{self, Next, Wall, Watcher};
use super::term::Office;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Followers look at the lease up to this share of the interval later, so that they do not all look at once
/// (client-go's jitter factor of 1.2).
const JITTER: f64 = 0.2;
/// A claim that meets a conflict looks again at once, this often: the record that it lost to is what it needs to know.
const RACES: usize = 2;

/// Contends for one lease.
pub(super) struct Elector {
    api: Api<Lease>,
    options: LeaseOptions,
    watcher: Watcher,
    office: Office,
    wall: Wall,
    // Our own record as the server has confirmed it, so that a renewal needs no reading.
    confirmed: Option<Lease>,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the API server has not answered in time")]
    Timeout,
    #[error("{0}")]
    Api(#[from] kube::Error),
}

/// What an attempt came to, where it did not fail.
enum Outcome {
    Leading,
    Following { until: Instant },
    Raced,
}

impl Elector {
    pub(super) fn new(client: kube::Client, options: LeaseOptions, office: Office, wall: Wall) -> Self {
        let me = format!("{}_{:016x}", options.identity, rand::random::<u64>());
        let api = Api::namespaced(client, &options.namespace);
        let watcher = Watcher::new(me, options.duration);
        Self { api, options, watcher, office, wall, confirmed: None }
    }

    /// Contends until stopped, then gives the lease back.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut told = Told::default();
        loop {
            let start = Instant::now();
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                outcome = self.attempt() => outcome,
            };
            self.report(&outcome, &mut told);
            let pause = sleep_until(self.next_attempt(start, &outcome));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = pause => {}
            }
        }
        self.office.end();
        if let Err(error) = self.release().await {
            tracing::warn!(%error, "the lease could not be given back, and will expire");
        }
    }

    /// Starts of attempts are at least an interval apart, but for a look at the very moment when a lease expires.
    fn next_attempt(&self, start: Instant, outcome: &Result<Outcome, Failure>) -> Instant {
        let soon = (start + self.options.retry).max(Instant::now());
        match outcome {
            Ok(Outcome::Leading) => soon,
            Ok(Outcome::Following { until }) => (*until).min(soon + self.jitter()),
            // Whoever holds the office has no time to lose, and others none to win.
            _ if self.office.held() => soon,
            _ => soon + self.jitter(),
        }
    }

    fn jitter(&self) -> std::time::Duration {
        self.options.retry.mul_f64(rand::random_range(0.0..JITTER))
    }

    async fn attempt(&mut self) -> Result<Outcome, Failure> {
        for _ in 0..RACES {
            let lease = match self.confirmed.take() {
                Some(lease) => Some(lease),
                None => self.call(self.api.get_opt(&self.options.name)).await?,
            };
            if let Next::Wait(until) = self.watcher.look(lease.as_ref(), self.office.held(), Instant::now()) {
                self.office.end();
                return Ok(Outcome::Following { until });
            }
            let start = Instant::now();
            let existed = lease.is_some();
            match self.claim(lease).await {
                Ok(lease) => {
                    self.watcher.claimed();
                    self.confirmed = Some(lease);
                    self.office.renewed(start);
                    return Ok(Outcome::Leading);
                }
                // Gone is a change, too; where it was to be made, it is the namespace that is missing.
                Err(Failure::Api(kube::Error::Api(status)))
                    if status.code == 409 || (status.code == 404 && existed) =>
                {
                    tracing::debug!(%status, "the lease has changed meanwhile");
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(Outcome::Raced)
    }

    async fn claim(&self, lease: Option<Lease>) -> Result<Lease, Failure> {
        let exists = lease.is_some();
        let seconds = self.options.duration_seconds();
        let claim = record::claim(lease, &self.options.name, self.watcher.me(), seconds, (self.wall)());
        if exists { self.replace(&claim).await } else { self.call(self.api.create(&parameters(), &claim)).await }
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, Failure> {
        self.call(self.api.replace(&self.options.name, &parameters(), lease)).await
    }

    async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        match timeout(self.options.call_timeout(), call).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failure::Timeout),
        }
    }

    /// Empties the record, where it names us. A claim that was cut off may have reached the server, so what counts is what
    /// is read now; a conflict is that claim, arriving late.
    async fn release(&mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        for _ in 0..RACES {
            let lease = self.call(self.api.get_opt(&self.options.name)).await?;
            let Some(lease) = lease.filter(|lease| self.watcher.is_mine(lease)) else { return Ok(()) };
            result = self.replace(&record::vacate(lease)).await.map(drop);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Says what has changed, once.
    fn report(&self, outcome: &Result<Outcome, Failure>, told: &mut Told) {
        let (lease, me) = (&self.options.name, self.watcher.me());
        let now = Told {
            leading: self.office.held(),
            following: matches!(outcome, Ok(Outcome::Following { .. })),
            failing: outcome.is_err(),
        };
        match outcome {
            Err(error) if !told.failing => tracing::warn!(%lease, %error, "the lease cannot be read or renewed"),
            Ok(Outcome::Following { .. }) if !told.following => tracing::info!(%lease, %me, "following"),
            _ => {}
        }
        match (told.leading, now.leading) {
            (false, true) => tracing::info!(%lease, %me, "leading"),
            (true, false) => tracing::warn!(%lease, %me, "no longer leading"),
            _ => {}
        }
        *told = now;
    }
}

/// What was reported last.
#[derive(Default)]
struct Told {
    leading: bool,
    following: bool,
    failing: bool,
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some("aibrix-autoscaler".to_owned()), ..PostParams::default() }
}
