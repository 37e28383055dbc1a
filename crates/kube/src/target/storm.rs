//! AIBrix's `StormService` (`orchestration.aibrix.ai`): a role is scaled within the template, since it has no `/scale`.

use super::error::TargetError;
use super::scale::{MANAGER, Read, ScaleView};
use crate::pods::Selector;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

/// The kind.
pub(super) const KIND: &str = "StormService";
const ROLES: &str = "/spec/template/spec/roles";
/// A pod group's first pod answers for it.
const GROUP_INDEX: &str = "stormservice.orchestration.aibrix.ai/pod-group-index";

/// The pods of a service, or of one of its roles.
pub(super) fn selector(name: &str, role: Option<&str>) -> Selector {
    let mut selector = Selector::default();
    selector.and("storm-service-name", name);
    if let Some(role) = role {
        selector.and("role-name", role);
    }
    selector
}

/// Reads a role.
pub(super) async fn get(api: &Api<DynamicObject>, name: &str, role: &str) -> Result<ScaleView, TargetError> {
    let object = api.get(name).await.map_err(|error| TargetError::of(&error, &format!("{KIND} {name}")))?;
    view(&object, name, role)
}

fn view(object: &DynamicObject, name: &str, role: &str) -> Result<ScaleView, TargetError> {
    let roles = object.data.pointer(ROLES).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let found = roles.iter().enumerate().find(|(_, one)| one["name"] == role);
    let (place, spec) = found.ok_or_else(|| {
        let known: Vec<&str> = roles.iter().filter_map(|one| one["name"].as_str()).collect();
        TargetError::Unusable(format!("{KIND} {name} has no role {role:?} (allowed: {})", known.join(", ")))
    })?;
    // A role's count is that of each RoleSet. With several, what is decided for all pods would be multiplied.
    let sets = object.data.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    if sets > 1 {
        return Err(TargetError::Unusable(format!(
            "{KIND} {name} has {sets} RoleSets, and a role's replicas are those of each; scale one RoleSet's roles, or all by \
             storm-service-mode: replica"
        )));
    }
    let replicas = spec["replicas"].as_i64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    let mut selector = selector(name, Some(role));
    if spec["podGroupSize"].as_i64().is_some_and(|size| size > 1) {
        selector.and(GROUP_INDEX, "0");
    }
    Ok(ScaleView {
        replicas,
        status_replicas: None,
        selector,
        revision: object.metadata.resource_version.clone(),
        read: Read::Role(place),
    })
}

/// Writes a role's count, where the role and its count are still what was read.
pub(super) async fn set(
    api: &Api<DynamicObject>,
    name: &str,
    role: &str,
    place: usize,
    before: u32,
    count: i32,
) -> Result<(), TargetError> {
    let path = format!("{ROLES}/{place}");
    let mut operations = vec![json!({ "op": "test", "path": format!("{path}/name"), "value": role })];
    // Absent is read as 0, and cannot be tested.
    if before > 0 {
        operations.push(json!({ "op": "test", "path": format!("{path}/replicas"), "value": before }));
    }
    operations.push(json!({ "op": "add", "path": format!("{path}/replicas"), "value": count }));
    let patch: kube::core::params::Patch<()> = Patch::Json(
        serde_json::from_value(Value::Array(operations)).map_err(|error| TargetError::Unusable(error.to_string()))?,
    );
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch(name, &params, &patch).await {
        Ok(_) => Ok(()),
        // The server says so of a test that failed.
        Err(kube::Error::Api(status)) if status.code == 422 => Err(TargetError::Changed),
        Err(error) => Err(TargetError::of(&error, &format!("{KIND} {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_role_is_found_in_the_template_with_its_pods() {
        let roles = json!([{"name": "prefill", "replicas": 1}, {"name": "decode", "replicas": 3, "podGroupSize": 2}]);
        let object = service(json!({"metadata": {"name": "s", "resourceVersion": "7"},
            "spec": {"replicas": 1, "template": {"spec": {"roles": roles}}}}));
        let found = view(&object, "s", "decode").unwrap();
        assert_eq!((found.replicas, found.read), (3, Read::Role(1)));
        let selector = "storm-service-name=s,role-name=decode,stormservice.orchestration.aibrix.ai/pod-group-index=0";
        assert_eq!(found.selector.to_string(), selector);
        let unknown = view(&object, "s", "route").unwrap_err().to_string();
        assert_eq!(unknown, "StormService s has no role \"route\" (allowed: prefill, decode)");
    }

    #[test]
    fn a_role_of_several_role_sets_is_refused_since_its_count_would_be_multiplied() {
        let object = service(json!({"metadata": {"name": "s"},
            "spec": {"replicas": 2, "template": {"spec": {"roles": [{"name": "decode", "replicas": 3}]}}}}));
        assert!(view(&object, "s", "decode").unwrap_err().to_string().contains("2 RoleSets"));
    }
}
