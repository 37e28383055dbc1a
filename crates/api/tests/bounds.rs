//! The target, the bounds, the windows, and what holds where a manifest says nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

mod common;

use autoscaler_api::Severity;
use autoscaler_api::resolved::RulesFrom;
use autoscaler_api::v1alpha1::{Mode, ScalingStrategy};
use common::{accepted, check, errors, manifest, only_error, resolved, said, with_only, with_spec};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn what_a_manifest_leaves_out_is_aibrixs_default() {
    let bare = with_spec("KPA", json!({"minReplicas": null}));
    let resolved = resolved(&bare);
    assert_eq!(resolved.strategy, ScalingStrategy::Kpa);
    assert_eq!((resolved.bounds.min, resolved.bounds.max), (1, 10));
    assert_eq!((resolved.observe_window.as_secs(), resolved.panic_window.as_secs()), (180, 60));
    assert_eq!(resolved.rules_up.stabilization, Some(Duration::ZERO), "cooldown 0 on the way up");
    assert_eq!(resolved.rules_down.stabilization, Some(Duration::from_secs(300)), "and 300 s on the way down");
    assert_eq!((resolved.max_scale_up_rate, resolved.max_scale_down_rate), (None, None), "the runtime puts in 2");
    assert_eq!((resolved.tolerance_up, resolved.tolerance_down), (None, None), "the runtime puts in 0.1");
    assert_eq!(resolved.panic_threshold, None, "the runtime puts in 2");
    assert_eq!((resolved.timezone.as_str(), resolved.schedules.len()), ("UTC", 0));
    assert_eq!((resolved.mode, resolved.fallback, resolved.activation), (Mode::Apply, None, None));
    assert!(resolved.findings.is_empty());
}

#[test]
fn a_target_needs_kind_and_name() {
    for (field, value) in [("kind", Value::Null), ("kind", json!("")), ("name", Value::Null), ("name", json!(""))] {
        let mut bad = manifest("KPA");
        match value {
            Value::Null => drop(bad["spec"]["scaleTargetRef"].as_object_mut().unwrap().remove(field)),
            value => bad["spec"]["scaleTargetRef"][field] = value,
        }
        assert_eq!(only_error(&bad), format!("spec.scaleTargetRef.{field}: is required and must not be empty"));
    }
}

#[test]
fn a_target_without_group_or_in_another_namespace_is_a_warning() {
    let mut object = manifest("KPA");
    object["spec"]["scaleTargetRef"] = json!({"kind": "Deployment", "name": "chat", "namespace": "elsewhere"});
    accepted(&object);
    let found: Vec<_> = check(&object).into_iter().map(|found| (found.severity, found.path)).collect();
    let wanted = ["spec.scaleTargetRef.apiVersion", "spec.scaleTargetRef.namespace"];
    assert_eq!(found, wanted.map(|path| (Severity::Warning, path.to_owned())));
    assert!(said(&object, wanted[0])[0].contains("core group"));
    assert!(said(&object, wanted[1])[0].contains("is ignored"));
}

#[test]
fn a_role_is_not_possible_under_hpa() {
    let role = |strategy: &str, role: &str| {
        with_spec(
            strategy,
            json!({
                "scaleTargetRef": {"apiVersion": "orchestration.aibrix.ai/v1alpha1", "kind": "StormService", "name": "pd"},
                "subTargetSelector": {"roleName": role}
            }),
        )
    };
    assert_eq!(
        only_error(&role("HPA", "decode")),
        "spec.subTargetSelector.roleName: is not possible with scalingStrategy HPA (allowed: KPA, APA, Optimizer, Hybrid)"
    );
    accepted(&role("HPA", ""));
    for strategy in ["KPA", "APA", "Optimizer", "Hybrid"] {
        assert_eq!(resolved(&role(strategy, "decode")).target.role.as_deref(), Some("decode"));
    }
    let elsewhere = with_spec("KPA", json!({"subTargetSelector": {"roleName": "decode"}}));
    assert!(said(&elsewhere, "spec.subTargetSelector.roleName")[0].contains("only a StormService has roles"));
}

#[test]
fn a_minimum_above_the_maximum_is_named_at_both() {
    let found = errors(&with_spec("KPA", json!({"minReplicas": 11})));
    let message = "minReplicas 11 is above maxReplicas 10".to_owned();
    assert_eq!(found, [("spec.minReplicas".to_owned(), message.clone()), ("spec.maxReplicas".to_owned(), message)]);
}

