//! One look at an object's world: pages of its pods and the cluster's metrics APIs, all at once and each with a deadline.
//! Must not decide or write.

use crate::clock;
use crate::context::Context;
use crate::plan::{From, Plan, Source};
use crate::planning::Feed;
use crate::pods::PodView;
use crate::sources::{self, PodUsage};
use autoscaler_api::resolved::Port;
use autoscaler_core::Reading;
use autoscaler_metrics::Engine;
use autoscaler_runtime::pages::{self, Job, Key, PageAt, Questions, Reader};
use autoscaler_scrape::{Access, Page, ScrapeError, Target};
use futures_util::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The pod label that names the engine (AIBrix `pkg/constants`).
const ENGINE_LABEL: &str = "model.aibrix.ai/engine";
/// Where engines print their metrics (vLLM, and AIBrix's pods); what is planned with is there where no source names a page.
const ENGINE_PORT: &str = "8000";
const ENGINE_PATH: &str = "/metrics";
/// A metrics API's deadline; aggregated APIs take longer than a page.
const API_DEADLINE: Duration = Duration::from_secs(3);
/// The owner of values that belong to no pod. A pod cannot be called so.
const FLEET: &str = "/fleet";

/// What is remembered between looks.
#[derive(Debug)]
pub(crate) struct Eyes {
    reader: Reader,
    /// The last usage, by pod.
    usage: Result<BTreeMap<String, PodUsage>, String>,
    /// Credentials and trust, by source, and when they were read.
    access: BTreeMap<String, (Instant, Access)>,
}

/// Credentials are read again after this long: tokens are rotated.
const ACCESS_KEPT: Duration = Duration::from_secs(60);

impl Eyes {
    /// Eyes that saw nothing yet; values are fresh for three of these intervals.
    pub(crate) fn new(interval: Duration) -> Self {
        let reader = Reader::new(interval.as_secs_f64());
        Self { reader, usage: Ok(BTreeMap::new()), access: BTreeMap::new() }
    }

    /// Looks at everything that the plan asks for. `pods` are those whose pages are read; the selector is the target's, where
    /// its pods are known; what is planned with is fed from the same pages.
    pub(crate) async fn look(
        &mut self,
        context: &Context,
        namespace: &str,
        selector: Option<&str>,
        plan: &Plan,
        pods: &[Arc<PodView>],
        mut feed: Option<&mut Feed>,
    ) {
        let name = &plan.spec.name;
        self.credentials(context, namespace, plan).await;
        let (jobs, fed) = self.jobs(name, plan, pods, feed.is_some());
        let targets: Vec<Target> = jobs.iter().map(|job| job.target.clone()).collect();
        let (start, began) = (clock::seconds(clock::now()), Instant::now());
        let reader = &mut self.reader;
        let mut failed = 0;
        let each = |index: usize, page: Result<Page, ScrapeError>| {
            failed += u64::from(page.is_err());
            let received = page.as_ref().map_or(began, |page| page.received);
            let at = start + received.saturating_duration_since(began).as_secs_f64();
            let job = &jobs[index];
            reader.take(job, page.as_ref(), at);
            // A page that failed is a gap.
            if let (Some(feed), Ok(page), true) = (&mut feed, &page, fed.contains(&index))
                && let Err(why) = feed.page(&job.owner, job.engine, &page.body, at)
            {
                tracing::debug!(autoscaler = name, pod = job.owner, "the page says nothing to plan with: {why}");
            }
        };
        let mut apis = Vec::new();
        let mut asked_for_usage = false;
        for source in plan.sources.iter().filter(|source| asks_an_api(source)) {
            // One answer has all resources.
            if matches!(source.from, From::Usage) && std::mem::replace(&mut asked_for_usage, true) {
                continue;
            }
            let access = self.access.get(&source.key).map(|(_, access)| access.clone()).unwrap_or_default();
            let key = source.key.clone();
            apis.push(async move { (key, ask(context, namespace, selector, source, &access).await) }.boxed());
        }
        let apis = futures_util::future::join_all(apis);
        let ((), answers) = tokio::join!(context.scraper.sweep_each(&targets, each), apis);
        context.metrics.scraped(targets.len() as u64 - failed, failed, began.elapsed());
        self.reader.forget(&jobs, |owner| owner == FLEET || pods.iter().any(|pod| &*pod.name == owner));
        let now = clock::seconds(clock::now());
        for (key, answer) in answers {
            let key: Key = (name.clone(), key);
            match answer {
                Got::Usage(usage) => self.usage = usage,
                Got::Fleet(value) => self.reader.put(FLEET, key, now, value),
                Got::Pods(Ok(values)) => {
                    for (pod, value) in values {
                        self.reader.put(&pod, key.clone(), now, Ok(value));
                    }
                }
                Got::Pods(Err(why)) => {
                    for pod in pods {
                        self.reader.put(pod.name.as_ref(), key.clone(), now, Err(why.clone()));
                    }
                }
            }
        }
    }

    /// What is known of a pod's source.
    pub(crate) fn of_pod(&self, autoscaler: &str, source: &str, pod: &str, at: f64) -> Reading {
        self.reader.reading(pod, &(autoscaler.to_owned(), source.to_owned()), at)
    }

    /// What is known of a source that belongs to no pod.
    pub(crate) fn of_fleet(&self, autoscaler: &str, source: &str, at: f64) -> Reading {
        self.reader.reading(FLEET, &(autoscaler.to_owned(), source.to_owned()), at)
    }

