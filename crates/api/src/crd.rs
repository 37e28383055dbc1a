//! The custom resource definition, made from the types: AIBrix's schema, our additions, and CEL rules.
//! Deterministic, so that the committed copy can be compared byte for byte. Must not be edited by hand elsewhere.

mod rules;

pub use rules::{RULES, Rule};

use crate::v1alpha1::PodAutoscaler;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};
use kube::CustomResourceExt;

/// The definition of `podautoscalers.autoscaling.aibrix.ai`.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = PodAutoscaler::crd();
    if let Some(root) = root_schema_mut(&mut crd) {
        tidy(root);
        for rule in RULES {
            if let Some(schema) = descend(root, rule.at) {
                schema.x_kubernetes_validations.get_or_insert_default().push(validation(rule));
            }
        }
        if let Some(target) = descend(root, "spec.scaleTargetRef") {
            target.x_kubernetes_map_type = Some("atomic".into());
        }
        if let Some(day) = descend(root, "spec.schedules[].daysOfWeek[]") {
            day.max_length = Some(MAX_DAY_LENGTH);
        }
        if let Some(labels) = descend(root, "spec.metricsSources[].labels") {
            labels.max_properties = Some(MAX_LABELS);
        }
    }
    crd
}

/// Labels that select a source's series; a limit, so that the API server can bound what a rule costs.
const MAX_LABELS: i64 = 32;

/// Characters of a weekday, for the same reason; longer ones are no weekday anyhow.
const MAX_DAY_LENGTH: i64 = 16;

/// The definition as YAML, the same bytes each time.
pub fn crd_yaml() -> String {
    // A definition of plain strings and numbers always serializes; an empty text would fail every comparison.
    serde_json::to_value(crd())
        .ok()
        .and_then(|value| serde_saphyr::to_string(&value).ok())
        .map(|yaml| if yaml.ends_with('\n') { yaml } else { yaml + "\n" })
        .unwrap_or_default()
}

/// The schema of a whole object, of a definition with one version.
pub(crate) fn root_schema(crd: &CustomResourceDefinition) -> Option<&JSONSchemaProps> {
    crd.spec.versions.first()?.schema.as_ref()?.open_api_v3_schema.as_ref()
}

fn root_schema_mut(crd: &mut CustomResourceDefinition) -> Option<&mut JSONSchemaProps> {
    crd.spec.versions.first_mut()?.schema.as_mut()?.open_api_v3_schema.as_mut()
}

/// Brings a derived schema to what AIBrix's generator writes: no `nullable` and no defaults. With `nullable` a CEL
/// `has()` would be true of a null, and each rule would have to ask twice.
pub(crate) fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.default = None;
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

/// The schema at a path such as `spec.metricsSources[]`.
fn descend<'s>(root: &'s mut JSONSchemaProps, path: &str) -> Option<&'s mut JSONSchemaProps> {
    let mut at = root;
    for step in path.split('.') {
        let name = step.trim_end_matches("[]");
        at = at.properties.as_mut()?.get_mut(name)?;
        if step.ends_with("[]") {
            at = match &mut at.items {
                Some(JSONSchemaPropsOrArray::Schema(items)) => items,
                _ => return None,
            };
        }
    }
    Some(at)
}

fn validation(rule: &Rule) -> ValidationRule {
    ValidationRule {
        rule: rule.rule.to_owned(),
        message: Some(rule.message.to_owned()),
        field_path: rule.field.map(str::to_owned),
        ..ValidationRule::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_place_in_the_schema() {
        let mut crd = PodAutoscaler::crd();
        let root = root_schema_mut(&mut crd).unwrap();
        for rule in RULES {
            assert!(descend(root, rule.at).is_some(), "{}", rule.at);
        }
    }
}
