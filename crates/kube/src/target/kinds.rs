//! From `apiVersion` and `kind` to the path that serves it, and whether it has `/scale`. Asked once, then remembered.

use super::call::{About, call};
use super::error::TargetError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResourceList};
use kube::Client;
use kube::core::{ApiResource, DynamicObject, Resource as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A CRD may be installed, or get its `/scale`, at any time.
const ABSENT_FOR: Duration = Duration::from_secs(60);
/// A CRD may also lose a version while we run.
const PRESENT_FOR: Duration = Duration::from_secs(600);
/// Enough that a thousand autoscalers do not each ask a server that is in trouble.
const TROUBLE_FOR: Duration = Duration::from_secs(5);
/// Users name kinds, so their number needs a bound; beyond it the cache begins anew.
const MOST_KINDS: usize = 256;
/// Kubernetes' own groups have had at most five.
const MOST_VERSIONS: usize = 8;

/// A kind that the server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Where it is served.
    pub(crate) resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub(crate) namespaced: bool,
    /// Whether `/scale` is served in this version.
    pub(crate) scale: bool,
}

impl Kind {
    /// The path of the kind's objects in a namespace.
    pub(crate) fn path(&self, namespace: &str) -> String {
        DynamicObject::url_path(&self.resource, Some(namespace))
    }

    /// As RBAC calls it: `deployments.apps`.
    pub(crate) fn rbac_name(&self) -> String {
        let ApiResource { group, plural, .. } = &self.resource;
        if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") }
    }

    /// What tells it from every other kind, the version included: a version may cease to be served.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.resource.api_version, self.resource.plural)
    }
}

type Outcome = Result<Arc<Kind>, TargetError>;
/// One slot per kind, locked while it is asked about: many autoscalers of one kind ask once.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Outcome)>>>;

/// Kinds, remembered.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    slots: Mutex<HashMap<(String, String), Slot>>,
}

impl Kinds {
    /// Finds a kind: from memory, else by asking the server.
    pub(crate) async fn resolve(&self, client: &Client, api_version: &str, kind: &str) -> Outcome {
        let slot = self.slot(api_version, kind);
        let mut slot = slot.lock().await;
        if let Some((until, outcome)) = slot.as_ref()
            && Instant::now() < *until
        {
            return outcome.clone();
        }
        let outcome = discover(client, api_version, kind).await.map(Arc::new);
        let known_before = slot.take().and_then(|(_, outcome)| outcome.ok());
        let (lasts, outcome) = match (outcome, known_before) {
            // A server in trouble does not unmake a kind.
            (Err(error), Some(known)) if error.transient() => (TROUBLE_FOR, Ok(known)),
            (Err(error), _) if error.transient() => (TROUBLE_FOR, Err(error)),
            (Ok(found), _) if found.scale => (PRESENT_FOR, Ok(found)),
            (outcome, _) => (ABSENT_FOR, outcome),
        };
        *slot = Some((Instant::now() + lasts, outcome.clone()));
        outcome
    }

    /// Forgets a kind, for when its path has turned out to lead nowhere.
    pub(crate) fn forget(&self, api_version: &str, kind: &str) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.remove(&(api_version.to_owned(), kind.to_owned()));
    }

    fn slot(&self, api_version: &str, kind: &str) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (api_version.to_owned(), kind.to_owned());
        if slots.len() >= MOST_KINDS && !slots.contains_key(&key) {
            slots.clear();
        }
        slots.entry(key).or_default().clone()
    }
}

/// The named version where it has `/scale`, else any version of the group that has, else any that has the kind at all.
async fn discover(client: &Client, api_version: &str, kind: &str) -> Result<Kind, TargetError> {
    let api_version = if api_version.is_empty() { usual_version(kind)? } else { api_version };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if version.is_empty() || kind.is_empty() || !plain(group) || !plain(version) {
        return Err(TargetError::NoKind(format!(
            "{api_version:?}, {kind:?} is no apiVersion and kind, such as apps/v1, Deployment"
        )));
    }
    let named = served(client, group, version, kind).await?;
    if named.as_ref().is_some_and(|kind| kind.scale) || group.is_empty() {
        return named.ok_or_else(|| no_kind(api_version, kind, &[]));
    }
    let Some(versions) = versions(client, group).await? else {
        let text = format!("the server serves no API group {group} (for {kind}): is its CRD installed?");
        return named.ok_or(TargetError::NoKind(text));
    };
    let mut best = named;
    for other in versions.iter().filter(|other| *other != version).take(MOST_VERSIONS) {
        match served(client, group, other, kind).await? {
            Some(found) if found.scale => return Ok(found),
            found => best = best.or(found),
        }
    }
    best.ok_or_else(|| no_kind(api_version, kind, &versions))
}

fn no_kind(api_version: &str, kind: &str, versions: &[String]) -> TargetError {
    let versions = if versions.is_empty() { String::new() } else { format!(", nor in any of {}", versions.join(", ")) };
    TargetError::NoKind(format!("the server serves no kind {kind} in {api_version}{versions}: check its spelling"))
}

/// `scaleTargetRef.apiVersion` is optional; these are what its absence has always meant.
fn usual_version(kind: &str) -> Result<&'static str, TargetError> {
    match kind {
        "Deployment" | "StatefulSet" | "ReplicaSet" => Ok("apps/v1"),
        "LeaderWorkerSet" => Ok("leaderworkerset.x-k8s.io/v1"),
        "StormService" | "RayClusterFleet" => Ok("orchestration.aibrix.ai/v1alpha1"),
        _ => Err(TargetError::NoKind(format!("scaleTargetRef of kind {kind} needs an apiVersion"))),
    }
}

/// The group of an `apiVersion`, or what its absence means.
pub(crate) fn group_of<'a>(api_version: &'a str, kind: &str) -> &'a str {
    let named = if api_version.is_empty() { usual_version(kind).unwrap_or_default() } else { api_version };
    named.rsplit_once('/').map_or("", |(group, _)| group)
}

const ABOUT: About<'static> = About { verb: "get", resource: "API discovery (/apis)", object: "API discovery" };

fn absent_is_none<T>(answer: Result<T, TargetError>) -> Result<Option<T>, TargetError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(TargetError::NotFound(_) | TargetError::NoScale(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn ask<T: serde::de::DeserializeOwned>(client: &Client, path: &str) -> Result<Option<T>, TargetError> {
    let request = http::Request::get(path).body(Vec::new()).map_err(kube::core::request::Error::BuildRequest);
    absent_is_none(call(client, request, ABOUT).await)
}

async fn versions(client: &Client, group: &str) -> Result<Option<Vec<String>>, TargetError> {
    let found: Option<APIGroup> = ask(client, &format!("/apis/{group}")).await?;
    Ok(found.map(|group| group.versions.into_iter().map(|version| version.version).collect()))
}

async fn served(client: &Client, group: &str, version: &str, kind: &str) -> Result<Option<Kind>, TargetError> {
    let (path, api_version) = if group.is_empty() {
        (format!("/api/{version}"), version.to_owned())
    } else {
        (format!("/apis/{group}/{version}"), format!("{group}/{version}"))
    };
    let Some(list) = ask::<APIResourceList>(client, &path).await? else { return Ok(None) };
    let Some(found) = list.resources.iter().find(|one| one.kind == kind && !one.name.contains('/')) else {
        return Ok(None);
    };
    let scale = format!("{}/scale", found.name);
    Ok(Some(Kind {
        resource: ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: found.name.clone(),
        },
        namespaced: found.namespaced,
        scale: list.resources.iter().any(|one| one.name == scale),
    }))
}