#[test]
fn bounds_have_the_range_of_a_count() {
    assert_eq!(
        only_error(&with_spec("KPA", json!({"minReplicas": -1}))),
        "spec.minReplicas: must not be negative, is -1 (allowed: 0 or more)"
    );
    assert_eq!(
        only_error(&with_spec("KPA", json!({"maxReplicas": 0, "minReplicas": 0}))),
        "spec.maxReplicas: must be above 0, is 0 (allowed: 1 or more)"
    );
    assert_eq!(
        only_error(&with_spec("KPA", json!({"minReplicas": 2_147_483_648_u64}))),
        "spec.minReplicas: 2147483648 is out of range (allowed: 0 to 2147483647)"
    );
}

/// A manifest of this strategy with a minimum of 0 and one source.
fn from_zero(strategy: &str, source: Value) -> Value {
    let mut object = with_only(strategy, source);
    object["spec"]["minReplicas"] = json!(0);
    object
}

#[test]
fn zero_under_hpa_is_one_unless_a_source_has_a_value_without_pods() {
    let source = |kind: &str| json!({"metricSourceType": kind, "targetMetric": "cpu", "targetValue": "3"});
    for local in [common::pod_source(), source("resource"), source("custom")] {
        let object = from_zero("HPA", local.clone());
        assert_eq!(resolved(&object).bounds.min, 1, "{local}");
        assert_eq!(
            said(&object, "spec.minReplicas"),
            ["0 is read as 1: under HPA only an external or object metric can bring replicas back from zero"]
        );
        let reactive = from_zero("APA", local);
        assert_eq!(resolved(&reactive).bounds.min, 0, "the gateway or another source wakes it");
        assert!(said(&reactive, "spec.minReplicas").is_empty());
    }
    let mut fleet_wide = source("custom");
    fleet_wide["targetType"] = json!("Value");
    let mut object_source = source("object");
    object_source["describedObject"] = json!({"kind": "Service", "name": "s"});
    let mut prometheus = source("prometheus");
    prometheus["endpoint"] = json!("p:9090");
    prometheus["query"] = json!("x");
    for elsewhere in [source("external"), source("domain"), object_source, prometheus, fleet_wide] {
        let object = from_zero("HPA", elsewhere);
        assert_eq!(resolved(&object).bounds.min, 0);
        assert!(said(&object, "spec.minReplicas").is_empty());
    }
}

#[test]
fn windows_are_one_second_to_an_hour() {
    for field in ["observeWindowSeconds", "panicWindowSeconds"] {
        for seconds in [0, -1, 3601] {
            let found = only_error(&with_spec("KPA", json!({field: seconds})));
            assert_eq!(found, format!("spec.{field}: {seconds} is out of range (allowed: 1 to 3600)"));
        }
    }
    let resolved = resolved(&with_spec("KPA", json!({"observeWindowSeconds": 3600, "panicWindowSeconds": 1})));
    assert_eq!((resolved.observe_window.as_secs(), resolved.panic_window.as_secs()), (3600, 1));
}

#[test]
fn the_panic_window_is_not_longer_than_the_observe_window_with_defaults_put_in() {
    assert_eq!(
        only_error(&with_spec("KPA", json!({"observeWindowSeconds": 30}))),
        "spec.observeWindowSeconds: 30 s is shorter than the panic window, which is 60 s by default \
         (allowed: 60 or more, or a panicWindowSeconds of 1 to 30)",
        "at the field that the manifest has"
    );
    assert_eq!(
        only_error(&with_spec("KPA", json!({"panicWindowSeconds": 181}))),
        "spec.panicWindowSeconds: the panic window is 181 s, longer than the observe window of 180 s (allowed: 1 to 180)"
    );
    accepted(&with_spec("KPA", json!({"observeWindowSeconds": 60})));
}

#[test]
fn windows_have_no_effect_under_hpa_and_optimizer_and_that_is_said() {
    for strategy in ["HPA", "Optimizer"] {
        let object = with_spec(strategy, json!({"observeWindowSeconds": 120, "panicWindowSeconds": 20}));
        for field in ["observeWindowSeconds", "panicWindowSeconds"] {
            let wanted = format!("has no effect with scalingStrategy {strategy}");
            assert_eq!(said(&object, &format!("spec.{field}")), [wanted]);
        }
    }
    let object = with_spec("APA", json!({"observeWindowSeconds": 30, "panicWindowSeconds": 30}));
    assert!(check(&object).is_empty(), "a short observe window needs the other under APA too");
}

#[test]
fn hpa_without_behavior_or_annotations_has_kubernetes_rules() {
    for behavior in [Value::Null, json!({})] {
        let resolved = resolved(&with_spec("HPA", json!({"behavior": behavior})));
        assert_eq!(resolved.rules_from, RulesFrom::Kubernetes);
        assert_eq!(resolved.rules_down.stabilization, None, "a flag of the controller");
    }
}
