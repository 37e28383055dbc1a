//! Watches a cluster: Deployments that AIBrix's label gives to a model, and profiles in `ConfigMap`s with the same label. Only
//! reads; must not decide anything.

use crate::config::{MAX_DEPLOYMENTS, MAX_REPLICAS};
use crate::fleet::Deployment;
use crate::service::{Offered, Optimizer, locked};
use futures_util::{Stream, StreamExt};
use k8s_openapi::api::apps::v1;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

/// The model that a Deployment serves, or that a profile is of: AIBrix's label.
const MODEL: &str = "model.aibrix.ai/name";
/// Fewest replicas: AIBrix's label.
const MIN: &str = "model.aibrix.ai/min_replicas";
/// Most replicas, GPU type, cost of a replica, and what AIBrix has no label for: labels or annotations of this project.
const MAX: &str = "model.aibrix.ai/max_replicas";
const GPU: &str = "model.aibrix.ai/gpu";
const COST: &str = "model.aibrix.ai/cost";
/// Profiles of one `ConfigMap`.
const MAX_PROFILES: usize = 100;

/// Watches until it is dropped. A watch that breaks is begun again; what was known stays.
pub(crate) async fn watch(config: kube::Config, optimizer: Arc<Optimizer>) {
    let client = match Client::try_from(config) {
        Ok(client) => client,
        Err(error) => return trouble(&optimizer, "the client", &error),
    };
    let only = || watcher::Config::default().labels(MODEL);
    let mut deployments = pin!(watcher(Api::<v1::Deployment>::all(client.clone()), only()).default_backoff());
    let mut profiles = pin!(watcher(Api::<ConfigMap>::all(client), only()).default_backoff());
    let mut world = World::default();
    loop {
        let whole = tokio::select! {
            whole = next(&mut deployments, &mut world.deployments, &optimizer, "Deployments") => whole,
            whole = next(&mut profiles, &mut world.profiles, &optimizer, "ConfigMaps") => whole,
        };
        // Before the first list is whole nothing is known to be gone.
        if whole && world.deployments.listed {
            optimizer.found(world.by_model(), world.profiles_by_model());
            if let Some(cluster) = &mut *locked(&optimizer.cluster) {
                cluster.synced = true;
                cluster.trouble = None;
            }
        }
    }
}

fn trouble(optimizer: &Optimizer, what: &str, error: &dyn std::fmt::Display) {
    let message = format!("{what}: {error}");
    if let Some(cluster) = &mut *locked(&optimizer.cluster) {
        if cluster.trouble.as_ref() != Some(&message) {
            tracing::warn!("the cluster cannot be watched: {message}; what was known is held");
        }
        cluster.trouble = Some(message);
    }
}

/// Takes the next event. Says whether the picture is whole after it.
async fn next<K: Resource>(
    events: &mut (impl Stream<Item = watcher::Result<Event<K>>> + Unpin),
    kept: &mut Kept<K>,
    optimizer: &Optimizer,
    what: &str,
) -> bool {
    match events.next().await {
        Some(Ok(event)) => kept.apply(event),
        Some(Err(error)) => {
            trouble(optimizer, what, &error);
            false
        }
        None => std::future::pending().await,
    }
}

/// The objects of one kind.
struct Kept<K> {
    live: BTreeMap<String, K>,
    /// A list that is still coming; the old picture stays until it is whole.
    coming: BTreeMap<String, K>,
    listed: bool,
    coming_now: bool,
}

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self { live: BTreeMap::new(), coming: BTreeMap::new(), listed: false, coming_now: false }
    }
}

