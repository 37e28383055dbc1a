//! HPAs that somebody else made, by what they scale. Pure.

use crate::target::group_of;
use autoscaler_api::PodAutoscaler;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;
use std::collections::BTreeMap;

/// What is scaled: namespace, group, kind and name. The version that it is spelled with does not matter.
type Scaled = (String, String, String, String);

/// HPAs that none of our objects made.
#[derive(Debug, Default)]
pub(crate) struct Rivals(BTreeMap<Scaled, String>);

impl Rivals {
    /// Those of a cluster; of several on one target, the first by name.
    pub(crate) fn of<'a>(hpas: impl Iterator<Item = &'a HorizontalPodAutoscaler>) -> Self {
        let ours = |hpa: &HorizontalPodAutoscaler| {
            hpa.owner_references().iter().any(|owner| owner.kind == "PodAutoscaler" && owner.controller == Some(true))
        };
        let mut found = BTreeMap::new();
        for hpa in hpas.filter(|hpa| !ours(hpa)) {
            let Some(spec) = &hpa.spec else { continue };
            let target = &spec.scale_target_ref;
            let key = scaled(hpa.namespace(), target.api_version.as_deref(), &target.kind, &target.name);
            let name = hpa.name_any();
            let known = found.entry(key).or_insert_with(|| name.clone());
            if name < *known {
                *known = name;
            }
        }
        Self(found)
    }

    /// The one that scales an object's target.
    pub(crate) fn of_target(&self, object: &PodAutoscaler) -> Option<&str> {
        let target = &object.spec.scale_target_ref;
        let (kind, name) = (target.kind.as_deref()?, target.name.as_deref()?);
        self.0.get(&scaled(object.namespace(), target.api_version.as_deref(), kind, name)).map(String::as_str)
    }
}

fn scaled(namespace: Option<String>, api_version: Option<&str>, kind: &str, name: &str) -> Scaled {
    let group = group_of(api_version.unwrap_or_default(), kind);
    (namespace.unwrap_or_default(), group.to_owned(), kind.to_owned(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hpa(name: &str, owner: &str, api_version: &str) -> HorizontalPodAutoscaler {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "n", "ownerReferences": [
                {"apiVersion": "x/v1", "kind": owner, "name": "o", "uid": "u", "controller": true}]},
            "spec": {"maxReplicas": 2, "scaleTargetRef": {"apiVersion": api_version, "kind": "Deployment", "name": "t"}},
        }))
        .unwrap()
    }

    #[test]
    fn an_hpa_of_somebody_else_is_found_and_our_own_is_not() {
        let object: PodAutoscaler = serde_json::from_value(json!({
            "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler",
            "metadata": {"name": "a", "namespace": "n"},
            "spec": {"scalingStrategy": "APA", "maxReplicas": 3, "metricsSources": [],
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "t"}},
        }))
        .unwrap();
        let found = |hpas: &[HorizontalPodAutoscaler]| Rivals::of(hpas.iter()).of_target(&object).map(str::to_owned);
        assert_eq!(found(&[hpa("z", "Other", "apps/v1"), hpa("h", "Other", "apps/v1beta1")]).as_deref(), Some("h"));
        assert_eq!(found(&[hpa("h", "PodAutoscaler", "apps/v1")]), None);
        assert_eq!(found(&[hpa("h", "Other", "batch/v1")]), None);
    }
}
