//! `scalingStrategy: HPA`: the native HorizontalPodAutoscaler (`autoscaling/v2`) that says the same. Kubernetes scales by it; we keep
//! it as the manifest says, and pass on what it reports.

mod rivals;
mod watch;

use crate::said::said;
use crate::target::FIELD_MANAGER as MANAGER;
use autoscaler_api::PodAutoscaler;
use autoscaler_api::resolved::{ResolvedAutoscaler, ResolvedSource, Resource, Rules, RulesFrom, SourceKind};
use autoscaler_api::v1alpha1::{PolicyType, SelectPolicy, TargetType};
use autoscaler_core::spec::Bounds;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, Resource as _, ResourceExt};
pub(crate) use rivals::Rivals;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
pub(crate) use watch::{Stream, watch, watch_first};

/// A request takes no longer.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest window that the server takes (kubernetes `pkg/apis/autoscaling/validation`), in seconds.
const MAX_WINDOW: u64 = 3600;
/// Lets an HPA that somebody else made become ours.
const ADOPT: &str = "autoscaling.aibrix.ai/adopt-hpa";

/// What our HPA of an object is called.
pub(crate) fn name(object: &PodAutoscaler) -> String {
    format!("{}-hpa", object.name_any())
}

/// Whether an HPA that somebody else made is to become ours: it has our name, and the object asks for it.
pub(crate) fn adopts(object: &PodAutoscaler, hpa: &str) -> bool {
    hpa == name(object) && object.annotations().get(ADOPT).is_some_and(|value| value == "true")
}

/// The HPA that says what the manifest says; the error names what an HPA cannot say.
pub(crate) fn wanted(
    object: &PodAutoscaler,
    resolved: &ResolvedAutoscaler,
    bounds: Bounds,
) -> Result<HorizontalPodAutoscaler, String> {
    let metrics = resolved.sources.iter().enumerate().map(|(at, source)| {
        metric(source).ok_or_else(|| {
            format!(
                "spec.metricsSources[{at}]: a native HPA reads no pages and no Prometheus server; allowed under HPA: resource, \
                 custom, pod by way of an adapter for custom.metrics.k8s.io, external without an endpoint, object"
            )
        })
    });
    let metrics: Vec<Value> = metrics.collect::<Result<_, _>>()?;
    let target = &resolved.target;
    let owner = object.controller_owner_ref(&());
    let mut spec = json!({
        "scaleTargetRef": { "apiVersion": target.api_version, "kind": target.kind, "name": target.name },
        "minReplicas": bounds.min,
        "maxReplicas": bounds.max,
        "metrics": metrics,
    });
    // Kubernetes' own defaults are the server's to fill in.
    if resolved.rules_from != RulesFrom::Kubernetes
        || resolved.tolerance_up.is_some()
        || resolved.tolerance_down.is_some()
    {
        spec["behavior"] = json!({
            "scaleUp": rules(&resolved.rules_up, resolved.tolerance_up),
            "scaleDown": rules(&resolved.rules_down, resolved.tolerance_down),
        });
    }
    let hpa = json!({
        "metadata": { "name": name(object), "namespace": object.namespace(), "labels": object.labels(),
            "ownerReferences": owner.map(|owner| vec![owner]) },
        "spec": spec,
    });
    serde_json::from_value(hpa).map_err(|error| error.to_string())
}

fn metric(source: &ResolvedSource) -> Option<Value> {
    let value = quantity(source.target_milli());
    let target = match source.target_type {
        TargetType::Utilization => json!({ "type": "Utilization", "averageUtilization": percent(source.target) }),
        TargetType::AverageValue => json!({ "type": "AverageValue", "averageValue": value }),
        TargetType::Value => json!({ "type": "Value", "value": value }),
    };
    let named = || {
        let mut named = json!({ "name": source.metric });
        if !source.labels.is_empty() {
            named["selector"] = json!({ "matchLabels": source.labels });
        }
        named
    };
    Some(match &source.kind {
        SourceKind::Resource(resource) => {
            let name = if *resource == Resource::Cpu { "cpu" } else { "memory" };
            let target = match (source.target_type, resource) {
                // A cpu target that is no share is in millicores.
                (TargetType::AverageValue, Resource::Cpu) => {
                    json!({ "type": "AverageValue", "averageValue": quantity(source.target_milli() / 1000) })
                }
                _ => target,
            };
            json!({ "type": "Resource", "resource": { "name": name, "target": target } })
        }
        // A pod's own metric comes by the adapter, under its name.
        SourceKind::Pod(_) | SourceKind::Custom => {
            json!({ "type": "Pods", "pods": { "metric": named(), "target": target } })
        }
        SourceKind::External => json!({ "type": "External", "external": { "metric": named(), "target": target } }),
        SourceKind::Object(described) => json!({ "type": "Object", "object": {
            "metric": named(), "target": target,
            "describedObject": { "apiVersion": described.api_version, "kind": described.kind, "name": described.name } } }),
        SourceKind::Endpoint { .. } | SourceKind::Prometheus { .. } => return None,
    })
}

