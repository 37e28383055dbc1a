//! A good manifest, and ways to spoil it.
#![allow(dead_code, unreachable_pub, clippy::needless_pass_by_value, reason = "each test file uses its part")]

use autoscaler_api::{Diagnostic, PodAutoscaler, ResolvedAutoscaler, Severity};
use serde_json::{Value, json};

/// A manifest without any finding, under the given strategy.
pub fn manifest(strategy: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.aibrix.ai/v1alpha1",
        "kind": "PodAutoscaler",
        "metadata": {"name": "chat"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
            "scalingStrategy": strategy,
            "minReplicas": 1,
            "maxReplicas": 10,
            "metricsSources": [pod_source()]
        }
    })
}

pub fn pod_source() -> Value {
    json!({
        "metricSourceType": "pod", "protocolType": "http", "port": "8000", "path": "/metrics",
        "targetMetric": "num_requests_running", "targetValue": "40"
    })
}

/// A manifest with these fields of the spec; null removes one.
pub fn with_spec(strategy: &str, fields: Value) -> Value {
    let mut manifest = manifest(strategy);
    merge(&mut manifest["spec"], fields);
    manifest
}

/// A manifest whose one source has these fields; null removes one.
pub fn with_source(strategy: &str, fields: Value) -> Value {
    let mut manifest = manifest(strategy);
    merge(&mut manifest["spec"]["metricsSources"][0], fields);
    manifest
}

/// A manifest whose one source is this.
pub fn with_only(strategy: &str, source: Value) -> Value {
    with_spec(strategy, json!({"metricsSources": [source]}))
}

pub fn with_annotations(strategy: &str, annotations: Value) -> Value {
    let mut manifest = manifest(strategy);
    manifest["metadata"]["annotations"] = annotations;
    manifest
}

fn merge(into: &mut Value, fields: Value) {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (key, value) in fields {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(&key);
        } else {
            into[key] = value;
        }
    }
}

/// Every finding of the text of one manifest.
pub fn check(manifest: &Value) -> Vec<Diagnostic> {
    let text = serde_json::to_string_pretty(manifest).unwrap();
    let found = autoscaler_api::read("m.json", &text).findings;
    found.into_iter().map(|finding| finding.diagnostic).collect()
}

pub fn errors(manifest: &Value) -> Vec<(String, String)> {
    let found = check(manifest).into_iter().filter(Diagnostic::is_error);
    found.map(|diagnostic| (diagnostic.path, diagnostic.message)).collect()
}

/// The one error there is, as `path: message (allowed: …)`.
pub fn only_error(manifest: &Value) -> String {
    let found: Vec<_> = check(manifest).into_iter().filter(Diagnostic::is_error).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].to_string()
}

pub fn accepted(manifest: &Value) {
    assert_eq!(errors(manifest), [], "{manifest:#}");
}

pub fn object(manifest: &Value) -> PodAutoscaler {
    serde_json::from_value(manifest.clone()).unwrap()
}

pub fn resolved(manifest: &Value) -> ResolvedAutoscaler {
    accepted(manifest);
    autoscaler_api::resolve(&object(manifest)).unwrap()
}

/// What is said about a field: warnings and notes.
pub fn said(manifest: &Value, path: &str) -> Vec<String> {
    let found = check(manifest).into_iter().filter(|found| found.severity != Severity::Error && found.path == path);
    found.map(|found| found.message).collect()
}

pub fn annotation_path(key: &str) -> String {
    format!("metadata.annotations[{key}]")
}

/// Every sample manifest of the repository, by name, with its text.
pub fn samples() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/samples");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    found
}
