//! Which objects there are, who may scale what, and a worker for each. Must not look at metrics or write a scale.

use crate::conflict::{self, ClaimView, Verdict};
use crate::context::Context;
use crate::hpa::{self, Rivals};
use crate::worker::{self, Assignment};
use autoscaler_api::PodAutoscaler;
use futures_util::{FutureExt, StreamExt, stream::BoxStream};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;
use kube::runtime::watcher::{self, Event};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The objects of a cluster, and their workers.
pub(crate) struct Manager {
    context: Arc<Context>,
    objects: Relisted<PodAutoscaler>,
    hpas: Relisted<HorizontalPodAutoscaler>,
    workers: BTreeMap<String, watch::Sender<Arc<Assignment>>>,
    tasks: JoinSet<String>,
    stop: CancellationToken,
}

/// A watched collection, by namespace and name. While the server lists again, what was known stays.
struct Relisted<K> {
    known: BTreeMap<(String, String), Arc<K>>,
    listing: BTreeMap<(String, String), Arc<K>>,
    /// Whether it was listed once, or is not waited for.
    synced: bool,
}

impl<K> Default for Relisted<K> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), listing: BTreeMap::new(), synced: false }
    }
}

impl<K: kube::Resource> Relisted<K> {
    /// Takes an event; answers whether anything that matters may have changed.
    fn take(&mut self, event: Event<K>, same: impl Fn(&K, &K) -> bool) -> bool {
        let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
        match event {
            Event::Init => {
                self.listing.clear();
                false
            }
            Event::InitApply(object) => {
                self.listing.insert(key(&object), Arc::new(object));
                false
            }
            Event::InitDone => {
                self.known = std::mem::take(&mut self.listing);
                self.synced = true;
                true
            }
            Event::Apply(object) => {
                let object = Arc::new(object);
                let before = self.known.insert(key(&object), Arc::clone(&object));
                before.is_none_or(|before| !same(&before, &object))
            }
            Event::Delete(object) => self.known.remove(&key(&object)).is_some(),
        }
    }
}

/// Whether nothing differs but the status.
fn same(before: &PodAutoscaler, after: &PodAutoscaler) -> bool {
    let (before, after) = (&before.metadata, &after.metadata);
    (&before.uid, before.generation, &before.deletion_timestamp, &before.labels, &before.annotations)
        == (&after.uid, after.generation, &after.deletion_timestamp, &after.labels, &after.annotations)
}

/// What is watched.
pub(crate) struct Streams {
    pub(crate) objects: BoxStream<'static, watcher::Result<Event<PodAutoscaler>>>,
    pub(crate) hpas: hpa::Stream,
}

impl Manager {
    pub(crate) fn new(context: Arc<Context>, stop: CancellationToken) -> Self {
        Self {
            context,
            objects: Relisted::default(),
            hpas: Relisted::default(),
            workers: BTreeMap::new(),
            tasks: JoinSet::new(),
            stop,
        }
    }

