//! When targets change: one watch of metadata for each kind, so that `/scale` is read only where its object has a new revision.

use super::kinds::Kind;
use crate::admin::Metrics;
use futures_util::StreamExt;
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::task::AbortHandle;

/// The watches, begun when a kind is first asked for.
pub(crate) struct Watch {
    client: Client,
    namespace: Option<String>,
    metrics: Metrics,
    kinds: Mutex<BTreeMap<String, (Arc<Revisions>, AbortHandle)>>,
}

/// Kinds that are watched; targets of more are read at each tick.
const MAX_KINDS: usize = 64;

#[derive(Debug, Default)]
struct Revisions(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<(String, String), String>,
    listing: BTreeMap<(String, String), String>,
    /// Whether what is known is whole and followed.
    follows: bool,
}

impl Watch {
    pub(crate) fn new(client: Client, namespace: Option<String>, metrics: Metrics) -> Self {
        Self { client, namespace, metrics, kinds: Mutex::default() }
    }

    /// The revision of an object; none where the kind is not followed (yet), and the object has to be read.
    pub(crate) fn revision(&self, kind: &Kind, namespace: &str, name: &str) -> Option<String> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{}/{}", kind.resource.api_version, kind.resource.kind);
        if let Some((revisions, _)) = kinds.get(&key) {
            let state = revisions.0.read().unwrap_or_else(PoisonError::into_inner);
            let known = state.known.get(&(namespace.to_owned(), name.to_owned()));
            return known.filter(|_| state.follows).cloned();
        }
        if kinds.len() < MAX_KINDS {
            let revisions = Arc::new(Revisions::default());
            let task = tokio::spawn(follow(
                self.client.clone(),
                self.namespace.clone(),
                kind.resource.clone(),
                Arc::clone(&revisions),
                self.metrics.clone(),
            ));
            kinds.insert(key, (revisions, task.abort_handle()));
        }
        None
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (_, task) in self.kinds.lock().unwrap_or_else(PoisonError::into_inner).values() {
            task.abort();
        }
    }
}

impl Revisions {
    fn take(&self, event: Event<PartialObjectMeta<DynamicObject>>) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let entry = |object: &PartialObjectMeta<DynamicObject>| {
            let key = (object.namespace().unwrap_or_default(), object.name_any());
            (key, object.resource_version().unwrap_or_default())
        };
        match event {
            Event::Init => state.listing.clear(),
            Event::InitApply(object) => {
                let (key, revision) = entry(&object);
                state.listing.insert(key, revision);
            }
            Event::InitDone => {
                state.known = std::mem::take(&mut state.listing);
                state.follows = true;
            }
            Event::Apply(object) => {
                let (key, revision) = entry(&object);
                state.known.insert(key, revision);
                state.follows = true;
            }
            Event::Delete(object) => {
                state.known.remove(&entry(&object).0);
                state.follows = true;
            }
        }
    }

    /// The stream broke: until it has brought something again, objects are read.
    fn lost(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).follows = false;
    }
}

async fn follow(
    client: Client,
    namespace: Option<String>,
    resource: ApiResource,
    revisions: Arc<Revisions>,
    metrics: Metrics,
) {
    let api: Api<PartialObjectMeta<DynamicObject>> = match &namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let mut events = std::pin::pin!(watcher(api, Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => revisions.take(event),
            Err(error) => {
                revisions.lost();
                metrics.watch_failed(&resource.plural, &error);
            }
        }
    }
}
