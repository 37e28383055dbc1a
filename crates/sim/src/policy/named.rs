//! The policies that `compare` knows by name, each with one knob: above 1 it runs fuller and cheaper, below 1 safer.

use super::dynamo::Planner;
use super::llmd::{SloAware, TokenAware};
use super::product::{Product, ProductError};
use super::wva::Saturation;
use crate::world::Policy;
use autoscaler_api::PodAutoscaler;
use autoscaler_core::spec::Bounds;
use engine_model::{Capacity, EngineSpec};
use serde_json::json;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    HpaKv,
    HpaWaiting,
    Kpa,
    Apa,
    SloAware,
    TokenAware,
    Saturation,
    Planner,
}

/// All of them.
pub const POLICIES: [Named; 8] = [
    Named { name: "hpa-kv", about: "HPA, KV cache use at 80 %", kind: Kind::HpaKv },
    Named { name: "hpa-waiting", about: "HPA, five waiting requests a replica", kind: Kind::HpaWaiting },
    Named { name: "kpa", about: "KPA, 70 % of the requests that a replica carries within the SLO", kind: Kind::Kpa },
    Named { name: "apa", about: "APA, KV cache use at 50 %, as in AIBrix's samples", kind: Kind::Apa },
    Named { name: "llmd-slo", about: "llm-d's SLO-aware recipe for KEDA", kind: Kind::SloAware },
    Named { name: "llmd-token", about: "llm-d's token-aware recipe for KEDA", kind: Kind::TokenAware },
    Named { name: "wva", about: "the saturation rule of llm-d's workload-variant-autoscaler", kind: Kind::Saturation },
    Named {
        name: "dynamo",
        about: "a predictive floor with a reactive loop, as in Dynamo's planner",
        kind: Kind::Planner,
    },
];

/// Their names.
pub const NAMES: [&str; POLICIES.len()] = {
    let mut names = [""; POLICIES.len()];
    let mut at = 0;
    while at < POLICIES.len() {
        names[at] = POLICIES[at].name;
        at += 1;
    }
    names
};

/// HPA's sync period, and Prometheus' scrape interval: an HPA reads engines by an adapter.
const SYNC: f64 = 15.0;
/// The controller's tick.
const TICK: f64 = 5.0;

impl Named {
    /// The policy called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        POLICIES.into_iter().find(|policy| policy.name == name)
    }

    /// Sets it up.
    pub fn build(self, terms: &Terms, knob: f64) -> Result<Box<dyn Policy>, ProductError> {
        let bounds = terms.bounds;
        let product = |strategy: &str, metric: &str, target: f64| {
            let object = manifest(strategy, metric, target * knob, bounds)?;
            Product::new(&object, if strategy == "HPA" { SYNC } else { TICK })
        };
        Ok(match self.kind {
            Kind::HpaKv => Box::new(product("HPA", "kv_cache_usage_perc", 0.8)?.by_prometheus(SYNC)),
            Kind::HpaWaiting => Box::new(product("HPA", "num_requests_waiting", 5.0)?.by_prometheus(SYNC)),
            // Knative's default utilization of what a container is said to carry.
            Kind::Kpa => Box::new(product("KPA", "request_count", 0.7 * terms.capacity.at.batch)?),
            Kind::Apa => Box::new(product("APA", "kv_cache_usage_perc", 0.5)?),
            Kind::SloAware => Box::new(SloAware::new(bounds, terms.slo, knob)),
            Kind::TokenAware => Box::new(TokenAware::new(bounds, 1.0 / terms.capacity.per_input, knob)),
            Kind::Saturation => Box::new(Saturation::new(knob)),
            Kind::Planner => Box::new(Planner::new(terms.engine.clone(), terms.slo, knob)),
        })
    }
}

fn manifest(strategy: &str, metric: &str, target: f64, bounds: Bounds) -> Result<PodAutoscaler, ProductError> {
    let object = json!({
        "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": {"name": "simulated"},
        "spec": {"scalingStrategy": strategy, "minReplicas": bounds.min, "maxReplicas": bounds.max,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "simulated"},
            "metricsSources": [{"metricSourceType": "pod", "protocolType": "http", "port": "8000", "path": "/metrics",
                "targetMetric": metric, "targetValue": format!("{target:.3}")}]},
    });
    serde_json::from_value(object).map_err(|error| ProductError::Manifest(error.to_string()))
}
