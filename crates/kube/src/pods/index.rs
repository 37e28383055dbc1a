//! All pods that are watched, by namespace and labels. A list that is still coming does not disturb what is known.

use super::pool::Pools;
use super::raw::RawPod;
use super::selector::Selector;
use super::view::{Labels, PodView};
use kube::runtime::watcher::Event;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// Pods, kept by one watch and read by every autoscaler.
#[derive(Debug)]
pub(crate) struct Index {
    inner: RwLock<Inner>,
    synced: watch::Sender<bool>,
}

impl Default for Index {
    fn default() -> Self {
        Self { inner: RwLock::default(), synced: watch::Sender::new(false) }
    }
}

#[derive(Debug, Default)]
struct Inner {
    pools: Pools,
    live: Pods,
    /// A list that is still coming.
    coming: Option<Pods>,
}

/// By namespace.
type Pods = HashMap<Arc<str>, Namespace>;

/// Pods of one template have the same labels, so a selector is put to each set of labels and not to each pod.
#[derive(Debug, Default)]
struct Namespace {
    by_name: HashMap<Box<str>, Arc<PodView>>,
    by_labels: HashMap<Arc<Labels>, Vec<Arc<PodView>>>,
}

impl Index {
    /// Takes in what the watch says.
    pub(crate) fn apply(&self, event: Event<RawPod>) {
        let inner = &mut *self.write();
        match event {
            Event::Init => inner.coming = Some(Pods::new()),
            Event::InitApply(pod) => {
                if let (Some(coming), Some(pod)) = (&mut inner.coming, PodView::read(pod, &mut inner.pools)) {
                    put(coming, pod);
                }
            }
            Event::InitDone => {
                inner.live = inner.coming.take().unwrap_or_default();
                self.synced.send_replace(true);
            }
            Event::Apply(pod) => {
                if let Some(pod) = PodView::read(pod, &mut inner.pools) {
                    put(&mut inner.live, pod);
                }
            }
            Event::Delete(pod) => {
                let (namespace, name) =
                    (pod.metadata.namespace.unwrap_or_default(), pod.metadata.name.unwrap_or_default());
                if let Some(pods) = inner.live.get_mut(namespace.as_str()) {
                    pods.remove(&name);
                    if pods.by_name.is_empty() {
                        inner.live.remove(namespace.as_str());
                    }
                }
            }
        }
    }

    /// Pods of a namespace that a selector selects, by name.
    pub(crate) fn select(&self, namespace: &str, selector: &Selector) -> Vec<Arc<PodView>> {
        let inner = self.read();
        let Some(pods) = inner.live.get(namespace) else { return Vec::new() };
        let matching = pods.by_labels.iter().filter(|(labels, _)| selector.matches(labels));
        let mut found: Vec<_> = matching.flat_map(|(_, pods)| pods.iter().cloned()).collect();
        drop(inner);
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Waits until a whole list has been seen: before that, no pods does not mean that there are none.
    pub(crate) async fn synced(&self) {
        // The sender is this index's own, so it outlives the wait.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Whether a whole list has been seen.
    #[cfg(test)]
    pub(super) fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// How many pods are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.read().live.values().map(|pods| pods.by_name.len()).sum()
    }

    /// How many shared copies there are.
    #[cfg(test)]
    pub(super) fn shared(&self) -> usize {
        self.read().pools.len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(pods: &mut Pods, pod: PodView) {
    let namespace = pods.entry(pod.namespace.clone()).or_default();
    namespace.remove(&pod.name);
    let pod = Arc::new(pod);
    namespace.by_labels.entry(pod.labels.clone()).or_default().push(pod.clone());
    namespace.by_name.insert(pod.name.clone(), pod);
}

impl Namespace {
    fn remove(&mut self, name: &str) {
        let Some(old) = self.by_name.remove(name) else { return };
        if let Some(alike) = self.by_labels.get_mut(&old.labels) {
            alike.retain(|pod| !Arc::ptr_eq(pod, &old));
            if alike.is_empty() {
                self.by_labels.remove(&old.labels);
            }
        }
    }
}