fn key_of(meta: &ObjectMeta) -> String {
    format!("{}/{}", meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

impl<K: Resource> Kept<K> {
    fn apply(&mut self, event: Event<K>) -> bool {
        match event {
            Event::Init => {
                self.coming.clear();
                self.coming_now = true;
            }
            Event::InitApply(object) => _ = self.coming.insert(key_of(object.meta()), object),
            Event::InitDone => {
                self.live = std::mem::take(&mut self.coming);
                (self.listed, self.coming_now) = (true, false);
            }
            Event::Apply(object) => _ = self.live.insert(key_of(object.meta()), object),
            Event::Delete(object) => _ = self.live.remove(&key_of(object.meta())),
        }
        !self.coming_now
    }
}

#[derive(Default)]
struct World {
    deployments: Kept<v1::Deployment>,
    profiles: Kept<ConfigMap>,
}

impl World {
    fn by_model(&self) -> BTreeMap<String, BTreeMap<String, Deployment>> {
        let mut models: BTreeMap<String, BTreeMap<String, Deployment>> = BTreeMap::new();
        for object in self.deployments.live.values().filter(|object| object.metadata.deletion_timestamp.is_none()) {
            let Some(model) = said(&object.metadata, MODEL) else { continue };
            let of = models.entry(model.to_owned()).or_default();
            if of.len() >= MAX_DEPLOYMENTS {
                tracing::warn!(model, "more than {MAX_DEPLOYMENTS} Deployments; the others are left out");
                continue;
            }
            let one = deployment(object);
            of.insert(one.key(), one);
        }
        models
    }

    fn profiles_by_model(&self) -> BTreeMap<String, Offered> {
        let mut models: BTreeMap<String, Offered> = BTreeMap::new();
        for object in self.profiles.live.values() {
            let Some(model) = said(&object.metadata, MODEL) else { continue };
            let texts = object.data.iter().flatten().take(MAX_PROFILES);
            let origin = |key: &str| format!("ConfigMap {} {key}", key_of(&object.metadata));
            models.entry(model.to_owned()).or_default().extend(texts.map(|(key, text)| (origin(key), text.clone())));
        }
        models
    }
}

/// A label, else an annotation.
fn said<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    let of = |map: &'a Option<BTreeMap<String, String>>| map.as_ref()?.get(key).map(String::as_str);
    of(&meta.labels).or_else(|| of(&meta.annotations)).filter(|value| !value.is_empty())
}

fn deployment(object: &v1::Deployment) -> Deployment {
    let meta = &object.metadata;
    let number = |key: &str| {
        let text = said(meta, key)?;
        let number = text.parse::<u32>().ok().filter(|number| *number <= MAX_REPLICAS);
        if number.is_none() {
            tracing::warn!(deployment = key_of(meta), "{key}: is {text:?}; allowed: a whole number; it is left out");
        }
        number
    };
    let cost = said(meta, COST).and_then(|text| {
        let cost = text.parse::<f64>().ok().filter(|cost| (0.0..=1e9).contains(cost));
        if cost.is_none() {
            tracing::warn!(deployment = key_of(meta), "{COST}: is {text:?}; allowed: a number from 0; it is left out");
        }
        cost
    });
    let replicas = object.spec.as_ref().map(|spec| spec.replicas.unwrap_or(1));
    Deployment {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        gpu: said(meta, GPU).map(str::to_owned),
        cost,
        min: number(MIN).unwrap_or(0),
        max: number(MAX),
        replicas: replicas.and_then(|count| u32::try_from(count).ok()),
        initial: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(name: &str, more: &serde_json::Value) -> v1::Deployment {
        let mut labels = json!({"model.aibrix.ai/name": "llama"});
        labels.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let selector = json!({"matchLabels": {}});
        let spec = json!({"replicas": 3, "selector": selector, "template": {}});
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "ml", "labels": labels}, "spec": spec}))
            .unwrap()
    }

    #[test]
    fn labels_say_the_model_the_limits_and_the_cost() {
        let mut world = World::default();
        let labels = json!({"model.aibrix.ai/min_replicas": "2", "model.aibrix.ai/cost": "1.5",
            "model.aibrix.ai/max_replicas": "many"});
        world.deployments.apply(Event::Apply(object("a100", &labels)));
        let models = world.by_model();
        let one = &models["llama"]["ml/a100"];
        assert_eq!((one.min, one.max, one.cost, one.replicas), (2, None, Some(1.5), Some(3)));
    }

    #[test]
    fn a_list_that_is_still_coming_takes_nothing_away() {
        let mut kept = Kept::default();
        assert!(kept.apply(Event::Apply(object("a", &json!({})))));
        assert!(!kept.apply(Event::Init));
        assert!(!kept.apply(Event::InitApply(object("b", &json!({})))));
        assert!(kept.live.contains_key("ml/a"));
        assert!(kept.apply(Event::InitDone));
        assert!(!kept.live.contains_key("ml/a") && kept.live.contains_key("ml/b"));
    }
}
