//! Autoscalers that decide together in the simulated world: prefill and decode, each with a load of its own.

#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use autoscaler_api::PodAutoscaler;
use engine_model::EngineSpec;
use serde_json::json;
use simulator::policy::Products;
use simulator::world::{Group, Setup, Timeline, run_fleet};
use workload::Arrival;
use workload::score::Slo;
use workload::synth;

fn object(name: &str, most: u32, together: bool) -> PodAutoscaler {
    let mut object = json!({
        "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": {"name": name},
        "spec": {"scalingStrategy": "KPA", "minReplicas": 1, "maxReplicas": most,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "metricsSources": [{"metricSourceType": "pod", "protocolType": "http", "port": "8000", "path": "/metrics",
                "targetMetric": "num_requests_running", "targetValue": "4"}]},
    });
    if together {
        object["spec"]["coordination"] = json!({"group": "chat", "role": name});
    }
    serde_json::from_value(object).unwrap()
}

/// The highest count of decode where prefill may have two replicas and both have the load of many.
fn decode(together: bool) -> u32 {
    let load = |seed| synth::parse("poisson:rate=6,input=400,output=100", Some(900.0), seed).unwrap().arrivals();
    let mut all: Vec<(Arrival, u16)> = load(1).map(|one| (one, 0)).chain(load(2).map(|one| (one, 1))).collect();
    all.sort_by(|a, b| a.0.at.total_cmp(&b.0.at));
    let (arrivals, models): (Vec<Arrival>, Vec<u16>) = all.into_iter().unzip();
    let engine = EngineSpec::builtin("l4-8b").unwrap();
    let mut setup = Setup::new(engine.clone(), Slo::default(), 30.0, 1, 900.0);
    setup.others = vec![Group { model: 1, ..Group::new(engine, 30.0) }];
    let objects = [object("prefill", 2, together), object("decode", 40, together)];
    let mut products = Products::new(&objects, 5.0, None, &[]).unwrap();
    let mut timelines = vec![Timeline::default(); 2];
    run_fleet(&setup, &arrivals, &models, &mut products, &mut timelines).unwrap();
    timelines[1].points.iter().map(|point| point.wanted).max().unwrap()
}

#[test]
fn decode_grows_as_far_as_it_matches_a_prefill_at_its_maximum() {
    let (alone, matched) = (decode(false), decode(true));
    assert!(matched * 2 < alone, "{matched} of {alone}");
}
