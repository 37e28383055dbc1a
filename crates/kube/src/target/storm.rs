//! `AIBrix`'s `StormService`: `spec.replicas` `RoleSet`s, each with `replicas` pods (or groups of pods) of every role.
//!
//! A role's count is what its template says, which is per `RoleSet`, and that is what is written. `AIBrix` reads
//! `status.roleStatuses` instead, which counts the pods of all `RoleSet`s, and so multiplies by their number at each write
//! (its issue 2780). Where there are several `RoleSet`s, one replica of a role is one pod in each of them
//! (`crate::pods::Grouping::AcrossRoleSets`), so that all counts have one unit.

use super::call::{About, call};
use super::error::TargetError;
use super::scale::{FIELD_MANAGER, Object, ScaleView, Written, count};
use http::header::CONTENT_TYPE;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::core::Request;
use kube::core::params::GetParams;
use serde::Deserialize;
use serde_json::{Value, json};

const GROUP_LEADER: &str = "stormservice.orchestration.aibrix.ai/pod-group-index=0";

/// Where a JSON patch writes, and what it must find there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A role of the template: its index, its name, the count that was read.
    Role(usize, String, Option<i64>),
    /// The whole service: the count that was read.
    Whole(Option<i64>),
}

#[derive(Deserialize)]
struct StormService {
    metadata: ObjectMeta,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Spec {
    replicas: Option<i64>,
    #[serde(default)]
    template: Template,
}

#[derive(Deserialize, Default)]
struct Template {
    #[serde(default)]
    spec: RoleSetSpec,
}

#[derive(Deserialize, Default)]
struct RoleSetSpec {
    #[serde(default)]
    roles: Vec<Role>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Role {
    name: String,
    replicas: Option<i64>,
    pod_group_size: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Status {
    replicas: Option<i64>,
    #[serde(default)]
    role_statuses: Vec<RoleStatus>,
}

#[derive(Deserialize)]
struct RoleStatus {
    name: String,
    replicas: Option<i64>,
}

/// Reads a role.
pub(super) async fn get_role(client: &Client, object: &Object, role: &str) -> Result<ScaleView, TargetError> {
    let storm = fetch(client, object).await?;
    let roles = &storm.spec.template.spec.roles;
    let Some((index, found)) = roles.iter().enumerate().find(|(_, found)| found.name == role) else {
        let known: Vec<&str> = roles.iter().map(|found| found.name.as_str()).collect();
        return Err(TargetError::NoRole { object: object.title(), role: role.to_owned(), known: known.join(", ") });
    };
    let role_sets = count(storm.spec.replicas.unwrap_or(1)).max(1);
    let told = storm.status.role_statuses.iter().find(|status| status.name == role).and_then(|status| status.replicas);
    Ok(ScaleView {
        replicas: found.replicas.map_or(0, count),
        // The status counts the pods of all RoleSets.
        status_replicas: told.map(|all| count(all).div_ceil(role_sets)),
        slot: Some(Slot::Role(index, role.to_owned(), found.replicas)),
        ..view(object, &storm, Some(role))
    })
}

/// Reads the whole service.
pub(super) async fn get_whole(client: &Client, object: &Object, role: Option<&str>) -> Result<ScaleView, TargetError> {
    let storm = fetch(client, object).await?;
    Ok(view(object, &storm, role))
}

/// Writes where there is no `/scale`: a JSON patch that first tests that it finds what was read.
pub(super) async fn set(client: &Client, object: &Object, slot: &Slot, replicas: u32) -> Result<Written, TargetError> {
    #[derive(Deserialize)]
    struct Answer {
        metadata: ObjectMeta,
    }
    let (title, resource) = (object.title(), object.kind.rbac_name());
    let about = About { verb: "patch", resource: &resource, object: &title };
    let body = serde_json::to_vec(&patch(slot, replicas)).map_err(|error| TargetError::Refused(error.to_string()))?;
    let path = format!("{}/{}?fieldManager={FIELD_MANAGER}", object.kind.path(&object.namespace), object.name);
    let request = http::Request::patch(path).header(CONTENT_TYPE, "application/json-patch+json").body(body);
    let answer: Answer = call(client, request.map_err(kube::core::request::Error::BuildRequest), about).await?;
    Ok(Written::Done(answer.metadata.resource_version.unwrap_or_default()))
}

fn patch(slot: &Slot, replicas: u32) -> Value {
    let (mut steps, place, old) = match slot {
        Slot::Role(index, name, old) => {
            let role = format!("/spec/template/spec/roles/{index}");
            let test = json!({"op": "test", "path": format!("{role}/name"), "value": name});
            (vec![test], format!("{role}/replicas"), old)
        }
        Slot::Whole(old) => (Vec::new(), "/spec/replicas".to_owned(), old),
    };
    // A test of what is absent fails in some servers and passes in others, so an absent count is not tested.
    if let Some(old) = old {
        steps.push(json!({"op": "test", "path": place, "value": old}));
    }
    // `add` replaces, too, where there is something.
    steps.push(json!({"op": "add", "path": place, "value": super::scale::wire(replicas)}));
    Value::Array(steps)
}

async fn fetch(client: &Client, object: &Object) -> Result<StormService, TargetError> {
    let (title, resource) = (object.title(), object.kind.rbac_name());
    let about = About { verb: "get", resource: &resource, object: &title };
    let request = Request::new(object.kind.path(&object.namespace)).get(&object.name, &GetParams::default());
    match call(client, request, about).await {
        // A path that leads nowhere means here that the kind has gone, not that it lacks `/scale`.
        Err(TargetError::NoScale(title)) => Err(TargetError::NotFound(title)),
        answer => answer,
    }
}

/// The whole service's view, which a role's view changes in part.
fn view(object: &Object, storm: &StormService, role: Option<&str>) -> ScaleView {
    ScaleView {
        // Absent means 1, as everywhere in Kubernetes; AIBrix fails on it.
        replicas: count(storm.spec.replicas.unwrap_or(1)),
        status_replicas: storm.status.replicas.map(count),
        selector: selector(object, &storm.spec.template.spec.roles, role),
        resource_version: storm.metadata.resource_version.clone().unwrap_or_default(),
        uid: storm.metadata.uid.clone().unwrap_or_default(),
        slot: (!object.kind.scale).then_some(Slot::Whole(storm.spec.replicas)),
    }
}

fn selector(object: &Object, roles: &[Role], role: Option<&str>) -> String {
    let mut selector = format!("storm-service-name={}", object.name);
    if let Some(role) = role {
        selector.push_str(",role-name=");
        selector.push_str(role);
    }
    let considered = |found: &&Role| role.is_none_or(|role| role == found.name);
    // In a group of pods only the first serves metrics.
    if roles.iter().filter(considered).any(|found| found.pod_group_size.unwrap_or(1) > 1) {
        selector.push(',');
        selector.push_str(GROUP_LEADER);
    }
    selector
}
