//! Who writes: one controller at a time, by a Lease (`coordination.k8s.io/v1`), as client-go's leader election does
//! (`tools/leaderelection`).
//!
//! A lease is taken only after its record was seen unchanged for a whole duration by this machine's own clock, so that clocks
//! may differ. Its holder stops leading by its own clock, counted from before the last renewal that succeeded was sent, and a
//! margin before the others may take it: also where a renewal hangs, and whether or not the server can be reached.

use crate::admin::Metrics;
use crate::clock;
use crate::said::said;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Which lease, and its times.
#[derive(Debug, Clone)]
pub(crate) struct LeaseOptions {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Who we are: unique among all controllers.
    pub(crate) identity: String,
    /// Others wait this long after the last renewal that they have seen.
    pub(crate) duration: Duration,
    /// We stop this long after our last renewal; shorter than `duration` by what a write may take.
    pub(crate) renew_deadline: Duration,
    /// Between two attempts.
    pub(crate) retry: Duration,
}

impl LeaseOptions {
    /// client-go's times where `duration` is 15 s: 10 s to renew, and an attempt every 2 s.
    pub(crate) fn new(namespace: &str, name: &str, duration: Duration) -> Self {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "controller".to_owned());
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: format!("{host}_{:016x}", rand::random::<u64>()),
            duration,
            renew_deadline: duration * 2 / 3,
            retry: duration * 2 / 15,
        }
    }
}

/// Our part in the election.
#[derive(Debug)]
pub(crate) struct Leadership {
    until: Arc<Mutex<Option<Instant>>>,
    state: watch::Receiver<bool>,
    stop: CancellationToken,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Leadership {
    /// Takes part until it is released or dropped.
    pub(crate) fn start(client: Client, options: LeaseOptions, metrics: Metrics) -> Self {
        let until = Arc::new(Mutex::new(None));
        let (sender, state) = watch::channel(false);
        let stop = CancellationToken::new();
        let election = Election {
            api: Api::namespaced(client, &options.namespace),
            options,
            until: Arc::clone(&until),
            sender,
            metrics,
            seen: None,
        };
        let task = Mutex::new(Some(tokio::spawn(election.run(stop.clone()))));
        Self { until, state, stop, task }
    }

    /// Whether we lead at this moment, by our own clock.
    pub(crate) fn leads(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Waits until we lead.
    pub(crate) async fn wait_until_leading(&self) {
        if self.state.clone().wait_for(|leads| *leads).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until we have lost the lease, after we have led.
    pub(crate) async fn lost(&self) {
        let mut state = self.state.clone();
        // A task that has ended renews nothing.
        let _ = state.wait_for(|leads| !*leads).await;
    }

    /// Lets go of the lease, so that the next one may take it at once. Nothing may be written after it.
    pub(crate) async fn release(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Election {
    api: Api<Lease>,
    options: LeaseOptions,
    until: Arc<Mutex<Option<Instant>>>,
    sender: watch::Sender<bool>,
    metrics: Metrics,
    /// Another's record, and when we saw it first.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Election {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let began = Instant::now();
            // No request outlives our own time: the answer of one that hangs would come to somebody who no longer leads.
            let limit = self.left().unwrap_or(self.options.renew_deadline).min(self.options.renew_deadline);
            let held = tokio::select! {
                held = timeout(limit, self.attempt()) => held.unwrap_or(None),
                () = stop.cancelled() => break,
            };
            match held {
                Some(true) => self.set(Some(began + self.options.renew_deadline)),
                Some(false) => self.set(None),
                // Not known: we lead for as long as we were to.
                None if self.left().is_none() => self.set(None),
                None => {}
            }
            let pause = self.left().map_or(self.options.retry, |left| left.min(self.options.retry));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
            if self.left().is_none() {
                self.set(None);
            }
        }
        let led = self.left().is_some();
        self.set(None);
        if led {
            let _ = timeout(self.options.retry, self.let_go()).await;
        }
    }

    /// What is left of our time; none where we do not lead.
    fn left(&self) -> Option<Duration> {
        let until = (*self.until.lock().unwrap_or_else(PoisonError::into_inner))?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn set(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        let leads = until.is_some();
        self.metrics.leads(leads);
        self.sender.send_if_modified(|known| std::mem::replace(known, leads) != leads);
    }

    /// Takes or renews the lease. `Some` where the server has said whether it is ours.
    async fn attempt(&mut self) -> Option<bool> {
        let lease = match self.api.get_opt(&self.options.name).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return self.create().await,
            Err(error) => {
                tracing::warn!("the lease cannot be read: {}", said(&error));
                return None;
            }
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if !holder.is_empty() && holder != self.options.identity {
            // The record's own times are another machine's; ours begins when the record was first seen.
            let first = match &self.seen {
                Some((known, first)) if *known == spec => *first,
                _ => Instant::now(),
            };
            self.seen = Some((spec.clone(), first));
            let given = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let patience = self.options.duration.max(Duration::from_secs(given.unwrap_or(0)));
            if first.elapsed() < patience {
                return Some(false);
            }
        }
        let taken = holder != self.options.identity;
        self.write(lease, spec, taken).await
    }

    async fn create(&self) -> Option<bool> {
        let metadata = ObjectMeta { name: Some(self.options.name.clone()), ..ObjectMeta::default() };
        let lease = Lease { metadata, spec: Some(self.record(&LeaseSpec::default(), true)) };
        match self.api.create(&PostParams::default(), &lease).await {
            Ok(_) => Some(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Some(false),
            Err(error) => {
                tracing::warn!("the lease cannot be made: {}", said(&error));
                None
            }
        }
    }

    /// Writes our record over the revision that was read: of two that try, one fails.
    async fn write(&self, mut lease: Lease, before: LeaseSpec, taken: bool) -> Option<bool> {
        lease.spec = Some(self.record(&before, taken));
        match self.api.replace(&self.options.name, &PostParams::default(), &lease).await {
            Ok(_) => Some(true),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                // Somebody has written. While we lead it is not known who; the next attempt reads it.
                if taken { Some(false) } else { None }
            }
            Err(error) => {
                tracing::warn!("the lease cannot be renewed: {}", said(&error));
                None
            }
        }
    }

    fn record(&self, before: &LeaseSpec, taken: bool) -> LeaseSpec {
        let now = Some(MicroTime(clock::time(clock::now()).0));
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.options.identity.clone()),
            lease_duration_seconds: i32::try_from(self.options.duration.as_secs()).ok(),
            acquire_time: if taken { now.clone() } else { before.acquire_time.clone() },
            renew_time: now,
            lease_transitions: Some(if taken { transitions.saturating_add(1) } else { transitions }),
            ..before.clone()
        }
    }

    /// Empties the holder, so that the next one need not wait.
    async fn let_go(&self) {
        let Ok(mut lease) = self.api.get(&self.options.name).await else { return };
        let Some(spec) = lease.spec.as_mut() else { return };
        if spec.holder_identity.as_deref() == Some(&self.options.identity) {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            let _ = self.api.replace(&self.options.name, &PostParams::default(), &lease).await;
        }
    }
}
