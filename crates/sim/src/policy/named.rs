//! The policies that `compare` knows by name, each with one knob: above 1 it runs fuller and cheaper, below 1 safer.

use super::PROMETHEUS;
use super::dynamo::Planner;
use super::llmd::{SloAware, TokenAware};
use super::planned::with_plan;
use super::product::ProductError;
use super::wva::Saturation;
use crate::world::Policy;
use autoscaler_core::spec::Bounds;
use autoscaler_planning::Parts;
use engine_model::{Capacity, EngineSpec};
use serde_json::{Value, json};
use workload::score::Slo;

/// What a policy is set up for.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The engine.
    pub engine: EngineSpec,
    /// The SLO.
    pub slo: Slo,
    /// Fewest and most replicas.
    pub bounds: Bounds,
    /// What one replica carries of the trace's mean request: a profile, which an operator has too.
    pub capacity: Capacity,
}

/// A policy that `compare` knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Named {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// A manifest for the product's own code.
    Ours {
        strategy: &'static str,
        metric: &'static str,
        target: Target,
        interval: f64,
    },
    /// A manifest with a plan.
    Planned {
        strategy: &'static str,
        parts: Parts,
    },
    SloAware,
    TokenAware,
    Saturation,
    Planner,
}

/// A manifest's target.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    /// As it is.
    Is(f64),
    /// As a share of the requests that a replica carries within the SLO.
    OfBatch(f64),
}

/// The controller's tick.
const TICK: f64 = 5.0;

const fn ours(strategy: &'static str, metric: &'static str, target: Target, interval: f64) -> Kind {
    Kind::Ours { strategy, metric, target, interval }
}

/// The plan's rule without one part, to see what it is worth; not in the list, and found by name.
const ABLATIONS: [Named; 7] = [
    without("hybrid-no-forecast", Parts { forecast: false, ..Parts::WHOLE }),
    without("hybrid-no-quantile", Parts { quantile: false, ..Parts::WHOLE }),
    without("hybrid-no-consolidation", Parts { consolidation: false, ..Parts::WHOLE }),
    without("hybrid-no-calibration", Parts { calibration: false, ..Parts::WHOLE }),
    without("hybrid-no-backlog", Parts { backlog: false, ..Parts::WHOLE }),
    without("hybrid-no-credit", Parts { credit: false, ..Parts::WHOLE }),
    without("hybrid-no-replay", Parts { replay: false, ..Parts::WHOLE }),
];

const fn without(name: &'static str, parts: Parts) -> Named {
    Named { name, about: "hybrid without one part", kind: Kind::Planned { strategy: "Hybrid", parts } }
}

/// All of them.
pub const POLICIES: [Named; 10] = [
    Named {
        name: "hybrid",
        about: "the plan as a floor, KV cache use at 90 % above it",
        kind: Kind::Planned { strategy: "Hybrid", parts: Parts::WHOLE },
    },
    Named {
        name: "optimizer",
        about: "the plan alone",
        kind: Kind::Planned { strategy: "Optimizer", parts: Parts::WHOLE },
    },
    Named {
        name: "hpa-kv",
        about: "HPA, KV cache use at 80 %",
        kind: ours("HPA", "kv_cache_usage_perc", Target::Is(0.8), PROMETHEUS),
    },
    Named {
        name: "hpa-waiting",
        about: "HPA, five waiting requests a replica",
        kind: ours("HPA", "num_requests_waiting", Target::Is(5.0), PROMETHEUS),
    },
    Named {
        name: "kpa",
        about: "KPA, 70 % of the requests that a replica carries within the SLO",
        kind: ours("KPA", "request_count", Target::OfBatch(0.7), TICK),
    },
    Named {
        name: "apa",
        about: "APA, KV cache use at 50 %, as in AIBrix's samples",
        kind: ours("APA", "kv_cache_usage_perc", Target::Is(0.5), TICK),
    },
    Named { name: "llmd-slo", about: "llm-d's SLO-aware recipe for KEDA", kind: Kind::SloAware },
    Named { name: "llmd-token", about: "llm-d's token-aware recipe for KEDA", kind: Kind::TokenAware },
    Named { name: "wva", about: "the saturation rule of llm-d's workload-variant-autoscaler", kind: Kind::Saturation },
    Named {
        name: "dynamo",
        about: "a predictive floor with a reactive loop, as in Dynamo's planner",
        kind: Kind::Planner,
    },
];

