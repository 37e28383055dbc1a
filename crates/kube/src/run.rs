//! The controller, from its start to its end: connect, watch, lead, work, and let go in that order.

use crate::admin::{self, Health, Metrics};
use crate::context::Context;
use crate::events::Events;
use crate::leader::{Leadership, LeaseOptions};
use crate::manager::{Manager, Streams};
use crate::options::Options;
use crate::partners::Partners;
use crate::planning::Models;
use crate::{admission, clock, hpa, memory, pods, sources, target};
use anyhow::Context as _;
use autoscaler_api::PodAutoscaler;
use autoscaler_core::Timestamp;
use autoscaler_runtime::decide::input::Settings;
use autoscaler_runtime::record::{Recorder, Writing};
use autoscaler_scrape::{ScrapeConfig, Scraper};
use futures_util::StreamExt;
use kube::client::ClientBuilder;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The memory is saved this often; what is lost with a crash is at most this much of the windows.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// Runs until `stop`, on the cluster that `config` leads to.
pub async fn run(options: Options, mut config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    // A request that waits out a busy server would be late for its tick; the next tick asks again, after the time that the
    // server has asked for.
    config.default_retry = false;
    let client = ClientBuilder::try_from(config)?.with_layer(&admin::Requests(metrics.clone())).build();
    let health = Health::default();
    let admin = admin::serve(options.health, options.metrics, health.clone(), metrics.clone(), stop.clone()).await?;
    let admin = tokio::spawn(admin);
    // Reviews are answered by every controller, also by one that waits.
    if let Some(webhook) = &options.webhook {
        tokio::spawn(admission::serve(webhook, client.clone(), stop.clone()).await?);
    }
    let home = options.home.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let pods = Arc::new(pods::Index::default());
    let scope = pods::Scope {
        namespace: options.namespace.clone(),
        selector: options.pod_selector.clone(),
        streaming: options.streaming_lists,
    };
    let (fed, feeding, failures) = (Arc::clone(&pods), client.clone(), metrics.clone());
    let watching = tokio::spawn(async move {
        pods::feed(&fed, feeding, scope, |error| failures.watch_failed("pods", error)).await;
    });
    let (recorder, writing) = record(&options)?.unzip();
    let version = client.apiserver_version().await.context("the API server does not answer")?;
    tracing::info!(version = version.git_version, "connected");
    tokio::select! {
        () = pods.synced() => {}
        () = stop.cancelled() => return Ok(()),
    }
    health.synced();
    while !stop.is_cancelled() {
        let leadership = if options.leader_election {
            Leadership::contend(client.clone(), lease(&options, &home))?
        } else {
            Leadership::unopposed()
        };
        tokio::select! {
            () = leadership.wait_until_leading() => {}
            () = stop.cancelled() => {
                leadership.release().await;
                break;
            }
        }
        metrics.leads(true);
        let led = lead(&options, &client, &home, &pods, &metrics, leadership.clone(), recorder.clone(), &stop).await;
        metrics.leads(false);
        // What is written last is written, so the next one may begin.
        leadership.release().await;
        led?;
    }
    watching.abort();
    let _ = admin.await;
    drop(recorder);
    if let Some(writing) = writing {
        tokio::task::spawn_blocking(move || writing.finish()).await?.context("the recording is not complete")?;
    }
    Ok(())
}

/// Begins the recording that was asked for.
#[allow(clippy::type_complexity, reason = "it is taken apart at once")]
fn record(options: &Options) -> anyhow::Result<Option<((Recorder, Timestamp), Writing)>> {
    let Some(path) = &options.record else { return Ok(None) };
    let epoch = clock::now();
    let (recorder, writing) = Recorder::create(path, &clock::time(epoch).0.to_string())
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(Some(((recorder, epoch), writing)))
}

