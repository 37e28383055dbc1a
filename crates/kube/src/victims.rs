//! Which pods go first in a scale-down: those with the least to lose. A ReplicaSet deletes the pods with the lowest
//! `controller.kubernetes.io/pod-deletion-cost` first (Kubernetes `pkg/controller/controller_utils.go`).

use crate::pods::{DELETION_COST, PodView};
use crate::target::MANAGER;
use autoscaler_core::Pod;
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod as KubePod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Pods that are marked before one scale-down; larger fleets are marked over several.
const MOST: usize = 100;
/// Marks at once.
const AT_ONCE: usize = 8;
/// All marks take no longer: a scale-down does not wait for them.
const DEADLINE: Duration = Duration::from_secs(2);

/// The costs that pods should have, of those that differ from what they have: by name.
pub(crate) fn costs(views: &[Arc<PodView>], pods: &[Pod]) -> Vec<(String, i32)> {
    let mut found = Vec::new();
    for view in views {
        let Some(pod) = pods.iter().find(|pod| pod.name == view.name) else { continue };
        // What serves nobody goes first; of what serves, the load counts, in whole units of its first metric.
        let load: f64 = pod.metrics.values().filter_map(autoscaler_core::Reading::fresh).sum();
        let known = pod.metrics.values().any(|reading| reading.fresh().is_some());
        #[allow(clippy::cast_possible_truncation, reason = "saturates")]
        let cost = if pod.serves() && known { (load * 100.0).round().min(1e9) as i32 } else { 0 };
        // Unmarked is 0 to Kubernetes. One whose load is not known may be busy, and is left as it is.
        let has = view.deletion_cost.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        if cost != has && (known || !pod.serves()) {
            found.push((view.name.clone(), cost));
        }
    }
    found.truncate(MOST);
    found
}

/// Marks pods; what cannot be marked in time is not, since the choice is a favour and no duty.
pub(crate) async fn mark(client: &Client, namespace: &str, costs: Vec<(String, i32)>) -> Result<(), String> {
    let pods: Api<KubePod> = Api::namespaced(client.clone(), namespace);
    let marks = stream::iter(costs).map(|(name, cost)| {
        let pods = pods.clone();
        async move {
            let patch = json!({ "metadata": { "annotations": { DELETION_COST: cost.to_string() } } });
            let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            pods.patch_metadata(&name, &params, &Patch::Merge(patch)).await.map(|_| ())
        }
    });
    let all = marks.buffer_unordered(AT_ONCE).fold(Ok(()), |all: Result<(), String>, one| {
        let one = one.map_err(|error| crate::said::said(&error));
        std::future::ready(all.and(one))
    });
    tokio::time::timeout(DEADLINE, all).await.unwrap_or_else(|_| Err("not in time".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscaler_core::{Reading, Timestamp};

    fn pod(name: &str, load: Option<f64>, cost: Option<&str>) -> (Arc<PodView>, Pod) {
        let object = json!({"metadata": {"name": name, "annotations": cost.map(|cost| json!({DELETION_COST: cost}))}});
        let mut pod = Pod::ready(name, Timestamp(0));
        if let Some(load) = load {
            pod.metrics.insert("m".to_owned(), Reading::Fresh(load));
        }
        (Arc::new(PodView::of(serde_json::from_value(object).unwrap())), pod)
    }

    #[test]
    fn the_least_busy_have_the_lowest_cost_and_only_changes_are_written() {
        let all = [pod("busy", Some(7.0), None), pod("idle", Some(0.0), None), pod("known", Some(2.5), Some("250"))];
        let (views, pods): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        assert_eq!(costs(&views, &pods), [("busy".to_owned(), 700)]);
    }

    #[test]
    fn a_pod_whose_load_is_not_known_is_left_as_it_is() {
        let (view, pod) = pod("a", None, Some("900"));
        assert_eq!(costs(&[view], &[pod]), []);
    }

    #[test]
    fn a_pod_that_does_not_serve_goes_first() {
        let (view, mut pod) = pod("a", Some(9.0), Some("900"));
        pod.ready = Some(false);
        assert_eq!(costs(&[view], &[pod]), [("a".to_owned(), 0)]);
    }
}