/// All names that are found: the policies', and those of `hybrid` without one part.
#[must_use]
pub fn names() -> Vec<&'static str> {
    POLICIES.iter().chain(&ABLATIONS).map(|policy| policy.name).collect()
}

/// Names of those that have a manifest, but for `hybrid` without one part.
#[must_use]
pub fn with_manifest() -> Vec<&'static str> {
    let ours = |policy: &&Named| matches!(policy.kind, Kind::Ours { .. } | Kind::Planned { .. });
    POLICIES.iter().filter(ours).map(|policy| policy.name).collect()
}

impl Named {
    /// The policy called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        POLICIES.into_iter().chain(ABLATIONS).find(|policy| policy.name == name)
    }

    /// Its manifest, where it is ours, with the target that it has for what a replica carries; and the seconds between its decisions.
    #[must_use]
    pub fn manifest(self, terms: &Terms, knob: f64) -> Option<(Value, f64)> {
        match self.kind {
            Kind::Ours { strategy, metric, target, interval } => {
                let target = match target {
                    Target::Is(target) => target,
                    Target::OfBatch(share) => share * terms.capacity.at.batch,
                };
                Some((manifest(strategy, metric, target * knob, terms.bounds), interval))
            }
            Kind::Planned { strategy, .. } => {
                let mut manifest = manifest(strategy, "kv_cache_usage_perc", KV_GUARD, terms.bounds);
                manifest["spec"]["slo"] = json!({"objectives": [
                    {"metric": "ttft", "seconds": terms.slo.ttft}, {"metric": "tpot", "seconds": terms.slo.tpot}]});
                Some((manifest, TICK))
            }
            Kind::SloAware | Kind::TokenAware | Kind::Saturation | Kind::Planner => None,
        }
    }

    /// Sets it up.
    pub fn build(self, terms: &Terms, knob: f64) -> Result<Box<dyn Policy>, ProductError> {
        let bounds = terms.bounds;
        Ok(match self.kind {
            Kind::Ours { .. } | Kind::Planned { .. } => {
                let (manifest, interval) = self.manifest(terms, knob).unwrap_or_default();
                let object =
                    serde_json::from_value(manifest).map_err(|error| ProductError::Manifest(error.to_string()))?;
                Box::new(with_plan(&object, &terms.engine, terms.slo, interval, |settings| {
                    if let Kind::Planned { parts, .. } = self.kind {
                        // A plan's knob is how much of what the SLO leaves free is used.
                        (settings.parts, settings.boldness) = (parts, knob);
                    }
                })?)
            }
            Kind::SloAware => Box::new(SloAware::new(bounds, terms.slo, knob)),
            Kind::TokenAware => Box::new(TokenAware::new(bounds, 1.0 / terms.capacity.per_input, knob)),
            Kind::Saturation => Box::new(Saturation::new(knob)),
            Kind::Planner => Box::new(Planner::new(terms.engine.clone(), terms.slo, knob)),
        })
    }
}

/// The KV cache's head-room above a plan: vLLM preempts where it runs full.
const KV_GUARD: f64 = 0.9;

fn manifest(strategy: &str, metric: &str, target: f64, bounds: Bounds) -> Value {
    json!({
        "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": {"name": "simulated"},
        "spec": {"scalingStrategy": strategy, "minReplicas": bounds.min, "maxReplicas": bounds.max,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "simulated"},
            "metricsSources": [{"metricSourceType": "pod", "protocolType": "http", "port": "8000", "path": "/metrics",
                "targetMetric": metric, "targetValue": format!("{target:.3}")}]},
    })
}
