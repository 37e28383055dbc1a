//! The product's own core, told by a manifest, on what the world shows.

use crate::world::{Metrics, Policy, Seen, Stage};
use autoscaler_api::resolved::SourceKind as ApiKind;
use autoscaler_api::{PodAutoscaler, resolve};
use autoscaler_core::observe::Pod;
use autoscaler_core::spec::{Gaps, Strategy};
use autoscaler_core::{Fleet, Observation, Phase, Reading, Span, TargetDecision, TargetObservation, Timestamp, Why};
use autoscaler_runtime::decide::input::Settings;
use autoscaler_runtime::spec::of_resolved;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Why a manifest cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProductError {
    /// It is not valid: every reason, one a line.
    #[error("{0}")]
    Manifest(String),
    /// It asks for something that this world does not have.
    #[error("spec.metricsSources[{index}].{field}: {value} is not in the simulated world (allowed: {allowed})")]
    Unknown {
        /// Which source.
        index: usize,
        /// The field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What there is.
        allowed: String,
    },
}

/// What a source reads from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gauge {
    Running,
    Waiting,
    Requests,
    KvUsage,
    PromptRate,
    GenerationRate,
}

/// What this world's pages have, by the names that the product understands.
const GAUGES: [(&str, Gauge); 9] = [
    ("num_requests_running", Gauge::Running),
    ("num_requests_waiting", Gauge::Waiting),
    ("request_count", Gauge::Requests),
    ("kv_cache_usage_perc", Gauge::KvUsage),
    ("gpu_cache_usage_perc", Gauge::KvUsage),
    ("kv_cache_size", Gauge::KvUsage),
    ("token_in_count", Gauge::PromptRate),
    ("token_out_count", Gauge::GenerationRate),
    ("avg_generation_throughput_toks_per_s", Gauge::GenerationRate),
];

/// One `PodAutoscaler` at work.
#[derive(Debug)]
pub struct Product {
    fleet: Fleet,
    name: String,
    sources: Vec<(String, Gauge)>,
    interval: f64,
    samples: Option<f64>,
    scrapes: Option<f64>,
    /// Counters at the look before, for rates.
    before: BTreeMap<String, Metrics>,
    last: Option<TargetDecision>,
}

/// Knative's windows want a sample a second.
const SAMPLE: f64 = 1.0;

impl Product {
    /// A manifest's autoscaler, that decides every `interval` seconds.
    pub fn new(object: &PodAutoscaler, interval: f64) -> Result<Self, ProductError> {
        let manifest = |lines: Vec<String>| ProductError::Manifest(lines.join("\n"));
        let resolved = resolve(object).map_err(|found| manifest(found.iter().map(ToString::to_string).collect()))?;
        let mut spec = of_resolved(&resolved, &Settings::default()).map_err(|error| manifest(error.0))?;
        let mut samples = None;
        if let Strategy::Kpa(kpa) = &mut spec.strategy {
            kpa.gaps = Gaps::Hold;
            samples = Some(SAMPLE);
        }
        let mut sources = Vec::new();
        for (index, source) in resolved.sources.iter().enumerate() {
            let unknown = |field, value: &str, allowed: String| ProductError::Unknown {
                index,
                field,
                value: value.to_owned(),
                allowed,
            };
            if !matches!(source.kind, ApiKind::Pod(_)) {
                return Err(unknown("metricSourceType", "this type", "pod".to_owned()));
            }
            let name = source.metric.strip_prefix("vllm:").unwrap_or(&source.metric);
            let known = GAUGES.iter().find(|(known, _)| *known == name).map(|(_, gauge)| *gauge);
            let names = || GAUGES.map(|(name, _)| name).join(", ");
            sources.push((source.key.clone(), known.ok_or_else(|| unknown("targetMetric", &source.metric, names()))?));
        }
        let name = spec.name.clone();
        Ok(Self {
            fleet: Fleet::new(vec![spec], Vec::new()),
            name,
            sources,
            interval,
            samples,
            scrapes: None,
            before: BTreeMap::new(),
            last: None,
        })
    }