    /// Runs until it is told to stop; then waits for the workers, whose last writes are small.
    pub(crate) async fn run(mut self, mut streams: Streams) {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(event) = streams.objects.next() => {
                    let mut changed = self.object(event);
                    // A burst is one change.
                    while let Some(Some(event)) = streams.objects.next().now_or_never() {
                        changed |= self.object(event);
                    }
                    if changed {
                        self.assign();
                    }
                }
                Some(event) = streams.hpas.next() => {
                    let mut changed = self.hpa(event);
                    while let Some(Some(event)) = streams.hpas.next().now_or_never() {
                        changed |= self.hpa(event);
                    }
                    if changed {
                        self.assign();
                    }
                }
                Some(ended) = self.tasks.join_next() => {
                    // A worker ends when its object is gone; one that ended otherwise is begun again.
                    match ended {
                        Ok(uid) => drop(self.workers.remove(&uid)),
                        Err(error) => {
                            tracing::error!(%error, "a worker ended; it is begun again");
                            self.workers.retain(|_, sender| !sender.is_closed());
                        }
                    }
                    self.assign();
                }
            }
        }
        self.workers.clear();
        while self.tasks.join_next().await.is_some() {}
    }

    fn object(&mut self, event: watcher::Result<Event<PodAutoscaler>>) -> bool {
        match event {
            // A status that we wrote ourselves is no news.
            Ok(event) => self.objects.take(event, same),
            Err(error) => {
                self.context.metrics.watch_failed("podautoscalers", &error);
                false
            }
        }
    }

    fn hpa(&mut self, event: watcher::Result<Event<HorizontalPodAutoscaler>>) -> bool {
        match event {
            Ok(event) => self
                .hpas
                .take(event, |before, after| before.metadata.resource_version == after.metadata.resource_version),
            Err(error) => {
                self.context.metrics.watch_failed("horizontalpodautoscalers", &error);
                // Where they may not be read, work goes on without them.
                let refused = matches!(&error, watcher::Error::InitialListFailed(kube::Error::Api(status))
                    if matches!(status.code, 403..=405));
                refused && !std::mem::replace(&mut self.hpas.synced, true)
            }
        }
    }

    /// Tells each worker what it has to know, and begins or ends workers.
    fn assign(&mut self) {
        // Whether somebody else scales a target is known before it is scaled.
        if !self.objects.synced || !self.hpas.synced {
            return;
        }
        let claims: Vec<ClaimView> = self.objects.known.values().map(|object| ClaimView::of(object)).collect();
        let mut verdicts = conflict::owners(&claims);
        let rivals = Rivals::of(self.hpas.known.values().map(AsRef::as_ref));
        let mut seen = BTreeMap::new();
        for object in self.objects.known.values() {
            let Some(uid) = object.uid() else { continue };
            let rival = rivals.of_target(object).map(str::to_owned);
            let verdict = verdicts.remove(&uid).unwrap_or(Verdict::Free);
            let name = (object.namespace().unwrap_or_default(), hpa::name(object));
            let hpa = self.hpas.known.get(&name).cloned();
            let assignment = Assignment { object: Arc::clone(object), verdict, rival, hpa };
            seen.insert(uid, Arc::new(assignment));
        }
        // Objects that went while nobody led left their memory behind.
        self.context.memories.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| seen.contains_key(uid));
        // Without a sender, a worker ends.
        self.workers.retain(|uid, _| seen.contains_key(uid));
        self.context.metrics.objects(seen.len());
        for (uid, assignment) in seen {
            if let Some(sender) = self.workers.get(&uid) {
                sender.send_if_modified(|known| {
                    let changed = known.differs(&assignment);
                    if changed {
                        *known = assignment;
                    }
                    changed
                });
                continue;
            }
            let (sender, receiver) = watch::channel(assignment);
            self.workers.insert(uid.clone(), sender);
            let (context, stop) = (Arc::clone(&self.context), self.stop.clone());
            self.tasks.spawn(async move {
                worker::run(context, receiver, stop).await;
                uid
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(generation: i64, actual: i32) -> PodAutoscaler {
        serde_json::from_value(json!({
            "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler",
            "metadata": {"name": "chat", "namespace": "ml", "uid": "u", "generation": generation},
            "spec": {"scalingStrategy": "APA", "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "t"}, "metricsSources": []},
            "status": {"actualScale": actual, "desiredScale": actual},
        }))
        .unwrap()
    }

    #[test]
    fn a_changed_status_begins_nothing_and_a_changed_spec_does() {
        let mut objects = Relisted::default();
        assert!(objects.take(Event::Apply(object(1, 1)), same), "a new one");
        assert!(!objects.take(Event::Apply(object(1, 2)), same), "its status");
        assert!(objects.take(Event::Apply(object(2, 2)), same), "its spec");
        assert!(objects.take(Event::Delete(object(2, 2)), same), "it goes");
    }

    #[test]
    fn what_was_known_stays_while_the_server_lists_again() {
        let mut objects = Relisted::default();
        objects.take(Event::Apply(object(1, 1)), same);
        objects.take(Event::Init, same);
        assert_eq!(objects.known.len(), 1);
        objects.take(Event::InitDone, same);
        assert_eq!(objects.known.len(), 0, "and goes where the list does not have it");
    }
}
