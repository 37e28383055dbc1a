//! What a pod requests of each resource, in thousandths, as the scheduler and HPA count it.

use super::raw::{Container, Resources, Spec};
use autoscaler_runtime::quantity;
use std::collections::BTreeMap;

/// Requests by resource; a resource that some container does not request is left out, since a share of it means nothing.
pub(super) fn requests(spec: &Spec) -> BTreeMap<&str, i64> {
    let sidecars = spec.init_containers.iter().filter(|one| one.restart_policy.as_deref() == Some("Always"));
    let counted: Vec<BTreeMap<&str, i64>> =
        spec.containers.iter().chain(sidecars).map(|one: &Container| amounts(&one.resources)).collect();
    let mut sums = BTreeMap::new();
    if let Some(first) = counted.first() {
        for resource in first.keys() {
            let mut each = counted.iter().map(|one| one.get(resource).copied());
            let sum = each.try_fold(0_i64, |sum, amount| Some(sum.saturating_add(amount?)));
            if let Some(sum) = sum {
                sums.insert(*resource, sum);
            }
        }
    }
    // What is requested for the pod as a whole stands above its containers'.
    sums.extend(amounts(&spec.resources));
    sums
}

fn amounts(resources: &Resources) -> BTreeMap<&str, i64> {
    let all = resources.limits.iter().flatten().chain(resources.requests.iter().flatten());
    all.filter_map(|(name, amount)| Some((name.as_str(), quantity::milli(&amount.0).ok()?))).collect()
}
