//! One target: what kind of thing it is, and reading and writing its replicas.

use super::error::TargetError;
use super::kinds::Kind;
use super::{plain, storm};
use crate::pods::Grouping;
use autoscaler_api::resolved::Target;
use kube::Client;
use std::sync::Arc;

/// The name that our writes carry in `managedFields`.
pub(crate) const FIELD_MANAGER: &str = "aibrix-autoscaler";

const AIBRIX_GROUP: &str = "orchestration.aibrix.ai";
const LEADER_WORKER_GROUP: &str = "leaderworkerset.x-k8s.io";

/// An object by kind, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: Arc<Kind>,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Object {
    /// As a person calls it: `Deployment ml/llama`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}/{}", self.kind.resource.kind, self.namespace, self.name)
    }

    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.kind.resource.group == group && self.kind.resource.kind == kind
    }

    pub(crate) fn is_ray_cluster_fleet(&self) -> bool {
        self.is(AIBRIX_GROUP, "RayClusterFleet")
    }

    pub(crate) fn is_leader_worker_set(&self) -> bool {
        self.is(LEADER_WORKER_GROUP, "LeaderWorkerSet")
    }
}

/// What is scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScaleTarget {
    /// Any kind with `/scale`.
    Scale(Object),
    /// A role of a `StormService`: its replicas within each `RoleSet`.
    StormServiceRole(Object, String),
    /// A `StormService`: its number of `RoleSet`s. With a role, only that role's pods are looked at.
    StormServiceWhole(Object, Option<String>),
}

/// A target as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScaleView {
    /// The replicas that are wanted.
    pub(crate) replicas: u32,
    /// The replicas that exist; none where the target does not say.
    pub(crate) status_replicas: Option<u32>,
    /// Selects its pods; empty where the target has no selector, and then nothing is known of its pods.
    pub(crate) selector: String,
    /// What a write must find unchanged.
    pub(crate) resource_version: String,
    /// Tells the object from a later one of the same name.
    pub(crate) uid: String,
    /// Where a JSON patch must write, where there is no `/scale` for it.
    pub(super) slot: Option<storm::Slot>,
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    /// Written; the object's new version, to tell our own change from others'.
    Done(String),
    /// It already had that many: nothing was sent.
    Unchanged,
}

impl ScaleTarget {
    /// What an autoscaler's `scaleTargetRef` means for a kind. The namespace is the autoscaler's.
    pub(crate) fn new(target: &Target, kind: Arc<Kind>, namespace: &str) -> Result<Self, TargetError> {
        let object = Object { kind, namespace: namespace.to_owned(), name: target.name.clone() };
        let title = object.title();
        if !object.kind.namespaced {
            return Err(TargetError::Refused(format!(
                "{title} is not in a namespace: only namespaced kinds are scaled"
            )));
        }
        // The name becomes part of a path.
        if object.name.is_empty() || object.name.contains(['/', '?', '#', '%']) {
            return Err(TargetError::Refused(format!("{:?} is no name of an object", object.name)));
        }
        let role = target.role.clone().filter(|role| !role.is_empty());
        if object.is(AIBRIX_GROUP, "StormService") {
            return Ok(match role {
                Some(role) if !target.whole_storm_service => Self::StormServiceRole(object, role),
                role => Self::StormServiceWhole(object, role),
            });
        }
        if let Some(role) = role {
            return Err(TargetError::Refused(format!("{title} has no roles (role {role:?}): only a StormService has")));
        }
        if !object.kind.scale {
            return Err(TargetError::NoScale(title));
        }
        Ok(Self::Scale(object))
    }

    /// The object that is read and written.
    pub(crate) fn object(&self) -> &Object {
        match self {
            Self::Scale(object) | Self::StormServiceRole(object, _) | Self::StormServiceWhole(object, _) => object,
        }
    }

    /// What one replica is, in pods.
    pub(crate) fn grouping(&self) -> Grouping {
        match self {
            Self::Scale(object) if object.is_leader_worker_set() => Grouping::LeaderWorkerSet,
            Self::Scale(_) => Grouping::EachPod,
            Self::StormServiceRole(..) => Grouping::AcrossRoleSets,
            Self::StormServiceWhole(..) => Grouping::RoleSet,
        }
    }

    /// Whether the `ReplicaSet` controller chooses which pods go, which honours their deletion cost.
    pub(crate) fn honours_deletion_cost(&self) -> bool {
        let object = self.object();
        object.is("apps", "Deployment") || object.is("apps", "ReplicaSet")
    }

    /// Reads it.
    pub(crate) async fn get(&self, client: &Client) -> Result<ScaleView, TargetError> {
        match self {
            Self::Scale(object) => plain::get(client, object).await,
            Self::StormServiceRole(object, role) => storm::get_role(client, object, role).await,
            Self::StormServiceWhole(object, role) => storm::get_whole(client, object, role.as_deref()).await,
        }
    }

    /// Writes its replicas, unless it has changed since it was read.
    pub(crate) async fn set(&self, client: &Client, seen: &ScaleView, replicas: u32) -> Result<Written, TargetError> {
        if replicas == seen.replicas {
            return Ok(Written::Unchanged);
        }
        match (self, &seen.slot) {
            (_, Some(slot)) => storm::set(client, self.object(), slot, replicas).await,
            (_, None) => plain::set(client, self.object(), seen, replicas).await,
        }
    }
}

/// A count as the API has it (a signed integer), as ours.
pub(super) fn count(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}

/// A count of ours as the API takes it.
pub(super) fn wire(replicas: u32) -> i32 {
    i32::try_from(replicas).unwrap_or(i32::MAX)
}
