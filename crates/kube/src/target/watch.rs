//! Which version each target has, from one watch of metadata per kind, so that `/scale` is fetched only after a change.
//!
//! A watch is begun when its kind is first needed, and ends with the leadership. Where a kind may not be watched, or its watch
//! is in trouble, no revision is given and the caller polls.

use super::kinds::Kind;
use futures_util::StreamExt;
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Each watch is a connection's stream and a map; kinds beyond this are polled.
const MOST_KINDS: usize = 64;
/// A watch tries again after at most 30 s: without an error for twice as long it has come back.
const DOUBT: Duration = Duration::from_secs(60);

/// Told the kind's name and the error at each failure of a watch, to be counted.
pub(crate) type OnRestart = Arc<dyn Fn(&str, &watcher::Error) + Send + Sync>;
/// What is watched of each object.
pub(super) type Meta = PartialObjectMeta<DynamicObject>;

/// Watches of targets, one per kind.
pub(crate) struct Watch {
    client: Client,
    /// None: the whole cluster.
    namespace: Option<String>,
    /// Whether the server has streaming lists.
    streaming: bool,
    on_restart: OnRestart,
    kinds: Mutex<BTreeMap<String, Watched>>,
}

struct Watched {
    seen: Arc<Mutex<Seen>>,
    /// Ends the watch with the entry.
    _task: AbortOnDropHandle<()>,
}

impl Watch {
    /// Watches nothing yet.
    pub(crate) fn new(client: Client, namespace: Option<String>, streaming: bool, on_restart: OnRestart) -> Self {
        Self { client, namespace, streaming, on_restart, kinds: Mutex::default() }
    }

    /// The version that an object has; none where it does not exist, or where that cannot be relied on. A kind that is asked
    /// for the first time is watched from then on. Must be called within a runtime.
    pub(crate) fn revision(&self, kind: &Kind, namespace: &str, name: &str) -> Option<String> {
        let seen = self.seen(kind)?;
        let seen = locked(&seen);
        if !seen.reliable(Instant::now()) {
            return None;
        }
        seen.live.get(namespace)?.get(name).cloned()
    }

    /// None where there are too many kinds.
    pub(super) fn seen(&self, kind: &Kind) -> Option<Arc<Mutex<Seen>>> {
        let (mut kinds, key) = (locked(&self.kinds), kind.key());
        if kinds.len() >= MOST_KINDS && !kinds.contains_key(&key) {
            return None;
        }
        Some(Arc::clone(&kinds.entry(key).or_insert_with(|| self.start(kind)).seen))
    }

    fn start(&self, kind: &Kind) -> Watched {
        let resource = &kind.resource;
        let api: Api<Meta> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        let config = watcher::Config::default();
        let config = if self.streaming { config.streaming_lists() } else { config };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (into, on_restart, name) = (seen.clone(), self.on_restart.clone(), kind.key());
        let task = tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(api, config).default_backoff());
            while let Some(event) = events.next().await {
                if let Err(error) = &event {
                    on_restart(&name, error);
                }
                locked(&into).apply(event, Instant::now());
            }
        });
        Watched { seen, _task: AbortOnDropHandle::new(task) }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Versions = HashMap<String, HashMap<String, String>>;

/// What a watch has seen: versions by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) live: Versions,
    /// A list that is still coming; the old view stays until it is whole.
    coming: Option<Versions>,
    listed: bool,
    doubtful_until: Option<Instant>,
}

impl Seen {
    pub(super) fn reliable(&self, now: Instant) -> bool {
        self.listed && self.doubtful_until.is_none_or(|until| until < now)
    }

    pub(super) fn apply(&mut self, event: watcher::Result<Event<Meta>>, now: Instant) {
        match event {
            Ok(Event::Init) => self.coming = Some(Versions::default()),
            Ok(Event::InitApply(object)) => {
                if let Some(coming) = &mut self.coming {
                    put(coming, object);
                }
            }
            Ok(Event::InitDone) => {
                self.live = self.coming.take().unwrap_or_default();
                self.listed = true;
                self.recovered();
            }
            Ok(Event::Apply(object)) => {
                put(&mut self.live, object);
                self.recovered();
            }
            Ok(Event::Delete(object)) => {
                remove(&mut self.live, &object);
                self.recovered();
            }
            // A watch that goes on where it was says nothing, so only time can tell that it is well again.
            Err(_) => self.doubtful_until = Some(now + DOUBT),
        }
    }

    fn recovered(&mut self) {
        self.doubtful_until = None;
    }
}

fn put(versions: &mut Versions, object: Meta) {
    let meta = object.metadata;
    if let (Some(name), Some(version)) = (meta.name, meta.resource_version) {
        versions.entry(meta.namespace.unwrap_or_default()).or_default().insert(name, version);
    }
}

fn remove(versions: &mut Versions, object: &Meta) {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    if let (Some(names), Some(name)) = (versions.get_mut(namespace), &object.metadata.name) {
        names.remove(name);
        if names.is_empty() {
            versions.remove(namespace);
        }
    }
}
