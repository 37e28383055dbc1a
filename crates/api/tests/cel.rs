//! The CRD's rules, evaluated as an API server would: what they refuse, and that they refuse nothing that is good.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

mod common;

use autoscaler_api::crd::{RULES, crd};
use common::{manifest, with_only, with_source, with_spec};
use kube_cel::{Validator, compile_schema};
use serde_json::{Value, json};

fn schema() -> Value {
    let crd = serde_json::to_value(crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Messages of the rules that a manifest breaks.
fn broken(manifest: &Value) -> Vec<String> {
    match Validator::new().validate(&schema(), manifest, None) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.as_slice().iter().map(|error| error.message.clone()).collect(),
    }
}

#[track_caller]
fn refused(manifest: &Value, message: &str) {
    let broken = broken(manifest);
    assert!(broken.iter().any(|said| said.contains(message)), "wanted {message}, found {broken:?}");
    assert!(RULES.iter().any(|rule| rule.message.contains(message)), "{message} is a rule's");
    assert!(!common::errors(manifest).is_empty(), "what the rules refuse, `check` refuses");
}

fn with_schedules(schedules: Value) -> Value {
    with_spec("APA", json!({"schedules": schedules}))
}

fn schedule() -> Value {
    json!({"name": "a", "startTime": "08:00", "endTime": "18:00", "minReplicas": 2})
}

fn schedule_with(field: &str, value: Value) -> Value {
    let mut schedule = schedule();
    schedule[field] = value;
    with_schedules(json!([schedule]))
}

#[test]
fn every_rule_compiles() {
    let compiled = compile_schema(&schema());
    assert!(!compiled.has_errors(), "{:?}", compiled.compilation_errors());
}

#[test]
fn good_manifests_break_no_rule() {
    for strategy in ["HPA", "KPA", "APA", "Optimizer", "Hybrid"] {
        assert_eq!(broken(&manifest(strategy)), Vec::<String>::new());
    }
    for file in common::samples() {
        for document in autoscaler_api::read(&file.0, &file.1).autoscalers {
            let value = serde_json::to_value(document).unwrap();
            assert_eq!(broken(&value), Vec::<String>::new(), "{}", file.0);
        }
    }
    for text in ["50", "0.5", ".5", "5.", "1e3", "+1", "0x1p-2", "1_000", "0.001", "0x.8p1", "10", "1e0"] {
        assert_eq!(broken(&with_source("KPA", json!({"targetValue": text}))), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn bounds_and_target() {
    refused(&with_spec("KPA", json!({"minReplicas": -1})), "minReplicas must not be negative");
    refused(&with_spec("KPA", json!({"maxReplicas": 0, "minReplicas": 0})), "maxReplicas must be above 0");
    refused(&with_spec("KPA", json!({"minReplicas": 11})), "minReplicas must not be above maxReplicas");
    refused(
        &with_spec("KPA", json!({"scaleTargetRef": {"kind": "Deployment"}})),
        "scaleTargetRef needs a kind and a name",
    );
    refused(&with_spec("KPA", json!({"scaleTargetRef": {"kind": "", "name": "x"}})), "scaleTargetRef needs");
    refused(
        &with_spec("HPA", json!({"subTargetSelector": {"roleName": "decode"}})),
        "roleName is not possible with HPA",
    );
    assert_eq!(broken(&with_spec("KPA", json!({"subTargetSelector": {"roleName": "decode"}}))), Vec::<String>::new());
    refused(&with_spec("KPA", json!({"metricsSources": null})), "metricsSources needs at least one entry");
}

#[test]
fn the_panic_window_with_defaults_put_in() {
    refused(&with_spec("KPA", json!({"observeWindowSeconds": 30})), "must not be above observeWindowSeconds");
    refused(&with_spec("KPA", json!({"panicWindowSeconds": 181})), "must not be above observeWindowSeconds");
    assert_eq!(broken(&with_spec("KPA", json!({"observeWindowSeconds": 60}))), Vec::<String>::new());
}

#[test]
fn schedules() {
    refused(&schedule_with("minReplicas", json!(11)), "a schedule's minReplicas must not be above its maxReplicas");
    refused(&with_schedules(json!([schedule(), schedule()])), "schedule names must be unique");
    let other =
        json!({"name": "b", "timezone": "Asia/Tokyo", "startTime": "19:00", "endTime": "20:00", "minReplicas": 2});
    refused(&with_schedules(json!([schedule(), other])), "all schedules must name the same timezone");
    refused(&schedule_with("startTime", json!("8:00")), "startTime must be HH:MM");
    refused(&schedule_with("endTime", json!("24:00")), "endTime must be HH:MM");
    refused(&schedule_with("startTime", json!("18:00")), "startTime must be before endTime");
    refused(&schedule_with("daysOfWeek", json!(["Monday"])), "three-letter English weekdays");
    assert_eq!(broken(&schedule_with("daysOfWeek", json!(["Mon", "SUN"]))), Vec::<String>::new());
    refused(&schedule_with("minReplicas", json!(-1)), "minReplicas must not be negative");
    refused(&schedule_with("maxReplicas", json!(0)), "maxReplicas must be above 0");
    let boundless = json!([{"name": "a", "startTime": "08:00", "endTime": "18:00"}]);
    refused(&with_schedules(boundless), "a schedule needs minReplicas or maxReplicas");
}

#[test]
fn sources() {
    let mut named = common::pod_source();
    named["name"] = json!("n");
    refused(
        &with_spec("KPA", json!({"metricsSources": [named.clone(), named]})),
        "names of metric sources must be unique",
    );
    refused(&with_source("KPA", json!({"targetMetric": ""})), "targetMetric must not be empty");
    for text in ["", "abc", "100m", "NaN", "inf", "-1", "0x1", "."] {
        refused(&with_source("KPA", json!({"targetValue": text})), "targetValue must be a number");
    }
    for text in ["0", "0.0", "+0", ".0", "0e5", "0x0p1"] {
        refused(&with_source("KPA", json!({"targetValue": text})), "targetValue must be above 0");
    }
    refused(&with_source("KPA", json!({"port": null})), "a pod source needs protocolType, port and path");
    let source = |kind: &str| json!({"metricSourceType": kind, "targetMetric": "q", "targetValue": "3"});
    refused(&with_only("KPA", source("resource")), "must be cpu or memory");
    let mut cpu = source("resource");
    cpu["targetMetric"] = json!("cpu");
    cpu["port"] = json!("1");
    refused(&with_only("KPA", cpu), "a resource source takes no protocolType");
    for kind in ["external", "domain"] {
        let mut external = source(kind);
        external["endpoint"] = json!("e:1");
        refused(&with_only("KPA", external), "an external source with an endpoint needs");
    }
    refused(&with_only("KPA", source("object")), "an object source needs describedObject");
    refused(&with_only("KPA", source("prometheus")), "a prometheus source needs query and endpoint");
    refused(&with_source("KPA", json!({"targetType": "Value"})), "targetType Utilization is for resource sources");
    let mut custom = source("custom");
    custom["statistic"] = json!("rate");
    refused(&with_only("KPA", custom), "statistic is for metrics that are read from an endpoint");
}

#[test]
fn additions() {
    let profile = json!([{"gpuType": "L4"}]);
    refused(&with_spec("Optimizer", json!({"profiles": profile})), "a profile needs either configMapRef or file");
}

#[test]
fn every_text_list_and_map_that_a_rule_walks_has_a_limit() {
    // Without limits an API server assumes the worst, and refuses the definition for what its rules could cost.
    let schema = schema();
    let spec = &schema["properties"]["spec"]["properties"];
    let (schedule, source) =
        (&spec["schedules"]["items"]["properties"], &spec["metricsSources"]["items"]["properties"]);
    for list in [&spec["schedules"], &spec["metricsSources"], &schedule["daysOfWeek"], &spec["profiles"]] {
        assert!(list["maxItems"].as_i64().is_some_and(|most| most <= 128), "{list}");
    }
    for text in ["name", "timezone", "startTime", "endTime"] {
        assert!(schedule[text]["maxLength"].is_i64(), "{text}");
    }
    assert!(schedule["daysOfWeek"]["items"]["maxLength"].is_i64());
    for text in ["name", "targetMetric", "targetValue", "port", "path", "endpoint", "query"] {
        assert!(source[text]["maxLength"].is_i64(), "{text}");
    }
}
