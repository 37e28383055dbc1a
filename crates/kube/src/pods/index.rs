//! The pods that there are: one watch feeds all objects. While the server lists again, what was known stays.

use super::selector::Selector;
use super::view::PodView;
use crate::admin::Metrics;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_api};
use kube::{Api, Client};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// Pods of one namespace, by name.
type Pods = BTreeMap<String, Arc<PodView>>;

/// The pods that there are.
#[derive(Debug)]
pub(crate) struct Index {
    known: RwLock<Known>,
    synced: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Known {
    pods: BTreeMap<String, Pods>,
    /// What a list that is not complete yet has brought.
    listing: BTreeMap<String, Pods>,
}

impl Default for Index {
    fn default() -> Self {
        Self { known: RwLock::default(), synced: watch::Sender::new(false) }
    }
}

impl Index {
    /// The pods that a selector takes, in the order of their names.
    pub(crate) fn select(&self, namespace: &str, selector: &Selector) -> Vec<Arc<PodView>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let pods = known.pods.get(namespace).into_iter().flat_map(BTreeMap::values);
        pods.filter(|pod| selector.matches(&pod.labels)).cloned().collect()
    }

    /// Waits until the pods were listed once: before, absence means nothing.
    pub(crate) async fn synced(&self) {
        // The sender is this index's own, so it outlives the wait.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    fn take(&self, event: Event<Pod>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let put = |pods: &mut BTreeMap<String, Pods>, pod: Pod| {
            let view = PodView::of(pod);
            pods.entry(view.namespace.clone()).or_default().insert(view.name.clone(), Arc::new(view));
        };
        match event {
            Event::Init => known.listing.clear(),
            Event::InitApply(pod) => put(&mut known.listing, pod),
            Event::InitDone => {
                known.pods = std::mem::take(&mut known.listing);
                self.synced.send_replace(true);
            }
            Event::Apply(pod) => put(&mut known.pods, pod),
            Event::Delete(pod) => {
                let view = PodView::of(pod);
                if let Some(pods) = known.pods.get_mut(&view.namespace) {
                    pods.remove(&view.name);
                    if pods.is_empty() {
                        known.pods.remove(&view.namespace);
                    }
                }
            }
        }
    }
}

/// Feeds an index for ever; errors are counted and waited out.
pub(crate) async fn watch(
    client: Client,
    namespace: Option<String>,
    labels: Option<String>,
    streaming: bool,
    index: Arc<Index>,
    metrics: Metrics,
) {
    let api: Api<Pod> = match &namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut config = watcher::Config::default();
    if let Some(labels) = &labels {
        config = config.labels(labels);
    }
    if streaming {
        config = config.streaming_lists();
    }
    let mut events = std::pin::pin!(watch_api(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => index.take(event),
            Err(error) => metrics.watch_failed("pods", &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "n", "labels": {"app": "a"}}})).unwrap()
    }

    fn names(index: &Index) -> Vec<String> {
        let selector = Selector::parse("app=a").unwrap();
        index.select("n", &selector).iter().map(|pod| pod.name.clone()).collect()
    }

    #[test]
    fn what_was_known_stays_until_a_new_list_is_complete() {
        let index = Index::default();
        for event in [Event::Init, Event::InitApply(pod("b")), Event::InitApply(pod("a"))] {
            index.take(event);
        }
        assert_eq!(names(&index), [""; 0]);
        index.take(Event::InitDone);
        assert_eq!(names(&index), ["a", "b"]);
        index.take(Event::Apply(pod("c")));
        index.take(Event::Init);
        index.take(Event::InitApply(pod("d")));
        assert_eq!(names(&index), ["a", "b", "c"]);
        index.take(Event::Delete(pod("b")));
        assert_eq!(names(&index), ["a", "c"]);
        index.take(Event::InitDone);
        assert_eq!(names(&index), ["d"]);
        index.take(Event::Delete(pod("d")));
        assert_eq!(names(&index), [""; 0]);
    }
}
