//! The CRD: its committed copy is current, and it is what AIBrix's is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

use autoscaler_api::crd::{RULES, crd, crd_yaml};
use serde_json::{Value, json};
use std::path::PathBuf;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/autoscaling.aibrix.ai_podautoscalers.yaml")
}

fn schema() -> Value {
    let crd = serde_json::to_value(crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// `UPDATE_GOLDEN=1 cargo test -p autoscaler-api --test crd` writes it anew.
#[test]
fn the_committed_definition_is_current() {
    let yaml = crd_yaml();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden(), &yaml).unwrap();
    }
    let committed = std::fs::read_to_string(golden()).unwrap_or_default();
    assert!(yaml == committed, "run `aibrix-autoscaler crd` and commit its output");
}

#[test]
fn two_runs_print_the_same_bytes() {
    assert_eq!(crd_yaml(), crd_yaml());
}

#[test]
fn names_scope_and_subresources_are_aibrixs() {
    let crd = serde_json::to_value(crd()).unwrap();
    assert_eq!(crd["metadata"]["name"], "podautoscalers.autoscaling.aibrix.ai");
    assert_eq!(crd["spec"]["group"], "autoscaling.aibrix.ai");
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    assert_eq!(crd["spec"]["names"]["kind"], "PodAutoscaler");
    assert_eq!(crd["spec"]["names"]["plural"], "podautoscalers");
    assert_eq!(crd["spec"]["names"]["singular"], "podautoscaler");
    assert_eq!(crd["spec"]["names"]["shortNames"], json!(["pa"]));
    let version = &crd["spec"]["versions"][0];
    assert_eq!(version["name"], "v1alpha1");
    assert_eq!((&version["served"], &version["storage"]), (&json!(true), &json!(true)));
    assert_eq!(version["subresources"], json!({"status": {}}));
}

#[test]
fn printer_columns_begin_with_aibrixs_in_its_order() {
    let crd = serde_json::to_value(crd()).unwrap();
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap().clone();
    let found: Vec<_> = columns
        .iter()
        .map(|c| (c["name"].as_str().unwrap(), c["type"].as_str().unwrap(), c["jsonPath"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found[..5],
        [
            ("MINPODS", "integer", ".spec.minReplicas"),
            ("MAXPODS", "integer", ".spec.maxReplicas"),
            ("REPLICAS", "integer", ".status.actualScale"),
            ("STRATEGY", "string", ".spec.scalingStrategy"),
            ("AGE", "date", ".metadata.creationTimestamp"),
        ]
    );
    assert_eq!(found[5], ("TARGETS", "string", ".status.targets"), "as `kubectl get hpa` has them");
    assert!(columns[6..].iter().all(|column| column["priority"] == 1), "others of ours show only with -o wide");
}

#[test]
fn every_aibrix_field_has_its_type_and_limits() {
    let schema = schema();
    let spec = &schema["properties"]["spec"]["properties"];
    let status = &schema["properties"]["status"]["properties"];
    let is = |field: &Value, wanted: Value| {
        for (key, value) in wanted.as_object().unwrap() {
            assert_eq!(&field[key], value, "{key} of {field}");
        }
    };
    for part in ["apiVersion", "kind", "name", "namespace", "fieldPath", "resourceVersion", "uid"] {
        is(&spec["scaleTargetRef"]["properties"][part], json!({"type": "string"}));
    }
    is(&spec["scaleTargetRef"], json!({"type": "object", "x-kubernetes-map-type": "atomic"}));
    is(&spec["subTargetSelector"]["properties"]["roleName"], json!({"type": "string"}));
    is(&spec["minReplicas"], json!({"type": "integer", "format": "int32"}));
    is(&spec["maxReplicas"], json!({"type": "integer", "format": "int32"}));
    for window in ["observeWindowSeconds", "panicWindowSeconds"] {
        is(&spec[window], json!({"type": "integer", "format": "int64", "minimum": 1.0, "maximum": 3600.0}));
    }
    is(&spec["scalingStrategy"], json!({"enum": ["HPA", "KPA", "APA", "Optimizer", "Hybrid"]}));
    is(&spec["schedules"], json!({"type": "array", "minItems": 1}));
    is(&spec["metricsSources"], json!({"type": "array", "minItems": 1}));
    let schedule = &spec["schedules"]["items"];
    is(schedule, json!({"required": ["endTime", "name", "startTime"]}));
    is(&schedule["properties"]["name"], json!({"minLength": 1, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}));
    is(&schedule["properties"]["daysOfWeek"], json!({"type": "array", "minItems": 1}));
    let source = &spec["metricsSources"]["items"];
    is(source, json!({"required": ["metricSourceType", "targetMetric", "targetValue"]}));
    is(
        &source["properties"]["metricSourceType"],
        json!({"enum": ["pod", "resource", "custom", "external", "domain", "object", "prometheus"]}),
    );
    is(&source["properties"]["protocolType"], json!({"enum": ["http", "https"]}));
    for text in ["endpoint", "path", "port", "targetMetric", "targetValue"] {
        is(&source["properties"][text], json!({"type": "string"}));
    }
    is(&schema["properties"]["spec"], json!({"required": ["maxReplicas", "scaleTargetRef", "scalingStrategy"]}));
    is(&status["lastScaleTime"], json!({"type": "string", "format": "date-time"}));
    is(&status["desiredScale"], json!({"type": "integer", "format": "int32"}));
    is(&status["scalingHistory"], json!({"type": "array", "maxItems": 5}));
    is(&status["conditions"], json!({"type": "array"}));
    is(&status["scheduledBounds"], json!({"required": ["effectiveMaxReplicas", "effectiveMinReplicas"]}));
}

#[test]
fn nothing_has_a_default_or_takes_null() {
    let text = schema().to_string();
    assert!(!text.contains("\"nullable\"") && !text.contains("\"default\""));
}

#[test]
fn every_rule_is_in_the_definition_with_its_message() {
    let text = schema().to_string();
    for rule in RULES {
        assert!(text.contains(&serde_json::to_string(rule.rule).unwrap()), "{}", rule.rule);
        assert!(text.contains(&serde_json::to_string(rule.message).unwrap()), "{}", rule.message);
    }
}
