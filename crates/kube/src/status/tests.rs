//! What `kubectl get -o yaml` shows of an object over its life: one golden file. `UPDATE_GOLDEN=1` writes it anew.

use super::*;
use autoscaler_core::Timestamp;
use serde_json::json;
use std::fmt::Write as _;

fn at(seconds: i64) -> Time {
    Time(jiff::Timestamp::from_second(1_767_571_200 + seconds).unwrap())
}

fn decision(replicas: u32, desired: u32, recommendation: Option<u32>, reason: &str) -> TargetDecision {
    let step = |stage, rule, before, after, detail: &str| autoscaler_core::Step {
        stage,
        rule,
        before,
        after,
        detail: detail.to_owned(),
    };
    let mut trail = Vec::new();
    match recommendation {
        Some(count) => trail.push(step(Stage::Recommendation, Rule::AboveTarget, None, Some(count), reason)),
        None => trail.push(step(Stage::Recommendation, Rule::MetricAbsent, None, None, reason)),
    }
    if let Some(count) = recommendation.filter(|count| *count != desired) {
        let detail = "maxReplicas is 4";
        trail.push(step(Stage::Bounds, Rule::TooManyReplicas, Some(count), Some(desired), detail));
    }
    TargetDecision {
        at: Timestamp::from_secs(0.0),
        replicas,
        desired,
        recommendation,
        panic: false,
        reason: reason.to_owned(),
        trail,
        kpa: None,
        next_edge: None,
    }
}

#[test]
fn the_status_tells_an_objects_life() {
    let known = Facts {
        generation: Some(1),
        metrics: vec![CurrentMetric {
            name: "num_requests_running".into(),
            value: Some("25".into()),
            target: "4".into(),
            error: None,
        }],
        bounds: Some(ScheduledBounds { active_schedule: None, effective_min_replicas: 1, effective_max_replicas: 4 }),
        ..Facts::default()
    };
    let chapters = [
        (
            "its target is scaled, as far as a bound lets it",
            Facts {
                replicas: Some(1),
                decision: Some(decision(1, 4, Some(7), "num_requests_running above target")),
                wrote: Wrote::Scaled(1, 4),
                ..known.clone()
            },
        ),
        (
            "the write fails",
            Facts {
                replicas: Some(4),
                decision: Some(decision(4, 3, Some(3), "num_requests_running below target")),
                wrote: Wrote::Failed(4, 3, "the API server is away".into()),
                ..known.clone()
            },
        ),
        (
            "no metric can be read",
            Facts {
                replicas: Some(4),
                decision: Some(decision(4, 4, None, "num_requests_running: connection refused")),
                metrics: vec![CurrentMetric {
                    name: "num_requests_running".into(),
                    value: None,
                    target: "4".into(),
                    error: Some("connection refused".into()),
                }],
                ..known.clone()
            },
        ),
        (
            "somebody else has the target",
            Facts {
                generation: Some(1),
                conflict: Some("PodAutoscaler older is older and scales the same target".into()),
                ..Facts::default()
            },
        ),
        (
            "the manifest is changed for the worse",
            Facts {
                generation: Some(2),
                invalid: Some("spec.minReplicas: is above maxReplicas".into()),
                ..Facts::default()
            },
        ),
        (
            "a native HPA takes over",
            Facts {
                generation: Some(3),
                replicas: Some(4),
                hpa_desired: Some(4),
                mirrored: vec![("HPAScalingActive".into(), "True".into(), "ValidMetricFound".into(), String::new())],
                ..Facts::default()
            },
        ),
    ];
    let mut status = PodAutoscalerStatus::default();
    let mut told = String::new();
    for (chapter, (title, facts)) in (0..).zip(chapters) {
        status = next(&status, &facts, &at(60 * chapter));
        let yaml = serde_saphyr::to_string(&json!(status)).unwrap();
        let _ = writeln!(told, "# {title}\n{yaml}---");
    }
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/status/golden.yaml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(golden).unwrap());
}

#[test]
fn a_status_in_which_only_values_differ_is_no_news() {
    let facts = |value: &str| Facts {
        generation: Some(1),
        replicas: Some(2),
        decision: Some(decision(2, 2, Some(2), &format!("num_requests_running at {value}"))),
        metrics: vec![CurrentMetric {
            name: "num_requests_running".into(),
            value: Some(value.into()),
            target: "4".into(),
            error: None,
        }],
        ..Facts::default()
    };
    let first = next(&PodAutoscalerStatus::default(), &facts("4"), &at(0));
    assert!(!differs(&first, &next(&first, &facts("4.1"), &at(5))));
    let fewer = Facts { replicas: Some(1), ..facts("4") };
    assert!(differs(&first, &next(&first, &fewer, &at(5))));
}
