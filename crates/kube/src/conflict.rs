//! Who may scale a target: of several `PodAutoscaler`s the oldest. Pure, so that a restart decides the same.

use crate::target::group_of;
use autoscaler_api::PodAutoscaler;
use autoscaler_api::resolve;
use autoscaler_api::resolved::Target;
use autoscaler_api::v1alpha1::Mode;
use kube::ResourceExt;
use std::collections::BTreeMap;

/// What an object claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimView {
    uid: String,
    namespace: String,
    name: String,
    /// Microseconds of Unix time.
    created: i64,
    /// None where it claims nothing: it cannot be read, or only recommends.
    target: Option<Claimed>,
}

/// A target as far as claims go: the version that it is spelled with does not matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claimed {
    namespace: String,
    group: String,
    kind: String,
    name: String,
    /// None is the whole of it, which all roles are parts of.
    role: Option<String>,
}

/// Whether an object may scale its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody else wants it, or others have to stand back.
    Free,
    /// An older one has it; its name.
    Taken(String),
}

impl ClaimView {
    /// What an object claims.
    pub(crate) fn of(object: &PodAutoscaler) -> Self {
        let namespace = object.namespace().unwrap_or_default();
        let claims = object.spec.mode != Some(Mode::Recommend) && object.metadata.deletion_timestamp.is_none();
        let resolved = if claims { resolve(object).ok() } else { None };
        Self {
            uid: object.uid().unwrap_or_default(),
            name: object.name_any(),
            created: object.creation_timestamp().map_or(i64::MAX, |time| time.0.as_microsecond()),
            target: resolved.map(|resolved| Claimed::of(&namespace, &resolved.target)),
            namespace,
        }
    }

    /// The object's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether both claim the same, or a part of it.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.target.as_ref().zip(other.target.as_ref()).is_some_and(|(mine, theirs)| mine.overlaps(theirs))
    }
}

impl Claimed {
    fn of(namespace: &str, target: &Target) -> Self {
        Self {
            namespace: namespace.to_owned(),
            group: group_of(&target.api_version, &target.kind).to_owned(),
            kind: target.kind.clone(),
            name: target.name.clone(),
            role: target.role.clone().filter(|_| !target.whole_storm_service),
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        (&self.namespace, &self.group, &self.kind, &self.name)
            == (&other.namespace, &other.group, &other.kind, &other.name)
            && (self.role.is_none() || other.role.is_none() || self.role == other.role)
    }
}

/// Who may scale: the oldest, by creation and then by uid, so that one answer holds for ever. By uid.
pub(crate) fn owners(claims: &[ClaimView]) -> BTreeMap<String, Verdict> {
    let mut sorted: Vec<&ClaimView> = claims.iter().collect();
    sorted.sort_by(|a, b| (a.created, &a.uid).cmp(&(b.created, &b.uid)));
    // By object, since a cluster has thousands; each has a few claims at most.
    let mut granted: BTreeMap<_, Vec<(&Claimed, &ClaimView)>> = BTreeMap::new();
    let mut verdicts = BTreeMap::new();
    for claim in sorted {
        let Some(target) = &claim.target else {
            verdicts.insert(claim.uid.clone(), Verdict::Free);
            continue;
        };
        let key = (target.namespace.as_str(), target.group.as_str(), target.kind.as_str(), target.name.as_str());
        let holders = granted.entry(key).or_default();
        let holder = holders.iter().find(|(held, _)| held.overlaps(target)).map(|(_, holder)| holder.name.clone());
        if holder.is_none() {
            holders.push((target, claim));
        }
        let verdict = holder.map_or(Verdict::Free, Verdict::Taken);
        verdicts.insert(claim.uid.clone(), verdict);
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn object(name: &str, created: u32, more: &Value) -> PodAutoscaler {
        let mut object = json!({
            "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler",
            "metadata": {"name": name, "namespace": "n", "uid": name, "creationTimestamp": format!("2026-01-05T00:{created:02}:00Z")},
            "spec": {"scalingStrategy": "APA", "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "t"},
                "metricsSources": [{"metricSourceType": "pod", "protocolType": "http", "port": "80", "path": "/metrics",
                    "targetMetric": "x", "targetValue": "1"}]},
        });
        for (key, value) in more.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn verdicts(objects: &[PodAutoscaler]) -> Vec<(String, Verdict)> {
        owners(&objects.iter().map(ClaimView::of).collect::<Vec<_>>()).into_iter().collect()
    }

    fn storm(role: Option<&str>) -> Value {
        let target = json!({"apiVersion": "orchestration.aibrix.ai/v1alpha1", "kind": "StormService", "name": "s"});
        match role {
            Some(role) => json!({"scaleTargetRef": target, "subTargetSelector": {"roleName": role}}),
            None => json!({"scaleTargetRef": target}),
        }
    }

    #[test]
    fn the_oldest_has_the_target_however_its_version_is_spelled() {
        let other = json!({"scaleTargetRef": {"apiVersion": "apps/v1beta1", "kind": "Deployment", "name": "t"}});
        let found = verdicts(&[object("young", 2, &other), object("old", 1, &json!({}))]);
        let expected = [("old".to_owned(), Verdict::Free), ("young".to_owned(), Verdict::Taken("old".to_owned()))];
        assert_eq!(found, expected);
    }

    #[test]
    fn one_that_only_recommends_or_cannot_be_read_claims_nothing() {
        for more in [json!({"mode": "Recommend"}), json!({"minReplicas": 9})] {
            let found = verdicts(&[object("old", 1, &more), object("young", 2, &json!({}))]);
            assert!(found.iter().all(|(_, verdict)| *verdict == Verdict::Free), "{found:?}");
        }
    }

    #[test]
    fn roles_are_parts_of_their_service_and_apart_from_each_other() {
        let apart = verdicts(&[object("a", 1, &storm(Some("x"))), object("b", 2, &storm(Some("y")))]);
        assert!(apart.iter().all(|(_, verdict)| *verdict == Verdict::Free), "{apart:?}");
        let found = verdicts(&[object("a", 1, &storm(Some("x"))), object("b", 2, &storm(None))]);
        assert_eq!(found[1].1, Verdict::Taken("a".to_owned()));
    }

    proptest! {
        #[test]
        fn the_order_of_objects_does_not_matter_and_one_of_each_target_wins(
            ages in proptest::collection::vec(0_u32..4, 1..8), turned in 0_usize..8,
        ) {
            let mut objects: Vec<PodAutoscaler> =
                ages.iter().enumerate().map(|(at, age)| object(&format!("o{at}"), *age, &json!({}))).collect();
            let before = verdicts(&objects);
            let count = objects.len();
            objects.rotate_left(turned % count);
            prop_assert_eq!(&before, &verdicts(&objects));
            prop_assert_eq!(before.iter().filter(|(_, verdict)| *verdict == Verdict::Free).count(), 1);
        }
    }
}