fn rules(rules: &Rules, tolerance: Option<f64>) -> Value {
    let mut said = json!({
        "selectPolicy": match rules.select {
            SelectPolicy::Max => "Max",
            SelectPolicy::Min => "Min",
            SelectPolicy::Disabled => "Disabled",
        },
    });
    if let Some(window) = rules.stabilization {
        said["stabilizationWindowSeconds"] = window.as_secs().min(MAX_WINDOW).into();
    }
    if !rules.policies.is_empty() {
        let policy = |policy: &autoscaler_api::resolved::RulePolicy| {
            let kind = if policy.kind == PolicyType::Pods { "Pods" } else { "Percent" };
            json!({ "type": kind, "value": policy.value, "periodSeconds": policy.period.as_secs() })
        };
        said["policies"] = rules.policies.iter().map(policy).collect();
    }
    // Servers before 1.33 drop it.
    if let Some(tolerance) = tolerance {
        said["tolerance"] = format!("{tolerance}").into();
    }
    said
}

/// Thousandths as Kubernetes writes a quantity.
fn quantity(milli: i64) -> String {
    if milli % 1000 == 0 { (milli / 1000).to_string() } else { format!("{milli}m") }
}

fn percent(target: f64) -> i32 {
    #[allow(clippy::cast_possible_truncation, reason = "saturates")]
    let percent = target.ceil().max(1.0) as i32;
    percent
}

/// Makes the server's HPA what is wanted, where it is not so already.
pub(crate) async fn apply(
    client: &Client,
    object: &PodAutoscaler,
    wanted: &HorizontalPodAutoscaler,
    live: Option<&HorizontalPodAutoscaler>,
) -> Result<(), String> {
    let name = wanted.name_any();
    if let Some(live) = live {
        let ours = live.owner_references().iter().any(|owner| Some(&owner.uid) == object.uid().as_ref());
        if !ours && !adopts(object, &name) {
            return Err(format!(
                "HorizontalPodAutoscaler {name} is somebody else's; the annotation {ADOPT}: \"true\" makes it ours"
            ));
        }
        if ours && says(live, wanted) {
            return Ok(());
        }
    }
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let params = PatchParams::apply(MANAGER).force();
    timeout(DEADLINE, api.patch(&name, &params, &Patch::Apply(wanted)))
        .await
        .map_err(|_| "the API server did not answer in time".to_owned())?
        .map(|_| ())
        .map_err(|error| said(&error))
}

/// Whether the server's says all that is wanted; what the server has filled in besides does not matter.
fn says(live: &HorizontalPodAutoscaler, wanted: &HorizontalPodAutoscaler) -> bool {
    let spec = |hpa: &HorizontalPodAutoscaler| serde_json::to_value(&hpa.spec).unwrap_or_default();
    contains(&spec(live), &spec(wanted))
        && wanted.labels().iter().all(|(key, value)| live.labels().get(key) == Some(value))
}

fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| live.get(key).is_some_and(|live| contains(live, value)))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| contains(live, wanted))
        }
        _ => live == wanted,
    }
}

