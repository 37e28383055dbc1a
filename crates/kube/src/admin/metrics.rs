//! The controller's own metrics. Labels that name objects go with them; all others have a handful of values.

use autoscaler_core::TargetDecision;
use kube::runtime::watcher;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The controller's own metrics.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    action: Family<Action, Gauge>,
    /// The series that each object has, to be removed with it: AIBrix's is never removed, so an object shows several.
    actions: Mutex<BTreeMap<String, Action>>,
    writes: Family<Outcome, Counter>,
    watches: Family<Watch, Counter>,
    scrapes: Family<Outcome, Counter>,
    scrape_seconds: Histogram,
    lateness: Histogram,
    objects: Gauge,
    leader: Gauge,
    memory: Family<Outcome, Counter>,
    memory_bytes: Gauge,
    events: Family<Outcome, Counter>,
    requests: Family<Asked, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Action {
    namespace: String,
    name: String,
    algorithm: String,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: String,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watch {
    kind: String,
    error: WatchError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum WatchError {
    Gone,
    Throttled,
    Forbidden,
    Server,
    Connection,
}

/// From a page on this machine to one that hangs.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let mut inner = Inner {
            registry: Registry::default(),
            action: Family::default(),
            actions: Mutex::default(),
            writes: Family::default(),
            watches: Family::default(),
            scrapes: Family::default(),
            scrape_seconds: Histogram::new(SECONDS),
            lateness: Histogram::new(SECONDS),
            objects: Gauge::default(),
            leader: Gauge::default(),
            memory: Family::default(),
            memory_bytes: Gauge::default(),
            events: Family::default(),
            requests: Family::default(),
        };
        // AIBrix's name and labels.
        registry.register("aibrix_autoscaler_scale_action", "Replicas that are wanted", inner.action.clone());
        // client-go's name and labels.
        registry.register(
            "rest_client_requests",
            "Requests to the API server, by method and answer",
            inner.requests.clone(),
        );
        let own = registry.sub_registry_with_prefix("aibrix_autoscaler");
        own.register("scale_writes", "Writes of a count, by what became of them", inner.writes.clone());
        own.register("watch_errors", "Watches that broke, by kind and error", inner.watches.clone());
        own.register("pages", "Metrics pages that were asked for", inner.scrapes.clone());
        own.register_with_unit(
            "look",
            "Time of one object's look at its metrics",
            Unit::Seconds,
            inner.scrape_seconds.clone(),
        );
        own.register_with_unit("tick_lateness", "How late ticks begin", Unit::Seconds, inner.lateness.clone());
        own.register("objects", "PodAutoscalers that are looked after", inner.objects.clone());
        own.register("leader", "1 where this controller writes", inner.leader.clone());
        own.register("memory_saves", "Saves of what is remembered", inner.memory.clone());
        own.register_with_unit(
            "memory",
            "Size of what is remembered, as saved last",
            Unit::Bytes,
            inner.memory_bytes.clone(),
        );
        own.register("events", "Kubernetes events, sent or dropped", inner.events.clone());
        inner.registry = registry;
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// The page.
    pub(crate) fn page(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    /// A decision was made.
    pub(crate) fn decided(&self, namespace: &str, name: &str, strategy: &str, decision: &TargetDecision) {
        // The rule that settled it is one of a few; the reason's text is not.
        let rule = decision.trail.iter().rev().find(|step| step.before != step.after).map(|step| step.rule);
        let reason = rule.map_or_else(|| "stable".to_owned(), |rule| crate::status::word(&rule));
        let algorithm = strategy.to_ascii_lowercase();
        let action = Action { namespace: namespace.to_owned(), name: name.to_owned(), algorithm, reason };
        self.0.action.get_or_create(&action).set(i64::from(decision.desired));
        let before = self.actions().insert(format!("{namespace}/{name}"), action.clone());
        if let Some(before) = before.filter(|before| *before != action) {
            self.0.action.remove(&before);
        }
    }

    /// An object is gone.
    pub(crate) fn gone(&self, namespace: &str, name: &str) {
        if let Some(action) = self.actions().remove(&format!("{namespace}/{name}")) {
            self.0.action.remove(&action);
        }
    }

    fn actions(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Action>> {
        self.0.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A count was written, or not.
    pub(crate) fn wrote(&self, result: &'static str) {
        self.0.writes.get_or_create(&Outcome { result }).inc();
    }

    /// A watch broke; it is begun again.
    pub(crate) fn watch_failed(&self, kind: &str, error: &watcher::Error) {
        let code = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchError(status) => status.code,
            _ => 0,
        };
        let what = match code {
            410 => WatchError::Gone,
            429 => WatchError::Throttled,
            401 | 403 => WatchError::Forbidden,
            0 => WatchError::Connection,
            _ => WatchError::Server,
        };
        self.0.watches.get_or_create(&Watch { kind: kind.to_owned(), error: what }).inc();
        // A list that is too old is begun again as a matter of course.
        if code == 410 {
            tracing::debug!(kind, %error, "a watch is begun again");
        } else {
            tracing::warn!(kind, %error, "a watch broke; it is begun again");
        }
    }

    /// An object looked at its metrics.
    pub(crate) fn scraped(&self, answered: u64, failed: u64, took: Duration) {
        self.0.scrapes.get_or_create(&Outcome { result: "ok" }).inc_by(answered);
        self.0.scrapes.get_or_create(&Outcome { result: "failed" }).inc_by(failed);
        self.0.scrape_seconds.observe(took.as_secs_f64());
    }

    /// A tick began this much after it was due.
    pub(crate) fn late(&self, by: Duration) {
        self.0.lateness.observe(by.as_secs_f64());
    }

    /// How many objects there are.
    pub(crate) fn objects(&self, count: usize) {
        self.0.objects.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether this controller writes.
    pub(crate) fn leads(&self, leads: bool) {
        self.0.leader.set(i64::from(leads));
    }

    /// What is remembered was saved, or not.
    pub(crate) fn saved(&self, bytes: Option<usize>) {
        self.0.memory.get_or_create(&Outcome { result: if bytes.is_some() { "ok" } else { "failed" } }).inc();
        if let Some(bytes) = bytes {
            self.0.memory_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// An event was sent, dropped, or refused.
    pub(crate) fn event(&self, result: &'static str) {
        self.0.events.get_or_create(&Outcome { result }).inc();
    }

    /// The API server was asked; none where it has not answered.
    pub(crate) fn asked(&self, method: String, code: Option<u16>) {
        let code = code.map_or_else(|| "<error>".to_owned(), |code| code.to_string());
        self.0.requests.get_or_create(&Asked { method, code }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscaler_core::{Rule, Stage, Step, Timestamp};

    #[test]
    fn an_object_has_one_series_and_none_once_it_is_gone() {
        let metrics = Metrics::default();
        let decide = |rule, after| {
            let step = Step { stage: Stage::Bounds, rule, before: Some(1), after: Some(after), detail: String::new() };
            let decision = TargetDecision {
                at: Timestamp::from_secs(0.0),
                replicas: 1,
                desired: after,
                recommendation: Some(after),
                panic: false,
                reason: String::new(),
                trail: vec![step],
                kpa: None,
                next_edge: None,
            };
            metrics.decided("ml", "chat", "KPA", &decision);
        };
        let series = || {
            let page = metrics.page().unwrap();
            let found = page.lines().filter(|line| line.starts_with("aibrix_autoscaler_scale_action{"));
            found.map(str::to_owned).collect::<Vec<_>>()
        };
        decide(Rule::TooManyReplicas, 4);
        decide(Rule::TooFewReplicas, 2);
        let only = series();
        assert!(
            only.len() == 1 && only[0].ends_with(" 2") && only[0].contains("reason=\"too-few-replicas\""),
            "{only:?}"
        );
        metrics.gone("ml", "chat");
        assert_eq!(series(), Vec::<String>::new());
    }
}
