//! Which pods should go first at a scale-down: the least busy, by way of `controller.kubernetes.io/pod-deletion-cost`.
//!
//! The `ReplicaSet` controller takes, first, pods that are not assigned, not running or not ready, then those of the lowest
//! cost. No annotation means 0. So only the victims need one, below 0, and what a scale-down by `n` writes is at most `n`
//! patches, and those that an earlier one left behind. A cost that is not ours is a user's, and stays.

use super::view::{DELETION_COST, PodView};
use crate::target::TargetError;
use crate::target::{About, FIELD_MANAGER, call};
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::core::{PartialObjectMeta, Resource};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// What marks a victim: below what users give, and unlikely to be anybody else's.
pub(crate) const VICTIM: i32 = -1_414_213;

/// A cost to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cost {
    pub(crate) pod: Arc<PodView>,
    /// None takes the annotation away.
    pub(crate) cost: Option<i32>,
}

/// What must be written before `remove` replicas are taken away: the least busy of the pods that serve become victims,
/// earlier victims that are spared are no longer. `load` is any measure of what a pod does; a pod without one is taken
/// for busy, since a failed scrape is not idleness. At most `most` writes, victims first.
pub(crate) fn costs(
    pods: &[Arc<PodView>],
    load: impl Fn(&PodView) -> Option<f64>,
    remove: usize,
    most: usize,
) -> Vec<Cost> {
    let candidates = || pods.iter().filter(|pod| !pod.deleting && !pod.ended());
    // These go before any that serve, whatever their costs.
    let first = candidates().filter(|pod| !pod.serves()).count();
    let ours = |pod: &PodView| pod.deletion_cost.is_none_or(|cost| cost == VICTIM || cost == 0);
    let mut serving: Vec<(f64, &Arc<PodView>)> = candidates()
        .filter(|pod| pod.serves() && ours(pod))
        .map(|pod| (load(pod).filter(|load| load.is_finite()).unwrap_or(f64::INFINITY), pod))
        .collect();
    // Of equally busy ones the youngest goes, as the controller itself would choose: its cache is the coldest.
    serving.sort_by(|(a, one), (b, other)| {
        a.total_cmp(b).then_with(|| other.created.cmp(&one.created)).then_with(|| one.name.cmp(&other.name))
    });
    let doomed = remove.saturating_sub(first).min(serving.len());
    let (victims, spared) = serving.split_at(doomed);
    let marked = |pod: &PodView| pod.deletion_cost == Some(VICTIM);
    let mark = victims.iter().filter(|(_, pod)| !marked(pod)).map(|(_, pod)| (pod, Some(VICTIM)));
    let clear = spared.iter().filter(|(_, pod)| marked(pod)).map(|(_, pod)| (pod, None));
    mark.chain(clear).take(most).map(|(pod, cost)| Cost { pod: (*pod).clone(), cost }).collect()
}

/// Marks at once.
const AT_ONCE: usize = 8;
/// All marks take no longer: a scale-down does not wait for them.
const MARKING: Duration = Duration::from_secs(2);

/// Writes costs; what is not written in time is not, since the choice is a favour and no duty.
pub(crate) async fn mark(client: &Client, costs: &[Cost]) -> Result<(), TargetError> {
    let writes: Vec<_> = costs.iter().map(|cost| write(client, cost)).collect();
    let all = stream::iter(writes)
        .buffer_unordered(AT_ONCE)
        .fold(Ok(()), |all: Result<(), TargetError>, one| std::future::ready(all.and(one)));
    tokio::time::timeout(MARKING, all).await.unwrap_or(Err(TargetError::Timeout(MARKING)))
}

/// Writes one cost: a merge patch of the one annotation. The uid in it makes it fail for a later pod of the same name.
pub(super) async fn write(client: &Client, cost: &Cost) -> Result<(), TargetError> {
    let pod = &cost.pod;
    let title = format!("Pod {}/{}", pod.namespace, pod.name);
    let about = About { verb: "patch", resource: "pods", object: &title };
    let annotation = json!({DELETION_COST: cost.cost.map(|cost| cost.to_string())});
    let body = json!({"metadata": {"uid": pod.uid, "annotations": annotation}}).to_string().into_bytes();
    let path = format!("{}/{}?fieldManager={FIELD_MANAGER}", Pod::url_path(&(), Some(&pod.namespace)), pod.name);
    let request = http::Request::patch(path).header(CONTENT_TYPE, "application/merge-patch+json").body(body);
    let request = request.map_err(kube::core::request::Error::BuildRequest);
    call::<PartialObjectMeta<Pod>>(client, request, about).await.map(|_| ())
}
