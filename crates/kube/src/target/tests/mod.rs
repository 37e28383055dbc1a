//! Targets against a scripted API server.

mod kinds;
mod plain;
pub(crate) mod script;
mod storm;
mod trouble;
mod watch;

use super::kinds::Kind;
use super::scale::{Object, ScaleTarget};
use autoscaler_api::resolved::Target;
use kube::core::ApiResource;
use serde_json::{Value, json};
use std::sync::Arc;

/// A kind as discovery would have found it.
fn kind(api_version: &str, kind: &str, plural: &str, scale: bool) -> Arc<Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: api_version.into(),
        kind: kind.into(),
        plural: plural.into(),
    };
    Arc::new(Kind { resource, namespaced: true, scale })
}

fn deployment() -> ScaleTarget {
    let kind = kind("apps/v1", "Deployment", "deployments", true);
    ScaleTarget::Scale(Object { kind, namespace: "ml".into(), name: "llama".into() })
}

fn named(kind: &str, role: Option<&str>, whole: bool) -> Target {
    Target {
        api_version: String::new(),
        kind: kind.into(),
        name: "llama".into(),
        role: role.map(str::to_owned),
        whole_storm_service: whole,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "`json!` at each call")]
fn scale(replicas: u32, status: Value) -> Value {
    json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": "llama", "namespace": "ml", "resourceVersion": "41", "uid": "u-1"},
        "spec": {"replicas": replicas}, "status": status,
    })
}

/// A `Status` as the server sends it for a failure.
fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
           "code": code, "reason": reason, "message": message})
}