/// Removes our HPA of an object, where there is one.
pub(crate) async fn remove(
    client: &Client,
    object: &PodAutoscaler,
    live: &HorizontalPodAutoscaler,
) -> Result<(), String> {
    if live.owner_references().iter().all(|owner| Some(&owner.uid) != object.uid().as_ref()) {
        return Ok(());
    }
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let exactly = Preconditions { uid: live.uid(), resource_version: None };
    let params = DeleteParams::default().preconditions(exactly);
    match timeout(DEADLINE, api.delete(&live.name_any(), &params)).await {
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(()),
        Ok(result) => result.map(|_| ()).map_err(|error| said(&error)),
        Err(_) => Err("the API server did not answer in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscaler_api::resolve;

    fn object(annotations: &Value, more: &Value) -> PodAutoscaler {
        let mut object = json!({
            "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler",
            "metadata": {"name": "chat", "namespace": "n", "uid": "u", "labels": {"a": "b"}, "annotations": annotations},
            "spec": {"scalingStrategy": "HPA", "minReplicas": 1, "maxReplicas": 8,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}},
        });
        for (key, value) in more.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn made(annotations: &Value, more: &Value) -> Result<Value, String> {
        let object = object(annotations, more);
        let resolved = resolve(&object).unwrap();
        let bounds = Bounds { min: resolved.bounds.min, max: resolved.bounds.max };
        wanted(&object, &resolved, bounds).map(|hpa| serde_json::to_value(hpa).unwrap())
    }

    fn metrics(source: &Value) -> Value {
        made(&json!({}), &json!({"metricsSources": [source]})).unwrap()["spec"]["metrics"][0].clone()
    }

    #[test]
    fn each_source_becomes_the_metric_of_its_type() {
        let pod = json!({"metricSourceType": "pod", "protocolType": "http", "port": "80", "path": "/m", "targetMetric": "kv", "targetValue": "0.5"});
        for (source, expected) in [
            (
                json!({"metricSourceType": "resource", "targetMetric": "cpu", "targetValue": "60.2"}),
                json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 61}}}),
            ),
            (
                json!({"metricSourceType": "resource", "targetMetric": "memory", "targetValue": "512"}),
                json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "536870912"}}}),
            ),
            (
                pod,
                json!({"type": "Pods", "pods": {"metric": {"name": "kv"}, "target": {"type": "AverageValue", "averageValue": "500m"}}}),
            ),
            (
                json!({"metricSourceType": "custom", "targetMetric": "cpu", "targetValue": "3"}),
                json!({"type": "Pods", "pods": {"metric": {"name": "cpu"}, "target": {"type": "AverageValue", "averageValue": "3"}}}),
            ),
            (
                json!({"metricSourceType": "external", "targetMetric": "queue", "targetValue": "30", "labels": {"model": "m"}}),
                json!({"type": "External", "external": {
                    "metric": {"name": "queue", "selector": {"matchLabels": {"model": "m"}}},
                    "target": {"type": "AverageValue", "averageValue": "30"}}}),
            ),
        ] {
            assert_eq!(metrics(&source), expected);
        }
    }

    #[test]
    fn what_an_hpa_cannot_read_is_refused_with_what_it_can() {
        let source = json!({"metricSourceType": "external", "protocolType": "http", "endpoint": "o:8080", "path": "/m", "targetMetric": "x", "targetValue": "1"});
        let refused = made(&json!({}), &json!({"metricsSources": [source]})).unwrap_err();
        assert!(
            refused.starts_with("spec.metricsSources[0]") && refused.contains("external without an endpoint"),
            "{refused}"
        );
    }

    #[test]
    fn it_is_owned_and_carries_labels_but_no_annotations() {
        let source = json!({"metricSourceType": "resource", "targetMetric": "cpu", "targetValue": "60"});
        let hpa = made(
            &json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"}),
            &json!({"metricsSources": [source]}),
        )
        .unwrap();
        let owner = &hpa["metadata"]["ownerReferences"][0];
        assert_eq!(
            (owner["kind"].as_str(), owner["uid"].as_str(), owner["controller"].as_bool()),
            (Some("PodAutoscaler"), Some("u"), Some(true))
        );
        assert_eq!((&hpa["metadata"]["name"], &hpa["metadata"]["labels"]), (&json!("chat-hpa"), &json!({"a": "b"})));
        assert_eq!(hpa["metadata"]["annotations"], Value::Null);
        assert_eq!(hpa["spec"]["behavior"], Value::Null, "the server fills in its own");
    }

    #[test]
    fn behaviour_comes_from_annotations_as_aibrix_writes_it() {
        let source = json!({"metricSourceType": "resource", "targetMetric": "cpu", "targetValue": "60"});
        let annotations = json!({"autoscaling.aibrix.ai/max-scale-up-rate": "3", "autoscaling.aibrix.ai/scale-down-cooldown-window": "2h"});
        let hpa = made(&annotations, &json!({"metricsSources": [source]})).unwrap();
        let expected = json!({
            "scaleUp": {"policies": [{"type": "Percent", "value": 200, "periodSeconds": 60}], "selectPolicy": "Max", "stabilizationWindowSeconds": 0},
            "scaleDown": {"policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}], "selectPolicy": "Min", "stabilizationWindowSeconds": 3600},
        });
        assert_eq!(hpa["spec"]["behavior"], expected, "a window longer than the server takes is its longest");
    }

    #[test]
    fn nothing_is_written_where_the_server_has_it_already_with_defaults_filled_in() {
        let object = object(
            &json!({}),
            &json!({"metricsSources": [{"metricSourceType": "resource", "targetMetric": "cpu", "targetValue": "60"}]}),
        );
        let resolved = resolve(&object).unwrap();
        let mine = wanted(&object, &resolved, Bounds { min: 1, max: 8 }).unwrap();
        let mut live = serde_json::to_value(&mine).unwrap();
        live["spec"]["behavior"] = json!({"scaleUp": {"selectPolicy": "Max"}});
        let live: HorizontalPodAutoscaler = serde_json::from_value(live).unwrap();
        assert!(says(&live, &mine));
        let other = wanted(&object, &resolved, Bounds { min: 1, max: 9 }).unwrap();
        assert!(!says(&live, &other));
    }
}
