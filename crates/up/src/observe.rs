//! Looks at the world: metrics pages of the replicas, processes, held requests. Gives the core its observation, and the
//! page what to show. Must not decide or act.

use crate::clock::Clock;
use crate::routing;
use crate::setup::{AutoscalerSetup, GroupSetup, Origin, PageAt, Setup};
use crate::view::MetricView;
use autoscaler_core::observe::{Pod, TargetObservation};
use autoscaler_core::{Observation, Phase, Reading, Span, Why};
use autoscaler_metrics::{Engine, Memory, MetricQuery};
use autoscaler_scrape::{Access, Scraper, Target};
use gateway::Snapshot;
use local_world::{MAIN_PORT, ReplicaState, ReplicaStatus};
use std::collections::BTreeMap;

/// What was seen at one time.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// For the core.
    pub(crate) observation: Observation,
    /// For people, by autoscaler.
    pub(crate) shown: BTreeMap<String, Shown>,
}

/// What is shown of one autoscaler beside its decision.
#[derive(Debug, Default, Clone)]
pub(crate) struct Shown {
    /// Replicas that serve.
    pub(crate) ready: u32,
    /// Replicas on their way.
    pub(crate) pending: u32,
    /// Requests running on them.
    pub(crate) running: Option<f64>,
    /// Requests waiting in them.
    pub(crate) waiting: Option<f64>,
    /// Requests held at the gateway.
    pub(crate) held: u64,
    /// What it decides from.
    pub(crate) metrics: Vec<MetricView>,
}

/// A value counts as fresh until it is this many scrape intervals old.
const STALE_INTERVALS: f64 = 3.0;

/// What is shown of every replica, whatever it is scaled by.
const RUNNING: &str = "num_requests_running";
const WAITING: &str = "num_requests_waiting";

/// The questions to one page of one replica (or to one endpoint), and what they are for.
struct Job {
    target: Target,
    /// The replica, or the autoscaler of an endpoint.
    owner: String,
    engine: Option<Engine>,
    queries: Vec<MetricQuery>,
    keys: Vec<String>,
}

/// Looks, and remembers what rates and staleness need.
#[derive(Debug)]
pub(crate) struct Observer {
    scraper: Scraper,
    /// By job: owner and address.
    memories: BTreeMap<String, Memory>,
    /// The last value and its time, by owner and key.
    latest: BTreeMap<(String, String), Latest>,
}

#[derive(Debug, Clone)]
struct Latest {
    value: Option<(f64, f64)>,
    why: String,
}

impl Observer {
    /// Looks through `scraper`.
    #[must_use]
    pub(crate) fn new(scraper: Scraper) -> Self {
        Self { scraper, memories: BTreeMap::new(), latest: BTreeMap::new() }
    }

    /// Takes a picture of everything.
    pub(crate) async fn look(
        &mut self,
        setup: &Setup,
        statuses: &[ReplicaStatus],
        gateway: &Snapshot,
        clock: Clock,
    ) -> Seen {
        let jobs = jobs(setup, statuses);
        let targets: Vec<Target> = jobs.iter().map(|job| job.target.clone()).collect();
        let pages = self.scraper.sweep(&targets).await;
        let now = clock.now();
        for (job, (_, page)) in jobs.iter().zip(pages) {
            match page {
                Ok(page) => self.read(job, &page.body, now),
                Err(error) => job.keys.iter().for_each(|key| self.absent(&job.owner, key, &error.to_string())),
            }
        }
        self.forget(&jobs);
        let mut seen = Seen::default();
        for autoscaler in &setup.autoscalers {
            let replicas: Vec<&ReplicaStatus> =
                statuses.iter().filter(|status| status.group == autoscaler.group).collect();
            let held = gateway.group(&autoscaler.group).map_or(0, |group| group.held);
            let name = autoscaler.spec.name.clone();
            let observed = self.target(autoscaler, &replicas, held, setup, clock);
            seen.shown.insert(name.clone(), self.shown(autoscaler, &observed, held, now, setup));
            seen.observation.targets.insert(name, observed);
        }
        seen
    }

