//! A pod, trimmed to what a decision, a scrape or an event needs.

use super::pool::Pools;
use super::raw::{Condition, RawPod, Spec, Status};
use super::requests::requests;
use autoscaler_core::observe::Phase;
use autoscaler_core::time::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::net::IpAddr;
use std::sync::Arc;

/// A name with something.
pub(crate) type Named<T> = (Arc<str>, T);
/// Labels in the order of their keys.
pub(crate) type Labels = [(Arc<str>, Arc<str>)];

/// The annotation that the `ReplicaSet` controller reads when it chooses which pods go.
pub(crate) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const GROUP_SIZE: &str = "leaderworkerset.sigs.k8s.io/size";
/// An event's text is short, too.
const LONGEST_REASON: usize = 256;

/// One pod.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PodView {
    pub(crate) name: Box<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) uid: Box<str>,
    pub(crate) labels: Arc<Labels>,
    pub(crate) ip: Option<IpAddr>,
    /// Unknown also where the node has stopped answering, which the pod's own phase does not say.
    pub(crate) phase: Phase,
    /// The readiness condition; none where there is none yet.
    pub(crate) ready: Option<bool>,
    /// When readiness last changed.
    pub(crate) ready_at: Option<Timestamp>,
    pub(crate) created: Timestamp,
    pub(crate) deleting: bool,
    pub(crate) restarts: u32,
    /// Named ports of all containers.
    pub(crate) ports: Arc<[Named<u16>]>,
    /// Thousandths per resource; a resource that some container does not request is not there.
    pub(crate) requests: Arc<[Named<i64>]>,
    /// The most telling reason for which a container waits: `ImagePullBackOff`, `CrashLoopBackOff`, `ContainerCreating`.
    pub(crate) waiting: Option<Arc<str>>,
    /// Why the scheduler finds no node for it.
    pub(crate) unschedulable: Option<Arc<str>>,
    /// The deletion cost that it has.
    pub(crate) deletion_cost: Option<i32>,
    /// The pods of its `LeaderWorkerSet` group, where it is in one.
    pub(crate) group_size: Option<u32>,
}

impl PodView {
    /// Takes from a pod what is needed; none for an object without a name.
    pub(crate) fn read(pod: RawPod, pools: &mut Pools) -> Option<Self> {
        let (meta, spec, status) = (pod.metadata, pod.spec, pod.status.unwrap_or_default());
        let annotation = |key: &str| meta.annotations.as_ref().and_then(|all| all.get(key)).map(String::as_str);
        let ready = condition(&status, "Ready");
        let requested: Vec<(&str, i64)> = requests(&spec).into_iter().collect();
        let deletion_cost = annotation(DELETION_COST).and_then(|cost| cost.parse().ok());
        let group_size = annotation(GROUP_SIZE).and_then(|size| size.parse().ok());
        Some(Self {
            namespace: pools.text(meta.namespace.as_deref().unwrap_or_default()),
            uid: meta.uid.unwrap_or_default().into(),
            ip: status.pod_ip.as_deref().and_then(|ip| ip.parse().ok()),
            phase: phase(&status, ready),
            ready: ready.map(|ready| ready.status == "True"),
            ready_at: ready.and_then(|ready| ready.last_transition_time.as_ref()).map(timestamp),
            created: meta.creation_timestamp.as_ref().map_or(Timestamp(0), timestamp),
            deleting: meta.deletion_timestamp.is_some(),
            restarts: restarts(&status),
            ports: pools.ports(&ports(&spec)),
            requests: pools.amounts(&requested),
            waiting: waiting(&status).map(|reason| pools.text(reason)),
            unschedulable: unschedulable(&status).map(|why| pools.text(why)),
            deletion_cost,
            group_size,
            labels: pools.labels(meta.labels.into_iter().flatten()),
            name: meta.name?.into(),
        })
    }

    /// A label's value.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.binary_search_by(|(name, _)| name.as_ref().cmp(key)).ok()?;
        self.labels.get(found).map(|(_, value)| value.as_ref())
    }

    /// The number of a named port.
    pub(crate) fn port(&self, name: &str) -> Option<u16> {
        self.ports.iter().find(|(port, _)| port.as_ref() == name).map(|(_, number)| *number)
    }

    /// Has ended, well or badly (an evicted pod stays, as Failed, until somebody deletes it).
    pub(crate) fn ended(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Serves now.
    pub(crate) fn serves(&self) -> bool {
        !self.deleting && self.phase == Phase::Running && self.ready == Some(true)
    }
}

/// A time of the API in the core's terms.
pub(crate) fn timestamp(time: &Time) -> Timestamp {
    Timestamp(time.0.as_microsecond())
}

fn condition<'a>(status: &'a Status, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.kind == kind)
}

fn phase(status: &Status, ready: Option<&Condition>) -> Phase {
    match status.phase.as_deref() {
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        Some("Unknown") => Phase::Unknown,
        // The node controller sets this when a node stops answering; the phase stays what it was.
        _ if ready.is_some_and(|ready| ready.status == "Unknown") => Phase::Unknown,
        _ if status.reason.as_deref() == Some("NodeLost") => Phase::Unknown,
        Some("Running") => Phase::Running,
        _ => Phase::Pending,
    }
}

fn restarts(status: &Status) -> u32 {
    let each = status.container_statuses.iter().map(|container| container.restart_count);
    each.fold(0, |sum, count| sum.saturating_add(u32::try_from(count).unwrap_or(0)))
}

fn ports(spec: &Spec) -> Vec<(&str, u16)> {
    let containers = spec.containers.iter().chain(&spec.init_containers);
    let ports = containers.flat_map(|container| &container.ports);
    ports.filter_map(|port| Some((port.name.as_deref()?, u16::try_from(port.container_port).ok()?))).collect()
}

/// Anything else says more than that containers are being made.
fn waiting(status: &Status) -> Option<&str> {
    let all = status.init_container_statuses.iter().chain(&status.container_statuses);
    let reasons = all.filter_map(|container| container.state.waiting.as_ref()?.reason.as_deref());
    reasons.min_by_key(|reason| matches!(*reason, "ContainerCreating" | "PodInitializing"))
}

fn unschedulable(status: &Status) -> Option<&str> {
    let scheduled = condition(status, "PodScheduled")?;
    if scheduled.status != "False" {
        return None;
    }
    let why = scheduled.message.as_deref().or(scheduled.reason.as_deref()).unwrap_or("Unschedulable");
    let end = (0..=LONGEST_REASON.min(why.len())).rev().find(|end| why.is_char_boundary(*end)).unwrap_or(0);
    why.get(..end)
}
