//! From pods to the replicas that the core decides about.
//!
//! Decisions made here:
//! - Pods that have ended (evicted ones stay as Failed for hours) are left out, as HPA leaves them out.
//! - While a rollout surges, more pods exist than are wanted. Those that serve all count: they carry load, which the core
//!   divides by its target. Those that are starting count as capacity on its way only up to the wanted count, since what is
//!   above takes the place of a pod that will go. Else a stuck new revision would look like a shortage that is being met.
//!   The youngest are kept: they are the least likely to be stuck.
//! - `started_at` is the creation, so that a pod counts as stuck from when it was asked for, scheduled or not.
//! - A pod whose node does not answer is `Unknown`: neither capacity nor on its way.

use super::group::{Group, Grouping, groups};
use super::view::PodView;
use autoscaler_core::observe::{Phase, Pod};
use autoscaler_core::time::{Span, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One replica.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Replica {
    /// What the core sees of it; metrics and usage are to be filled in.
    pub(crate) pod: Pod,
    /// The pods whose metrics are read; its metric is the mean over those that serve.
    pub(crate) leaders: Vec<Arc<PodView>>,
    /// All of its pods; its usage is the sum over them, divided by `share`.
    pub(crate) members: Vec<Arc<PodView>>,
    /// See `members`; 1 unless several pods serve alike.
    pub(crate) share: u32,
}

/// The replicas of a target.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Replicas {
    /// By name.
    pub(crate) list: Vec<Replica>,
    /// Pods that have ended, left out.
    pub(crate) ended: usize,
    /// Replicas that are starting beyond what is wanted (a rollout's surge), left out.
    pub(crate) surplus: usize,
}

/// Makes replicas of a target's pods. `wanted` is the target's `spec.replicas`.
pub(crate) fn replicas(pods: &[Arc<PodView>], grouping: Grouping, wanted: u32, now: Timestamp) -> Replicas {
    let living: Vec<_> = pods.iter().filter(|pod| !pod.ended()).cloned().collect();
    let mut list: Vec<Replica> = groups(&living, grouping).into_iter().map(|group| combine(group, now)).collect();
    let surplus = without_surplus(&mut list, wanted);
    list.sort_by(|a, b| a.pod.name.cmp(&b.pod.name));
    Replicas { list, ended: pods.len() - living.len(), surplus }
}

/// Takes out what starts beyond the wanted count, oldest first; says how many.
fn without_surplus(list: &mut Vec<Replica>, wanted: u32) -> usize {
    let serving = list.iter().filter(|replica| replica.pod.serves()).count();
    let room = usize::try_from(wanted).unwrap_or(usize::MAX).saturating_sub(serving);
    let mut starting: Vec<_> = list.iter().map(|one| &one.pod).filter(|pod| pod.starting()).collect();
    starting.sort_by_key(|pod| (Reverse(pod.started_at), pod.name.clone()));
    let out: BTreeSet<String> = starting.into_iter().skip(room).map(|pod| pod.name.clone()).collect();
    list.retain(|replica| !out.contains(&replica.pod.name));
    out.len()
}

fn combine(group: Group, now: Timestamp) -> Replica {
    let Group { name, leaders, members, complete, share } = group;
    let newest = leaders.iter().chain(&members).take(leaders.len().max(1)).map(|pod| pod.created).max();
    let pod = Pod {
        name,
        phase: phase(&leaders, &members, complete),
        ready: ready(&leaders, &members, complete),
        deleting: members.iter().all(|pod| pod.deleting),
        started_at: newest,
        ready_at: members.iter().filter_map(|pod| pod.ready_at).max(),
        metrics: BTreeMap::new(),
        usage: BTreeMap::new(),
        usage_at: now,
        usage_window: Span::secs(60),
        requests: requests(&members, share),
    };
    Replica { pod, leaders, members, share }
}

/// A group is where the least of its pods is; one that lacks pods still waits for them.
fn phase(leaders: &[Arc<PodView>], members: &[Arc<PodView>], complete: bool) -> Phase {
    let any = |phase| members.iter().any(|pod| pod.phase == phase);
    if any(Phase::Unknown) {
        Phase::Unknown
    } else if !complete || leaders.is_empty() || any(Phase::Pending) {
        Phase::Pending
    } else {
        Phase::Running
    }
}

fn ready(leaders: &[Arc<PodView>], members: &[Arc<PodView>], complete: bool) -> Option<bool> {
    if leaders.iter().all(|pod| pod.ready.is_none()) {
        return None;
    }
    Some(complete && members.iter().all(|pod| pod.ready == Some(true)))
}

/// A resource that some pod does not request has no sum.
fn requests(members: &[Arc<PodView>], share: u32) -> BTreeMap<String, i64> {
    let mut sums: BTreeMap<&str, (i64, usize)> = BTreeMap::new();
    for (resource, amount) in members.iter().flat_map(|pod| pod.requests.iter()) {
        let (sum, pods) = sums.entry(resource).or_default();
        *sum = sum.saturating_add(*amount);
        *pods += 1;
    }
    let whole = sums.into_iter().filter(|(_, (_, pods))| *pods == members.len());
    whole.map(|(resource, (sum, _))| (resource.to_owned(), sum / i64::from(share))).collect()
}