    fn read(&mut self, job: &Job, page: &[u8], now: f64) {
        let memory = self.memories.entry(job.target.id.clone()).or_default();
        let answers = autoscaler_metrics::read(page, job.engine, &job.queries, memory, now);
        for (key, answer) in job.keys.iter().zip(answers) {
            match answer {
                Ok(value) => {
                    let latest = Latest { value: Some((value, now)), why: String::new() };
                    self.latest.insert((job.owner.clone(), key.clone()), latest);
                }
                Err(why) => self.absent(&job.owner, key, &why.to_string()),
            }
        }
    }

    /// The last value stays until it is stale; only the reason is renewed.
    fn absent(&mut self, owner: &str, key: &str, why: &str) {
        let entry = self.latest.entry((owner.to_owned(), key.to_owned()));
        why.clone_into(&mut entry.or_insert(Latest { value: None, why: String::new() }).why);
    }

    /// What is gone is forgotten: memories and values of replicas that ended.
    fn forget(&mut self, jobs: &[Job]) {
        self.memories.retain(|id, _| jobs.iter().any(|job| job.target.id == *id));
        self.latest.retain(|(owner, _), _| jobs.iter().any(|job| job.owner == *owner));
    }

    fn reading(&self, owner: &str, key: &str, now: f64, setup: &Setup) -> Reading {
        let Some(latest) = self.latest.get(&(owner.to_owned(), key.to_owned())) else {
            return Reading::Absent(Why::NotRead);
        };
        let fresh_for = setup.world.scrape_interval.as_secs_f64() * STALE_INTERVALS;
        match latest.value {
            Some((value, at)) if now - at <= fresh_for => Reading::load(value),
            Some((value, at)) => Reading::Stale { value, age: Span::from_secs(now - at) },
            None => Reading::Absent(Why::Failed(latest.why.clone())),
        }
    }

    fn target(
        &self,
        autoscaler: &AutoscalerSetup,
        replicas: &[&ReplicaStatus],
        held: usize,
        setup: &Setup,
        clock: Clock,
    ) -> TargetObservation {
        let now = clock.now();
        let mut observed = TargetObservation { held: Some(held as f64), ..TargetObservation::default() };
        let live = replicas.iter().filter(|status| !status.state.is_final());
        let mut pods = Vec::new();
        for status in live {
            let mut pod = pod(status, clock);
            for (source, origin) in autoscaler.spec.sources.iter().zip(&autoscaler.origins) {
                if matches!(origin, Origin::Replica { .. }) {
                    let reading = self.reading(status.id.as_str(), &source.key, now, setup);
                    pod.metrics.insert(source.key.clone(), reading);
                }
            }
            pods.push(pod);
        }
        let wanted = pods.iter().filter(|pod| !pod.deleting).count();
        observed.replicas = u32::try_from(wanted).unwrap_or(u32::MAX);
        observed.pods = Some(pods);
        for (source, origin) in autoscaler.spec.sources.iter().zip(&autoscaler.origins) {
            if matches!(origin, Origin::Endpoint { .. }) {
                let reading = self.reading(&autoscaler.spec.name, &source.key, now, setup);
                observed.external.insert(source.key.clone(), vec![reading]);
            }
        }
        observed
    }

    fn shown(
        &self,
        autoscaler: &AutoscalerSetup,
        observed: &TargetObservation,
        held: usize,
        now: f64,
        setup: &Setup,
    ) -> Shown {
        let pods = observed.pods.as_deref().unwrap_or_default();
        let serving: Vec<&Pod> = pods.iter().filter(|pod| pod.serves()).collect();
        let sum = |key: &str| {
            let values: Vec<f64> =
                serving.iter().filter_map(|pod| self.reading(&pod.name, key, now, setup).fresh()).collect();
            (!values.is_empty()).then(|| values.iter().sum())
        };
        let metric = |source: &autoscaler_core::spec::Source| {
            let readings: Vec<Reading> = match observed.external.get(&source.key) {
                Some(readings) => readings.clone(),
                None => serving.iter().filter_map(|pod| pod.metrics.get(&source.key).cloned()).collect(),
            };
            let values: Vec<f64> = readings.iter().filter_map(Reading::fresh).collect();
            let why =
                readings.iter().find(|reading| reading.fresh().is_none()).map_or_else(String::new, ToString::to_string);
            let why = if values.is_empty() && why.is_empty() { "no ready replica".to_owned() } else { why };
            let value = (!values.is_empty()).then(|| values.iter().sum());
            MetricView { name: source.key.clone(), value, why, target: source.target }
        };
        let ready = observed.ready();
        Shown {
            ready,
            pending: observed.replicas.saturating_sub(ready),
            running: sum(RUNNING),
            waiting: sum(WAITING),
            held: held as u64,
            metrics: autoscaler.spec.sources.iter().map(metric).collect(),
        }
    }
}

