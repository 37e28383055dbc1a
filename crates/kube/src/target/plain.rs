//! Reading and writing through `/scale`.

use super::call::{About, call};
use super::error::TargetError;
use super::scale::{FIELD_MANAGER, Object, ScaleView, Written, count, wire};
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::Client;
use kube::api::PostParams;
use kube::core::params::GetParams;
use kube::core::{Request, Selector};
use serde::Deserialize;

/// `AIBrix` scrapes the head of each Ray cluster only: it alone serves requests.
const RAY_HEAD: &str = "ray.io/node-type=head";
/// What `LeaderWorkerSet` adds to its `/scale` selector to select leaders only.
const LEADERS_ONLY: &str = "leaderworkerset.sigs.k8s.io/worker-index=0";

/// Reads `/scale`.
pub(super) async fn get(client: &Client, object: &Object) -> Result<ScaleView, TargetError> {
    let (title, resource) = (object.title(), format!("{}/scale", object.kind.rbac_name()));
    let about = About { verb: "get", resource: &resource, object: &title };
    let request = Request::new(object.kind.path(&object.namespace)).get_subresource("scale", &object.name);
    let scale: Scale = call(client, request, about).await?;
    let told = scale.status.as_ref().and_then(|status| status.selector.clone()).filter(|text| !text.trim().is_empty());
    let selector = match told {
        Some(selector) => selector,
        None => of_the_object(client, object).await?,
    };
    Ok(ScaleView {
        replicas: scale.spec.and_then(|spec| spec.replicas).map_or(0, |replicas| count(replicas.into())),
        status_replicas: scale.status.map(|status| count(status.replicas.into())),
        selector: adapted(object, selector),
        resource_version: scale.metadata.resource_version.unwrap_or_default(),
        uid: scale.metadata.uid.unwrap_or_default(),
        slot: None,
    })
}

/// Writes `/scale`, with the version that was read: a write in between makes it fail.
pub(super) async fn set(
    client: &Client,
    object: &Object,
    seen: &ScaleView,
    replicas: u32,
) -> Result<Written, TargetError> {
    let (title, resource) = (object.title(), format!("{}/scale", object.kind.rbac_name()));
    let about = About { verb: "update", resource: &resource, object: &title };
    let scale = Scale {
        metadata: ObjectMeta {
            name: Some(object.name.clone()),
            namespace: Some(object.namespace.clone()),
            resource_version: Some(seen.resource_version.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(ScaleSpec { replicas: Some(wire(replicas)) }),
        status: None,
    };
    let body = serde_json::to_vec(&scale).map_err(|error| TargetError::Refused(error.to_string()))?;
    let how = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let request =
        Request::new(object.kind.path(&object.namespace)).replace_subresource("scale", &object.name, &how, body);
    let after: Scale = call(client, request, about).await?;
    Ok(Written::Done(after.metadata.resource_version.unwrap_or_default()))
}

/// A CRD may name no `labelSelectorPath`; `AIBrix` then takes `status.selector`, else `spec.selector`, and so do we.
async fn of_the_object(client: &Client, object: &Object) -> Result<String, TargetError> {
    #[derive(Deserialize)]
    struct Bare {
        #[serde(default)]
        spec: serde_json::Value,
        #[serde(default)]
        status: serde_json::Value,
    }
    let (title, resource) = (object.title(), object.kind.rbac_name());
    let about = About { verb: "get", resource: &resource, object: &title };
    let request = Request::new(object.kind.path(&object.namespace)).get(&object.name, &GetParams::default());
    let bare: Bare = match call(client, request, about).await {
        // The role may be for `/scale` alone: then nothing is known of the pods, which is no reason not to scale.
        Err(TargetError::Forbidden { .. }) => return Ok(String::new()),
        answer => answer?,
    };
    if let Some(text) =
        bare.status.get("selector").and_then(|text| text.as_str()).filter(|text| !text.trim().is_empty())
    {
        return Ok(text.to_owned());
    }
    let structured = bare.spec.get("selector").cloned().and_then(|it| serde_json::from_value::<LabelSelector>(it).ok());
    Ok(structured.and_then(|it| Selector::try_from(it).ok()).map(|it| it.to_string()).unwrap_or_default())
}

fn adapted(object: &Object, selector: String) -> String {
    if selector.is_empty() {
        return selector;
    }
    if object.is_ray_cluster_fleet() {
        return format!("{selector},{RAY_HEAD}");
    }
    if object.is_leader_worker_set() {
        // A group is ready only when its workers are, and it uses what they use: all of its pods are needed.
        let kept: Vec<&str> = selector.split(',').filter(|term| term.trim() != LEADERS_ONLY).collect();
        if !kept.is_empty() {
            return kept.join(",");
        }
    }
    selector
}
