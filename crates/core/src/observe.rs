//! What a world saw of one target at one time. Must not know where it came from.

use crate::reading::Reading;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The phase of a pod (or of the process that stands for one).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Phase {
    /// Accepted, not running yet.
    Pending,
    /// Running, ready or not.
    #[default]
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Its node does not answer.
    Unknown,
}

/// One pod of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Unique within the target.
    pub name: String,
    /// Its phase.
    pub phase: Phase,
    /// The readiness condition; none where the pod has no such condition yet.
    pub ready: Option<bool>,
    /// A deletion timestamp is set, or the replica drains.
    pub deleting: bool,
    /// When it started; none where it has not.
    pub started_at: Option<Timestamp>,
    /// When readiness last changed.
    pub ready_at: Option<Timestamp>,
    /// Values per replica, keyed by source.
    pub metrics: BTreeMap<String, Reading>,
    /// Resource usage in thousandths of the unit (millicores, milli-bytes), keyed by resource.
    pub usage: BTreeMap<String, i64>,
    /// When the usage was measured.
    pub usage_at: Timestamp,
    /// The span that the usage was averaged over.
    pub usage_window: Span,
    /// Resource requests in thousandths of the unit, keyed by resource.
    pub requests: BTreeMap<String, i64>,
}

impl Pod {
    /// A running, ready pod that started long before `now` and reports nothing.
    #[must_use]
    pub fn ready(name: impl Into<String>, now: Timestamp) -> Self {
        Self {
            name: name.into(),
            phase: Phase::Running,
            ready: Some(true),
            deleting: false,
            started_at: Some(long_before(now)),
            ready_at: Some(long_before(now)),
            metrics: BTreeMap::new(),
            usage: BTreeMap::new(),
            usage_at: now,
            usage_window: Span::secs(60),
            requests: BTreeMap::new(),
        }
    }

    /// Serves now: running, ready, and not on its way out.
    #[must_use]
    pub fn serves(&self) -> bool {
        !self.deleting && self.phase == Phase::Running && self.ready == Some(true)
    }

    /// Is on its way to serving: neither ended nor leaving, and not ready yet.
    #[must_use]
    pub fn starting(&self) -> bool {
        !self.deleting && !self.serves() && matches!(self.phase, Phase::Pending | Phase::Running)
    }
}

/// A time long enough before `now` that no start-up rule applies any more.
#[must_use]
pub fn long_before(now: Timestamp) -> Timestamp {
    now - Span::secs(30 * 86_400)
}

/// One target as a world saw it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetObservation {
    /// The target's wanted replicas (`spec.replicas`).
    pub replicas: u32,
    /// The replicas that exist (`status.replicas`); none means as many as wanted.
    pub status_replicas: Option<u32>,
    /// Its pods; none where the world does not look at pods, which then all count as ready.
    pub pods: Option<Vec<Pod>>,
    /// Fleet-wide values keyed by source (external, object, and custom ones that are fleet-wide); several are summed.
    pub external: BTreeMap<String, Vec<Reading>>,
    /// Requests that a gateway holds because no replica serves; none where nobody holds requests.
    pub held: Option<f64>,
}

impl TargetObservation {
    /// Replicas that serve.
    #[must_use]
    pub fn ready(&self) -> u32 {
        match &self.pods {
            None => self.replicas,
            Some(pods) => count(pods.iter().filter(|pod| pod.serves())),
        }
    }

    /// Replicas that exist by the target's own account.
    #[must_use]
    pub fn existing(&self) -> u32 {
        self.status_replicas.unwrap_or(self.replicas)
    }
}

/// Counts into the type of replica counts; more than it holds saturates.
pub(crate) fn count<I: Iterator>(items: I) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}
