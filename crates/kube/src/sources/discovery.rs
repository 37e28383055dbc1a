//! What of custom.metrics.k8s.io this cluster serves, and how described kinds are called there: asked once, and remembered
//! by whoever keeps the [`CustomApi`].

use super::error::{Needs, SourceError};
use super::get::{Get, get};
use super::list::Items;
use super::path::segment;
use kube::Client;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The API group of custom and object metrics.
pub(super) const GROUP: &str = "custom.metrics.k8s.io";

/// The versions that we speak, the preferred one first.
const VERSIONS: [&str; 2] = ["v1beta2", "v1beta1"];

/// Kinds that are remembered; manifests describe a handful. Beyond it all are forgotten, and asked for again.
const MAX_KINDS: usize = 256;

/// What is known of custom.metrics.k8s.io. One for each cluster: nothing in it belongs to an autoscaler.
#[derive(Debug, Default)]
pub(crate) struct CustomApi(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    version: Option<&'static str>,
    /// By API version and kind.
    kinds: BTreeMap<(String, String), Resource>,
}

/// How a kind is called in paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    /// The plural with its group, as in `deployments.apps` or `services`.
    pub(super) name: String,
    /// Whether its objects are in namespaces.
    pub(super) namespaced: bool,
}

impl CustomApi {
    /// The version to ask. That nobody serves the group is not remembered: an adapter may be installed at any time.
    pub(super) async fn version(&self, client: &Client) -> Result<&'static str, SourceError> {
        if let Some(version) = self.known().version {
            return Ok(version);
        }
        let path = format!("/apis/{GROUP}");
        let needs = Needs::Path(path.clone());
        let group: Group = get(client, Get { path, group: GROUP, needs }).await?;
        let served: Vec<_> = group.versions.0.into_iter().flatten().map(|one| one.version).collect();
        let version = VERSIONS.into_iter().find(|ours| served.iter().any(|one| one == ours));
        let version = version.ok_or_else(|| SourceError::Version {
            group: GROUP.to_owned(),
            served: super::error::words(&served.join(", ")),
        })?;
        self.known().version = Some(version);
        Ok(version)
    }

    /// An answer of the version that was asked; where it is not served any more, the next call looks again.
    pub(super) fn checked<T>(&self, answer: Result<T, SourceError>) -> Result<T, SourceError> {
        if matches!(answer, Err(SourceError::NotInstalled { .. })) {
            self.known().version = None;
        }
        answer
    }

    /// How a kind is called. What an API version serves is asked for once for each kind.
    pub(super) async fn resource(
        &self,
        client: &Client,
        api_version: &str,
        kind: &str,
    ) -> Result<Resource, SourceError> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.known().kinds.get(&key) {
            return Ok(known.clone());
        }
        let resource = ask(client, api_version, kind).await?;
        let mut known = self.known();
        if known.kinds.len() >= MAX_KINDS {
            known.kinds.clear();
        }
        known.kinds.insert(key, resource.clone());
        Ok(resource)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(client: &Client, api_version: &str, kind: &str) -> Result<Resource, SourceError> {
    let what = "described object's API version";
    let (group, path) = match api_version.split_once('/') {
        None => ("", format!("/api/{}", segment(what, api_version)?)),
        Some((group, version)) => (group, format!("/apis/{}/{}", segment(what, group)?, segment(what, version)?)),
    };
    let needs = Needs::Path(path.clone());
    let list: ResourceList = get(client, Get { path, group: api_version, needs }).await?;
    // A subresource has its parent's kind, or another one.
    let mut resources = list.resources.0.into_iter().flatten();
    let found = resources.find(|one| one.kind == kind && !one.name.contains('/'));
    let found =
        found.ok_or_else(|| SourceError::NotFound(format!("the API version {api_version} has no kind {kind:?}")))?;
    let name = if group.is_empty() { found.name } else { format!("{}.{group}", found.name) };
    Ok(Resource { name, namespaced: found.namespaced })
}

#[derive(Deserialize)]
struct Group {
    versions: Items<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct ResourceList {
    resources: Items<ApiResource>,
}

#[derive(Deserialize)]
struct ApiResource {
    name: String,
    kind: String,
    #[serde(default)]
    namespaced: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{answering, versions};
    use serde_json::json;

    const PATH: &str = "/apis/custom.metrics.k8s.io";

    #[tokio::test]
    async fn the_newer_version_is_preferred_and_the_older_taken_where_it_is_alone() {
        for (served, expected) in [(&["v1beta1", "v1beta2"][..], "v1beta2"), (&["v1beta1"], "v1beta1")] {
            let (client, done) = answering([(PATH, 200, versions(served))]);
            let api = CustomApi::default();
            for _ in 0..3 {
                assert_eq!(api.version(&client).await, Ok(expected), "asked once");
            }
            done.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_version_of_the_future_is_named() {
        let (client, done) = answering([(PATH, 200, versions(&["v1", "v2"]))]);
        let refused = CustomApi::default().version(&client).await.unwrap_err().to_string();
        done.await.unwrap();
        assert!(refused.starts_with("custom.metrics.k8s.io is served as v1, v2 only"), "{refused}");
    }

    #[tokio::test]
    async fn an_adapter_that_is_installed_later_is_found() {
        let absent = "404 page not found".to_owned();
        let (client, done) = answering([(PATH, 404, absent), (PATH, 200, versions(&["v1beta2"]))]);
        let api = CustomApi::default();
        assert_eq!(api.version(&client).await, Err(SourceError::NotInstalled { group: GROUP.to_owned() }));
        assert_eq!(api.version(&client).await, Ok("v1beta2"));
        done.await.unwrap();
    }

    #[tokio::test]
    async fn kinds_are_found_by_what_an_api_version_serves_and_remembered() {
        let apps = json!({"resources": [
            {"name": "deployments/scale", "kind": "Scale", "namespaced": true},
            {"name": "deployments/status", "kind": "Deployment", "namespaced": true},
            {"name": "deployments", "kind": "Deployment", "namespaced": true}]});
        let core = json!({"resources": [{"name": "nodes", "kind": "Node", "namespaced": false}]});
        let (client, done) = answering([
            ("/apis/apps/v1", 200, apps.to_string()),
            ("/api/v1", 200, core.to_string()),
            ("/apis/apps/v1", 200, apps.to_string()),
        ]);
        let api = CustomApi::default();
        for _ in 0..2 {
            let deployment = Resource { name: "deployments.apps".to_owned(), namespaced: true };
            assert_eq!(api.resource(&client, "apps/v1", "Deployment").await, Ok(deployment));
            let node = Resource { name: "nodes".to_owned(), namespaced: false };
            assert_eq!(api.resource(&client, "v1", "Node").await, Ok(node));
        }
        let other = api.resource(&client, "apps/v1", "Sharding").await.unwrap_err().to_string();
        assert_eq!(other, "not found: the API version apps/v1 has no kind \"Sharding\"");
        let odd = api.resource(&client, "../../x", "Node").await;
        assert!(matches!(odd, Err(SourceError::Unaskable(_))), "{odd:?}");
        done.await.unwrap();
    }
}
