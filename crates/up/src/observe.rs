//! Looks at the world: metrics pages of the replicas, processes, held requests. Gives the core its observation, and the
//! page what to show. Must not decide or act.

mod jobs;

use self::jobs::{RUNNING, WAITING, endpoint_owner, jobs, key_of, shown_key};
use crate::clock::Clock;
use crate::routing;
use crate::setup::{AutoscalerSetup, Origin, Setup};
use crate::view::MetricView;
use autoscaler_core::observe::{Pod, TargetObservation};
use autoscaler_core::{Observation, Phase, Reading};
use autoscaler_runtime::pages::{Job, Reader};
use autoscaler_scrape::{Page, ScrapeError, Scraper, Target};
use gateway::Snapshot;
use local_world::{ReplicaState, ReplicaStatus};
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

/// Looks, and remembers what rates and staleness need.
#[derive(Debug)]
pub(crate) struct Observer {
    scraper: Scraper,
    reader: Reader,
}

impl Observer {
    /// Looks through `scraper`.
    #[must_use]
    pub(crate) fn new(scraper: Scraper) -> Self {
        Self { scraper, reader: Reader::new(0.0) }
    }

    /// Takes a picture of everything.
    pub(crate) async fn look(
        &mut self,
        setup: &Setup,
        statuses: &[ReplicaStatus],
        gateway: &Snapshot,
        clock: Clock,
    ) -> Seen {
        self.reader.set_interval(setup.world.scrape_interval.as_secs_f64());
        let jobs = jobs(setup, statuses);
        let targets: Vec<Target> = jobs.iter().map(|job| job.target.clone()).collect();
        let Self { scraper, reader } = self;
        // Each is read as it comes, and dated then: the sweep ends when its slowest replica answers.
        let each = |index: usize, page: Result<Page, ScrapeError>| {
            let at = page.as_ref().map_or(0.0, |page| clock.at(page.received));
            reader.take(&jobs[index], page.as_ref(), at);
        };
        scraper.sweep_each(&targets, each).await;
        self.forget(&jobs, statuses);
        let now = clock.now();
        let mut seen = Seen::default();
        for autoscaler in &setup.autoscalers {
            let replicas: Vec<&ReplicaStatus> =
                statuses.iter().filter(|status| status.group == autoscaler.group).collect();
            let held = gateway.group(&autoscaler.group).map_or(0, |group| group.held);
            let name = autoscaler.spec.name.clone();
            let observed = self.target(autoscaler, &replicas, held, clock);
            seen.shown.insert(name.clone(), self.shown(autoscaler, &observed, held, now));
            seen.observation.targets.insert(name, observed);
        }
        seen
    }

    /// What is gone is forgotten: memories and values of replicas that ended, and of what is not asked any more. One that
    /// is not asked because it is not ready for a moment goes on where it was.
    fn forget(&mut self, jobs: &[Job], statuses: &[ReplicaStatus]) {
        let paused = |owner: &str| {
            let status = statuses.iter().find(|status| status.id.as_str() == owner);
            status.is_some_and(|status| !status.state.is_final() && !routing::serves(status))
        };
        self.reader.forget(jobs, paused);
    }

    fn target(
        &self,
        autoscaler: &AutoscalerSetup,
        replicas: &[&ReplicaStatus],
        held: usize,
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
                    let reading = self.reader.reading(status.id.as_str(), &key_of(autoscaler, &source.key), now);
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
                let reading =
                    self.reader.reading(&endpoint_owner(&autoscaler.spec.name), &key_of(autoscaler, &source.key), now);
                observed.external.insert(source.key.clone(), vec![reading]);
            }
        }
        observed
    }

    fn shown(&self, autoscaler: &AutoscalerSetup, observed: &TargetObservation, held: usize, now: f64) -> Shown {
        let pods = observed.pods.as_deref().unwrap_or_default();
        let serving: Vec<&Pod> = pods.iter().filter(|pod| pod.serves()).collect();
        let sum = |key: &str| {
            let values: Vec<f64> =
                serving.iter().filter_map(|pod| self.reader.reading(&pod.name, &shown_key(key), now).fresh()).collect();
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
    let mut pod = Pod::ready(status.id.as_str(), clock.timestamp(clock.now()));
    pod.phase = phase(status.state);
    pod.ready = Some(routing::serves(status));
    pod.deleting = status.leaving;
    // From when it was asked for: one that crashes again and again is stuck, however young its process.
    pod.started_at = Some(at(status.created_at));
    pod.ready_at = Some(at(status.readiness_changed_at));
    pod
}

/// One that backs off keeps its GPUs, as a pod that crashes keeps its node: it runs, and its share of a pool is not for others.
fn phase(state: ReplicaState) -> Phase {
    if matches!(state, ReplicaState::Pending(_)) { Phase::Pending } else { Phase::Running }
}

#[cfg(test)]
mod tests {
    use super::*;
    use local_world::PendingReason;

    #[test]
    fn only_what_has_no_gpu_is_pending() {
        assert_eq!(phase(ReplicaState::Pending(PendingReason::NoGpu)), Phase::Pending);
        for state in [ReplicaState::BackingOff, ReplicaState::Starting, ReplicaState::NotReady] {
            assert_eq!(phase(state), Phase::Running, "{state:?}");
        }
    }
}
