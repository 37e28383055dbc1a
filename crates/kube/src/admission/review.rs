//! Whether one object may be stored: valid, and its target nobody else's.

use crate::conflict::ClaimView;
use autoscaler_api::{Diagnostic, PodAutoscaler, validate};
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse};
use kube::{Api, Client};

/// kubectl prints warnings of up to 256 bytes, and the API server cuts off all of them beyond 4 KiB.
const MAX_WARNINGS: usize = 12;
const MAX_WARNING: usize = 250;

/// Answers a request of the API server.
pub(super) async fn review(client: &Client, request: &AdmissionRequest<DynamicObject>) -> AdmissionResponse {
    let answer = AdmissionResponse::from(request);
    // Deletions have none.
    let Some(object) = &request.object else { return answer };
    // Finalizers are taken off from objects that may be as bad as they like.
    if object.metadata.deletion_timestamp.is_some() {
        return answer;
    }
    let object = match typed(object, request) {
        Ok(object) => object,
        Err(error) => return answer.deny(format!("not a PodAutoscaler: {error}")),
    };
    // Labels, owners and the like may change of an object that was there before these rules.
    let before = request.old_object.as_ref().and_then(|object| typed(object, request).ok());
    let same = |old: &PodAutoscaler| old.spec == object.spec && old.metadata.annotations == object.metadata.annotations;
    if before.as_ref().is_some_and(same) {
        return answer;
    }
    let (errors, remarks): (Vec<_>, Vec<_>) = validate(&object).into_iter().partition(Diagnostic::is_error);
    if !errors.is_empty() {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        return answer.deny(errors.join("; "));
    }
    let mut warnings: Vec<String> = remarks.iter().map(|remark| cut(&remark.to_string())).collect();
    let namespace = request.namespace.as_deref().unwrap_or_default();
    let objects: Api<PodAutoscaler> = Api::namespaced(client.clone(), namespace);
    let verdict = match objects.list(&ListParams::default()).await {
        Ok(others) => conflict(&object, before.as_ref(), &others.items),
        // The controller finds it later, and says so in a condition.
        Err(error) => {
            warnings.push(cut(&format!("whether others have the same target is unknown: {error}")));
            Ok(())
        }
    };
    if let Err(why) = verdict {
        return answer.deny(why);
    }
    warnings.truncate(MAX_WARNINGS);
    let mut answer = answer;
    answer.warnings = (!warnings.is_empty()).then_some(warnings);
    answer
}

fn typed(
    object: &DynamicObject,
    request: &AdmissionRequest<DynamicObject>,
) -> Result<PodAutoscaler, serde_json::Error> {
    let mut object: PodAutoscaler = serde_json::from_value(serde_json::to_value(object)?)?;
    // The API server fills it in after it has asked.
    object.metadata.namespace = object.metadata.namespace.or_else(|| request.namespace.clone());
    Ok(object)
}

/// Refuses a claim on another's target, unless it was there before: who is in a conflict must be able to change other things.
fn conflict(object: &PodAutoscaler, before: Option<&PodAutoscaler>, all: &[PodAutoscaler]) -> Result<(), String> {
    let claim = ClaimView::of(object);
    let old = before.map(ClaimView::of);
    let others = all.iter().map(ClaimView::of).filter(|other| other.name() != claim.name());
    for other in others.filter(|other| other.overlaps(&claim)) {
        if old.as_ref().is_none_or(|old| !old.overlaps(&other)) {
            let target = &object.spec.scale_target_ref;
            return Err(format!(
                "spec.scaleTargetRef: {} {} is scaled by the PodAutoscaler {} already; one that only observes has mode: Recommend",
                target.kind.as_deref().unwrap_or_default(),
                target.name.as_deref().unwrap_or_default(),
                other.name(),
            ));
        }
    }
    Ok(())
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_WARNING);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(name: &str, target: &str, more: &Value) -> PodAutoscaler {
        let mut object = json!({
            "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler",
            "metadata": {"name": name, "namespace": "n"},
            "spec": {"scalingStrategy": "APA", "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
                "metricsSources": [{"metricSourceType": "pod", "protocolType": "http", "port": "80", "path": "/metrics",
                    "targetMetric": "x", "targetValue": "1"}]},
        });
        for (key, value) in more.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn only_a_new_claim_on_anothers_target_is_refused() {
        let nothing = json!({});
        let (mine, theirs) = (object("mine", "t", &nothing), object("theirs", "t", &nothing));
        let elsewhere = object("mine", "u", &nothing);
        let watching = object("mine", "t", &json!({"mode": "Recommend"}));
        let all = [theirs];
        assert!(conflict(&mine, None, &all).unwrap_err().contains("PodAutoscaler theirs"));
        assert!(conflict(&mine, Some(&elsewhere), &all).is_err(), "moved onto it");
        assert!(conflict(&mine, Some(&watching), &all).is_err(), "began to act");
        assert!(conflict(&mine, Some(&mine), &all).is_ok(), "was there before");
        assert!(conflict(&watching, None, &all).is_ok(), "only observes");
        assert!(conflict(&elsewhere, Some(&mine), &all).is_ok(), "gives way");
        assert!(conflict(&mine, Some(&mine), std::slice::from_ref(&mine)).is_ok(), "itself");
    }

    #[test]
    fn warnings_are_cut_between_letters() {
        assert_eq!(cut(&"ä".repeat(200)).len(), MAX_WARNING);
        assert_eq!(cut(&format!("x{}", "ä".repeat(200))).len(), MAX_WARNING - 1);
    }
}