    /// The usage of a pod, where it was measured.
    pub(crate) fn usage(&self, pod: &str) -> Option<&PodUsage> {
        self.usage.as_ref().ok()?.get(pod)
    }

    /// Why no usage was measured.
    pub(crate) fn usage_failure(&self) -> Option<&str> {
        self.usage.as_ref().err().map(String::as_str)
    }

    async fn credentials(&mut self, context: &Context, namespace: &str, plan: &Plan) {
        for source in &plan.sources {
            if source.tls.is_none() && source.secret.is_none() {
                self.access.remove(&source.key);
                continue;
            }
            if self.access.get(&source.key).is_some_and(|(at, _)| at.elapsed() < ACCESS_KEPT) {
                continue;
            }
            let (tls, secret) = (source.tls.as_ref(), source.secret.as_ref());
            match crate::secrets::access(&context.client, namespace, tls, secret).await {
                Ok(access) => drop(self.access.insert(source.key.clone(), (Instant::now(), access))),
                // What was read before goes on; without it the page refuses, and says so.
                Err(why) => tracing::warn!(namespace, autoscaler = plan.spec.name, source = source.key, "{why}"),
            }
        }
    }

    /// The pages to read, and which of them a planning is fed from: each pod's first, else the engines' usual one.
    fn jobs(&self, name: &str, plan: &Plan, pods: &[Arc<PodView>], feeds: bool) -> (Vec<Job>, BTreeSet<usize>) {
        let access =
            |source: &Source| self.access.get(&source.key).map(|(_, access)| access.clone()).unwrap_or_default();
        let mut at: Vec<(PageAt, Questions)> = Vec::new();
        let (mut jobs, mut fed) = (Vec::new(), BTreeSet::new());
        for source in &plan.sources {
            let key: Key = (name.to_owned(), source.key.clone());
            match &source.from {
                From::Pages { port, path, https, query } => {
                    let port = match port {
                        Port::Number(number) => number.to_string(),
                        Port::Name(name) => name.clone(),
                    };
                    let page = PageAt { port, path: path.clone(), https: *https, access: access(source) };
                    pages::ask(&mut at, &page, (query.clone(), key));
                }
                From::Endpoint { url, query } => {
                    let id = format!("{FLEET} {} {url}", source.key);
                    let target = Target { id, url: url.clone(), access: access(source) };
                    let (queries, keys) = (vec![query.clone()], vec![key]);
                    jobs.push(Job { target, owner: FLEET.to_owned(), engine: None, queries, keys });
                }
                _ => {}
            }
        }
        if feeds && at.is_empty() {
            let (port, path) = (ENGINE_PORT.to_owned(), ENGINE_PATH.to_owned());
            at.push((PageAt { port, path, https: false, access: Access::default() }, Vec::new()));
        }
        for pod in pods {
            let engine = pod.label(ENGINE_LABEL).and_then(Engine::named);
            let url = |page: &PageAt| {
                let port = pod.port(&page.port).or_else(|| page.port.parse().ok())?;
                Some(page.url(&pod.ip?.to_string(), port))
            };
            let own = pages::jobs(&pod.name, engine, &at, url);
            let first = at.first().and_then(|(page, _)| url(page));
            if feeds && own.first().is_some_and(|job| Some(&job.target.url) == first.as_ref()) {
                fed.insert(jobs.len());
            }
            jobs.extend(own);
        }
        (jobs, fed)
    }
}

fn asks_an_api(source: &Source) -> bool {
    !matches!(source.from, From::Pages { .. } | From::Endpoint { .. })
}

/// Whether pods are asked about.
fn of_pods(from: &From) -> bool {
    matches!(from, From::Pages { .. } | From::Usage | From::Custom { .. })
}

/// What an API said.
enum Got {
    Usage(Result<BTreeMap<String, PodUsage>, String>),
    Fleet(Result<f64, String>),
    Pods(Result<BTreeMap<String, f64>, String>),
}

async fn ask(context: &Context, namespace: &str, selector: Option<&str>, source: &Source, access: &Access) -> Got {
    let (client, custom) = (&context.client, &context.custom);
    let Some(selector) = selector.or_else(|| (!of_pods(&source.from)).then_some("")) else {
        let why = "the target has no label selector, so its pods are not known".to_owned();
        return if matches!(source.from, From::Custom { .. }) { Got::Pods(Err(why)) } else { Got::Usage(Err(why)) };
    };
    let text = |error: sources::SourceError| error.to_string();
    match &source.from {
        From::Pages { .. } | From::Endpoint { .. } | From::Usage => {
            Got::Usage(sources::pod_usage(client, namespace, selector, API_DEADLINE).await.map_err(text))
        }
        From::Custom { metric, labels } => Got::Pods(
            sources::pod_metric(client, custom, namespace, selector, metric, labels, API_DEADLINE).await.map_err(text),
        ),
        From::Object { object, metric, labels } => Got::Fleet(
            sources::object_metric(client, custom, namespace, object, metric, labels, API_DEADLINE).await.map_err(text),
        ),
        From::External { metric, labels } => {
            let values = sources::external_metric(client, namespace, metric, labels, API_DEADLINE).await;
            Got::Fleet(values.map(|values| values.iter().sum()).map_err(text))
        }
        From::Prometheus { url, query } => {
            Got::Fleet(sources::prometheus(&context.scraper, url, query, access, API_DEADLINE).await.map_err(text))
        }
    }
}
