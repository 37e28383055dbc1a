//! The product's own core, told by a manifest, on what the world shows.

use super::PROMETHEUS;
use super::planner::Planner;
use crate::world::{Fleet, Metrics, Policy, Seen, Stage};
use autoscaler_api::resolved::SourceKind as ApiKind;
use autoscaler_api::{PodAutoscaler, resolve};
use autoscaler_core::fleet::Plan;
use autoscaler_core::fleet::{Member as PoolMember, Pool};
use autoscaler_core::observe::Pod;
use autoscaler_core::spec::{Spec, Strategy};
use autoscaler_core::{
    Fleet as Core, Observation, Phase, Reading, Span, TargetDecision, TargetObservation, Timestamp, Why,
};
use autoscaler_planning::Planning;
use autoscaler_runtime::decide::input::Settings;
use autoscaler_runtime::spec::in_world;
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

/// `PodAutoscaler`s at work: one for each group of a world, decided together where they share a pool.
#[derive(Debug)]
pub struct Products {
    fleet: Core,
    members: Vec<Member>,
    /// Each with its members.
    planners: Vec<(Vec<usize>, Planner)>,
    interval: f64,
    samples: Option<f64>,
    scrapes: Option<f64>,
}

/// One of them.
#[derive(Debug)]
struct Member {
    name: String,
    sources: Vec<(String, Gauge)>,
    /// Counters at the look before, for rates.
    before: BTreeMap<String, Metrics>,
    last: Option<TargetDecision>,
}

/// Knative's windows want a sample a second.
const SAMPLE: f64 = 1.0;

impl Products {
    /// Manifests' autoscalers, in the order of the groups, that decide every `interval` seconds; with `pool`, they share so many
    /// GPUs, of which a replica of each takes as many as `gpus` says.
    pub fn new(
        objects: &[PodAutoscaler],
        interval: f64,
        pool: Option<u32>,
        gpus: &[u32],
    ) -> Result<Self, ProductError> {
        let (mut specs, mut members, mut samples) = (Vec::new(), Vec::new(), None);
        let mut hpa = true;
        for object in objects {
            let (spec, member) = Member::new(object)?;
            samples = samples.or(matches!(spec.strategy, Strategy::Kpa(_)).then_some(SAMPLE));
            hpa &= matches!(spec.strategy, Strategy::Hpa(_));
            specs.push(spec);
            members.push(member);
        }
        let pools = pool.map(|units| {
            let member = |(member, gpus): (&Member, &u32)| {
                (member.name.clone(), PoolMember { units_per_replica: *gpus, priority: 0 })
            };
            Pool { units, members: members.iter().zip(gpus).map(member).collect() }
        });
        let fleet = Core::new(specs, pools.into_iter().collect());
        // An HPA reads engines by an adapter of Prometheus; what decides beside others reads pages.
        Ok(Self { fleet, members, planners: Vec::new(), interval, samples, scrapes: hpa.then_some(PROMETHEUS) })
    }

    /// The same, with the plan of one model: `members` says which autoscalers are its targets, in their order.
    #[must_use]
    pub fn with_planning(mut self, members: Vec<usize>, planning: Planning) -> Self {
        self.planners.push((members, Planner::new(planning)));
        self
    }

    /// The plans of all models as one: they are as old as the oldest.
    fn plan(&mut self, seen: &[Seen<'_>]) -> Option<Plan> {
        let mut all: Option<Plan> = None;
        for (members, planner) in &mut self.planners {
            let seen: Vec<&Seen<'_>> = members.iter().filter_map(|member| seen.get(*member)).collect();
            let Some(plan) = planner.plan(&seen) else { continue };
            let made_at = Timestamp::from_secs(plan.made_at);
            let empty = || Plan { made_at, replicas: BTreeMap::new(), why: BTreeMap::new() };
            let all = all.get_or_insert_with(empty);
            all.made_at = all.made_at.min(made_at);
            all.replicas.extend(plan.replicas);
            all.why.extend(plan.why);
        }
        all
    }

    fn observe(&mut self, seen: &[Seen<'_>]) -> Observation {
        let targets = self.members.iter_mut().zip(seen);
        let targets = targets.map(|(member, seen)| (member.name.clone(), member.observe(seen))).collect();
        Observation { targets, plan: None }
    }
}

impl Fleet for Products {
    fn interval(&self) -> f64 {
        self.interval
    }

    fn samples_every(&self) -> Option<f64> {
        self.samples
    }

    fn scrapes_every(&self) -> Option<f64> {
        self.scrapes
    }

    fn sample(&mut self, seen: &[Seen<'_>]) {
        let observation = self.observe(seen);
        let now = Timestamp::from_secs(seen.first().map_or(0.0, |seen| seen.now));
        self.fleet.record(now, &observation);
    }

    fn decide(&mut self, seen: &[Seen<'_>]) -> Vec<u32> {
        let mut observation = self.observe(seen);
        let now = Timestamp::from_secs(seen.first().map_or(0.0, |seen| seen.now));
        observation.plan = self.plan(seen);
        let mut decided = self.fleet.step(now, &observation).targets;
        let each = self.members.iter_mut().zip(seen).map(|(member, seen)| {
            let Some(decision) = decided.remove(&member.name) else { return seen.wanted };
            let desired = decision.desired;
            member.last = Some(decision);
            desired
        });
        each.collect()
    }

    fn why(&self, group: usize) -> String {
        self.members.get(group).map(Member::why).unwrap_or_default()
    }
}

/// One `PodAutoscaler` at work.
#[derive(Debug)]
pub struct Product(Products);

impl Product {
    /// A manifest's autoscaler, that decides every `interval` seconds.
    pub fn new(object: &PodAutoscaler, interval: f64) -> Result<Self, ProductError> {
        Ok(Self(Products::new(std::slice::from_ref(object), interval, None, &[])?))
    }
}

impl Product {
    /// The same with a plan of its own.
    #[must_use]
    pub fn with_planning(self, planning: Planning) -> Self {
        Self(self.0.with_planning(vec![0], planning))
    }
}

impl Member {
    fn new(object: &PodAutoscaler) -> Result<(Spec, Self), ProductError> {
        let manifest = |lines: Vec<String>| ProductError::Manifest(lines.join("\n"));
        let resolved = resolve(object).map_err(|found| manifest(found.iter().map(ToString::to_string).collect()))?;
        let spec = in_world(&resolved, &Settings::default()).map_err(|error| manifest(error.0))?;
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
        let member = Self { name: spec.name.clone(), sources, before: BTreeMap::new(), last: None };
        Ok((spec, member))
    }

    fn observe(&mut self, seen: &Seen<'_>) -> TargetObservation {
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
        observed
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
        self.0.interval
    }

    fn samples_every(&self) -> Option<f64> {
        self.0.samples
    }

    fn scrapes_every(&self) -> Option<f64> {
        self.0.scrapes
    }

    fn sample(&mut self, seen: &Seen<'_>) {
        self.0.sample(std::slice::from_ref(seen));
    }

    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        self.0.decide(std::slice::from_ref(seen)).first().copied().unwrap_or(seen.wanted)
    }

    fn why(&self) -> String {
        Fleet::why(&self.0, 0)
    }
}