/// A replica as the core sees it.
fn pod(status: &ReplicaStatus, clock: Clock) -> Pod {
    let at = |instant: tokio::time::Instant| clock.timestamp(clock.at(instant.into_std()));
    let waits = matches!(status.state, ReplicaState::Pending(_) | ReplicaState::BackingOff);
    let mut pod = Pod::ready(status.id.as_str(), clock.timestamp(clock.now()));
    pod.phase = if waits { Phase::Pending } else { Phase::Running };
    pod.ready = Some(routing::serves(status));
    pod.deleting = status.leaving;
    // From when it was asked for: one that crashes again and again is stuck, however young its process.
    pod.started_at = Some(at(status.created_at));
    pod.ready_at = Some(at(status.readiness_changed_at));
    pod
}

/// What has to be fetched: each page of each serving replica once, and each endpoint.
fn jobs(setup: &Setup, statuses: &[ReplicaStatus]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for group in &setup.groups {
        let pages = group_pages(setup, group);
        for status in statuses.iter().filter(|status| status.group == group.spec.name && routing::serves(status)) {
            for (page, questions) in &pages {
                let Some(url) = page_url(page, status) else { continue };
                let id = format!("{} {url}", status.id);
                let target = Target { id, url, access: page.access.clone() };
                let (queries, keys) = questions.iter().cloned().unzip();
                jobs.push(Job { target, owner: status.id.to_string(), engine: group.engine, queries, keys });
            }
        }
    }
    for autoscaler in &setup.autoscalers {
        for (source, origin) in autoscaler.spec.sources.iter().zip(&autoscaler.origins) {
            if let Origin::Endpoint { url, access, query } = origin {
                let name = &autoscaler.spec.name;
                let target =
                    Target { id: format!("{name} {} {url}", source.key), url: url.clone(), access: access.clone() };
                let (queries, keys) = (vec![query.clone()], vec![source.key.clone()]);
                jobs.push(Job { target, owner: name.clone(), engine: None, queries, keys });
            }
        }
    }
    jobs
}

type Questions = Vec<(MetricQuery, String)>;

/// The pages of a group's replicas with all questions to each; the first one also tells what is shown.
fn group_pages(setup: &Setup, group: &GroupSetup) -> Vec<(PageAt, Questions)> {
    let mut pages: Vec<(PageAt, Questions)> = Vec::new();
    for autoscaler in setup.autoscalers.iter().filter(|autoscaler| autoscaler.group == group.spec.name) {
        for (source, origin) in autoscaler.spec.sources.iter().zip(&autoscaler.origins) {
            let Origin::Replica { page, query } = origin else { continue };
            let question = (query.clone(), source.key.clone());
            match pages.iter_mut().find(|(known, _)| known.same_place(page)) {
                Some((_, questions)) => questions.push(question),
                None => pages.push((page.clone(), vec![question])),
            }
        }
    }
    if pages.is_empty() {
        let path = group.engine.unwrap_or(Engine::Generic).path().to_owned();
        let page = PageAt { port: MAIN_PORT.to_owned(), path, https: false, access: Access::default() };
        pages.push((page, Vec::new()));
    }
    for name in [RUNNING, WAITING] {
        let asked = pages.iter().flat_map(|(_, questions)| questions).any(|(_, key)| key == name);
        if !asked {
            pages[0].1.push((MetricQuery::new(name), name.to_owned()));
        }
    }
    pages
}

impl PageAt {
    fn same_place(&self, other: &Self) -> bool {
        (&self.port, &self.path, self.https) == (&other.port, &other.path, other.https)
    }
}

fn page_url(page: &PageAt, status: &ReplicaStatus) -> Option<String> {
    let port = status.ports.get(&page.port).copied().or_else(|| page.port.parse().ok())?;
    let scheme = if page.https { "https" } else { "http" };
    Some(format!("{scheme}://127.0.0.1:{port}/{}", page.path.trim_start_matches('/')))
}
