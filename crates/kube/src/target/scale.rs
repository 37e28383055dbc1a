//! A target's count: `/scale`, and what has none. Writes carry the revision that was read, so that nobody's change is undone.

use super::error::TargetError;
use super::kinds::Kind;
use super::storm;
use crate::pods::Selector;
use autoscaler_api::resolved::Target;
use k8s_openapi::api::autoscaling::v1::Scale;
use kube::api::{DynamicObject, PostParams};
use kube::{Api, Client};
use std::time::Duration;

/// A target that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScaleView {
    /// What is wanted of it now.
    pub(crate) replicas: u32,
    /// What exists by its own account.
    pub(crate) status_replicas: Option<u32>,
    /// Its pods.
    pub(crate) selector: Selector,
    pub(crate) revision: Option<String>,
    /// What it was read from, to be written back with another count.
    pub(super) read: Read,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Read {
    Scale(Box<Scale>),
    /// The role's place in the template.
    Role(usize),
}

/// How a target's count is read and written.
#[derive(Debug, Clone)]
pub(crate) enum ScaleTarget {
    /// By `/scale`.
    Scale { api: Api<DynamicObject>, kind: Kind, name: String },
    /// A role of a `StormService`, which has no `/scale` of its own.
    Role { api: Api<DynamicObject>, name: String, role: String },
}

/// A request takes no longer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Who writes, for the server's records.
pub(crate) const MANAGER: &str = "aibrix-autoscaler";

impl ScaleTarget {
    /// How the target is scaled.
    pub(crate) fn of(client: &Client, namespace: &str, kind: Kind, target: &Target) -> Result<Self, TargetError> {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind.resource);
        let name = target.name.clone();
        match &target.role {
            Some(role) if !target.whole_storm_service => {
                if kind.resource.kind != storm::KIND {
                    let message = format!("subTargetSelector.roleName needs a {}, not a {}", storm::KIND, target.kind);
                    return Err(TargetError::Unusable(message));
                }
                Ok(Self::Role { api, name, role: role.clone() })
            }
            _ if kind.scales => Ok(Self::Scale { api, kind, name }),
            _ => Err(TargetError::NoScale(target.kind.clone())),
        }
    }

    /// Reads it.
    pub(crate) async fn get(&self) -> Result<ScaleView, TargetError> {
        within(async {
            match self {
                Self::Scale { api, kind, name } => {
                    let object = format!("{} {name}", kind.resource.kind);
                    let scale = api.get_scale(name).await.map_err(|error| TargetError::of(&error, &object))?;
                    view(scale, kind, name)
                }
                Self::Role { api, name, role } => storm::get(api, name, role).await,
            }
        })
        .await
    }

    /// Writes another count; fails with [`TargetError::Changed`] where somebody else has written since it was read.
    pub(crate) async fn set(&self, seen: &ScaleView, replicas: u32) -> Result<(), TargetError> {
        let count = i32::try_from(replicas).unwrap_or(i32::MAX);
        within(async {
            match (self, &seen.read) {
                (Self::Scale { api, kind, name }, Read::Scale(scale)) => {
                    let mut scale = (**scale).clone();
                    scale.spec.get_or_insert_default().replicas = Some(count);
                    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
                    let object = format!("{} {name}", kind.resource.kind);
                    let written = api.replace_scale(name, &params, &scale).await;
                    written.map(|_| ()).map_err(|error| TargetError::of(&error, &object))
                }
                (Self::Role { api, name, role }, Read::Role(place)) => {
                    storm::set(api, name, role, *place, seen.replicas, count).await
                }
                _ => Err(TargetError::Changed),
            }
        })
        .await
    }
}

async fn within<T>(work: impl Future<Output = Result<T, TargetError>>) -> Result<T, TargetError> {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or(Err(TargetError::TimedOut))
}

fn view(scale: Scale, kind: &Kind, name: &str) -> Result<ScaleView, TargetError> {
    let status = scale.status.clone().unwrap_or_default();
    let mut selector = if kind.resource.kind == storm::KIND {
        storm::selector(name, None)
    } else {
        Selector::parse(status.selector.as_deref().unwrap_or_default()).map_err(TargetError::Unusable)?
    };
    // AIBrix scales a cluster of Ray by its heads: workers serve no metrics (`RayClusterFleet`).
    if kind.resource.kind == "RayClusterFleet" {
        selector.and("ray.io/node-type", "head");
    }
    Ok(ScaleView {
        replicas: count(scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0)),
        status_replicas: Some(count(status.replicas)),
        selector,
        revision: scale.metadata.resource_version.clone(),
        read: Read::Scale(Box::new(scale)),
    })
}

/// A count that the server gave; it has no negative ones.
pub(super) fn count(given: i32) -> u32 {
    u32::try_from(given).unwrap_or(0)
}