/// What a leader does, until it is told to stop or has lost the lease.
#[allow(clippy::too_many_arguments, reason = "each is a part of what the run has made")]
async fn lead(
    options: &Options,
    client: &Client,
    home: &str,
    pods: &Arc<pods::Index>,
    metrics: &Metrics,
    leadership: Leadership,
    recorder: Option<(Recorder, Timestamp)>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let loaded = memory::load(client, home, &options.lease).await;
    let mut written = loaded.written;
    for problem in &loaded.problems {
        tracing::warn!("memory: {problem}");
    }
    let kinds = target::Kinds::default();
    let Some(native_hpa) = native_hpa(&kinds, client, &leadership, stop).await else { return Ok(()) };
    let context = Arc::new(Context {
        options: options.clone(),
        settings: Settings::default(),
        client: client.clone(),
        scraper: Scraper::new(ScrapeConfig { request_timeout: options.scrape_timeout, ..ScrapeConfig::default() }),
        pods: Arc::clone(pods),
        kinds,
        native_hpa,
        watch: watch(options, client, metrics.clone()),
        custom: sources::CustomApi::default(),
        events: Events::start(client.clone(), metrics.clone()),
        metrics: metrics.clone(),
        leadership,
        recorder,
        models: Models::default(),
        partners: Partners::default(),
        memories: Mutex::new(loaded.memories),
    });
    let working = stop.child_token();
    let streams = streams(options, client, native_hpa);
    let mut managing = tokio::spawn(Manager::new(Arc::clone(&context), working.clone()).run(streams));
    let mut save = tokio::time::interval(SAVE_EVERY);
    save.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = context.leadership.lost() => {
                tracing::warn!("the lease is lost; nothing is written any more");
                break;
            }
            ended = &mut managing => {
                ended.context("the manager ended")?;
                return Ok(());
            }
            _ = save.tick() => context.save(home, &mut written).await,
        }
    }
    working.cancel();
    managing.await.context("the manager ended")?;
    context.models.finish().await;
    context.save(home, &mut written).await;
    Ok(())
}

/// Whether the server has `autoscaling/v2`; none where the leadership ended first.
async fn native_hpa(
    kinds: &target::Kinds,
    client: &Client,
    leadership: &Leadership,
    stop: &CancellationToken,
) -> Option<bool> {
    let asked = async {
        loop {
            match kinds.resolve(client, "autoscaling/v2", "HorizontalPodAutoscaler").await {
                Ok(kind) => return kind.resource.version == "v2",
                Err(error) if error.transient() => {
                    tracing::warn!("the API server does not say which HPAs it has: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(_) => return false,
            }
        }
    };
    tokio::select! {
        known = leadership.while_leading(asked) => known,
        () = stop.cancelled() => None,
    }
}

/// client-go's times where the duration is 15 s: 10 s to renew, and an attempt every 2 s.
fn lease(options: &Options, home: &str) -> LeaseOptions {
    let duration = options.lease_duration;
    LeaseOptions {
        namespace: home.to_owned(),
        name: options.lease.clone(),
        identity: std::env::var("HOSTNAME").unwrap_or_else(|_| "controller".to_owned()),
        duration,
        renew_deadline: duration * 2 / 3,
        retry: duration * 2 / 15,
    }
}

fn watch(options: &Options, client: &Client, metrics: Metrics) -> target::Watch {
    let failed = move |kind: &str, error: &watcher::Error| metrics.watch_failed(kind, error);
    target::Watch::new(client.clone(), options.namespace.clone(), options.streaming_lists, Arc::new(failed))
}

fn streams(options: &Options, client: &Client, native_hpa: bool) -> Streams {
    let objects: Api<PodAutoscaler> = api(options, client);
    let mut config = config(options);
    if let Some(selector) = &options.selector {
        config = config.labels(selector);
    }
    let objects = watcher(objects, config).default_backoff().boxed();
    let hpas = if native_hpa {
        hpa::watch(api(options, client), self::config(options))
    } else {
        hpa::watch_first(api(options, client), self::config(options))
    };
    Streams { objects, hpas }
}

fn config(options: &Options) -> watcher::Config {
    let config = watcher::Config::default();
    if options.streaming_lists { config.streaming_lists() } else { config }
}

fn api<K>(options: &Options, client: &Client) -> Api<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    match &options.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

impl Context {
    /// Saves what the objects remember, where this controller leads.
    async fn save(&self, home: &str, written: &mut memory::Written) {
        if !self.may_write() {
            return;
        }
        let memories = self.memories.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        match memory::save(&self.client, home, &self.options.lease, &memories, written).await {
            Ok(bytes) => self.metrics.saved(Some(bytes)),
            Err(why) => {
                self.metrics.saved(None);
                tracing::warn!("memory: {why}");
            }
        }
    }
}