    /// Reads what Prometheus has scraped this often, in place of the pages themselves.
    #[must_use]
    pub fn by_prometheus(mut self, every: f64) -> Self {
        self.scrapes = Some(every);
        self
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Observation {
        let now = Timestamp::from_secs(seen.now);
        let pods = seen.replicas.iter().map(|replica| {
            let (ready, deleting) = (replica.stage != Stage::Starting, replica.stage == Stage::Draining);
            let mut metrics = BTreeMap::new();
            for (key, gauge) in &self.sources {
                let reading = match &replica.metrics {
                    Some(page) => read(*gauge, page, self.before.get(&*replica.name)),
                    None => Reading::Absent(Why::NotRead),
                };
                metrics.insert(key.clone(), reading);
            }
            Pod {
                name: replica.name.to_string(),
                phase: Phase::Running,
                ready: Some(ready),
                deleting,
                started_at: Some(Timestamp::from_secs(replica.created)),
                ready_at: ready.then(|| Timestamp::from_secs(replica.ready)),
                metrics,
                usage: BTreeMap::new(),
                usage_at: now,
                usage_window: Span::secs(60),
                requests: BTreeMap::new(),
            }
        });
        let existing = u32::try_from(seen.replicas.iter().filter(|replica| replica.stage != Stage::Draining).count());
        let observed = TargetObservation {
            replicas: seen.wanted,
            status_replicas: existing.ok(),
            pods: Some(pods.collect()),
            external: BTreeMap::new(),
            held: Some(f64::from(seen.held)),
        };
        if self.sources.iter().any(|(_, gauge)| matches!(gauge, Gauge::PromptRate | Gauge::GenerationRate)) {
            let pages = seen.replicas.iter().filter_map(|one| Some((one.name.to_string(), one.metrics?)));
            self.before = pages.collect();
        }
        Observation { targets: BTreeMap::from([(self.name.clone(), observed)]), plan: None }
    }
}

fn read(gauge: Gauge, page: &Metrics, before: Option<&Metrics>) -> Reading {
    let rate = |counter: fn(&Metrics) -> f64| match before {
        Some(before) if page.at > before.at => Reading::load((counter(page) - counter(before)) / (page.at - before.at)),
        _ => Reading::Absent(Why::NotRead),
    };
    match gauge {
        Gauge::Running => Reading::load(page.running),
        Gauge::Waiting => Reading::load(page.waiting),
        Gauge::Requests => Reading::load(page.running + page.waiting),
        Gauge::KvUsage => Reading::load(page.kv_usage),
        Gauge::PromptRate => rate(|page| page.prompt_tokens),
        Gauge::GenerationRate => rate(|page| page.generation_tokens),
    }
}

impl Policy for Product {
    fn interval(&self) -> f64 {
        self.interval
    }

    fn samples_every(&self) -> Option<f64> {
        self.samples
    }

    fn scrapes_every(&self) -> Option<f64> {
        self.scrapes
    }

    fn sample(&mut self, seen: &Seen<'_>) {
        let observation = self.observe(seen);
        self.fleet.record(Timestamp::from_secs(seen.now), &observation);
    }

    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        let observation = self.observe(seen);
        let decision = self.fleet.step(Timestamp::from_secs(seen.now), &observation).targets.remove(&self.name);
        let Some(decision) = decision else { return seen.wanted };
        let desired = decision.desired;
        self.last = Some(decision);
        desired
    }

    /// The reason, and below it the trail's steps that changed something.
    fn why(&self) -> String {
        let Some(decision) = &self.last else { return String::new() };
        let mut text = decision.reason.clone();
        for step in decision.trail.iter().filter(|step| step.before != step.after) {
            let count = |count: Option<u32>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
            let _ = write!(text, "\n{} → {}  {}", count(step.before), count(step.after), step.detail);
        }
        text
    }
}
