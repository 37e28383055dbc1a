//! Which objects there are, who may scale what, and a worker for each. Must not look at metrics or write a scale.

use crate::conflict::{self, ClaimView, Verdict};
use crate::context::Context;
use crate::worker::{self, Assignment};
use autoscaler_api::PodAutoscaler;
use futures_util::{StreamExt, stream::BoxStream};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;
use kube::runtime::watcher::{self, Event};
use std::collections::BTreeMap;
use std::sync::Arc;
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
    /// Whether it was listed once.
    synced: bool,
}

impl<K> Default for Relisted<K> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), listing: BTreeMap::new(), synced: false }
    }
}

impl<K: kube::Resource> Relisted<K> {
    /// Takes an event; answers whether what is known may have changed.
    fn take(&mut self, event: Event<K>) -> bool {
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
                self.known.insert(key(&object), Arc::new(object));
                true
            }
            Event::Delete(object) => self.known.remove(&key(&object)).is_some(),
        }
    }
}

/// What is watched.
pub(crate) struct Streams {
    pub(crate) objects: BoxStream<'static, watcher::Result<Event<PodAutoscaler>>>,
    /// Nothing where the server has no autoscaling/v2.
    pub(crate) hpas: BoxStream<'static, watcher::Result<Event<HorizontalPodAutoscaler>>>,
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
                Some(event) = streams.objects.next() => match event {
                    Ok(event) => {
                        if self.objects.take(event) {
                            self.assign();
                        }
                    }
                    Err(error) => self.context.metrics.watch_failed("podautoscalers", &error),
                },
                Some(event) = streams.hpas.next() => match event {
                    Ok(event) => {
                        if self.hpas.take(event) {
                            self.assign();
                        }
                    }
                    Err(error) => self.context.metrics.watch_failed("horizontalpodautoscalers", &error),
                },
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

    /// Tells each worker what it has to know, and begins or ends workers.
    fn assign(&mut self) {
        if !self.objects.synced {
            return;
        }
        let claims: Vec<ClaimView> = self.objects.known.values().map(|object| ClaimView::of(object)).collect();
        let mut verdicts = conflict::owners(&claims);
        let mut seen = BTreeMap::new();
        for object in self.objects.known.values() {
            let Some(uid) = object.uid() else { continue };
            let rival = conflict::foreign_hpa(object, self.hpas.known.values().map(AsRef::as_ref));
            let verdict = verdicts.remove(&uid).unwrap_or(Verdict::Free);
            let name = format!("{}-hpa", object.name_any());
            let hpa = self.hpas.known.get(&(object.namespace().unwrap_or_default(), name)).cloned();
            let assignment = Assignment { object: Arc::clone(object), verdict, rival, hpa };
            seen.insert(uid, Arc::new(assignment));
        }
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
