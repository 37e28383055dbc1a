//! The routing table: which model leads to which group, which replicas a group has, who waits. One lock, held only for
//! short steps without I/O. Knows no HTTP bodies and no sockets.

mod configure;
mod drain;
mod group;
mod hold;
mod replica;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::watch;

pub use drain::{DrainReport, RemoveReport};
pub(crate) use hold::{WaitEnd, Waiter};
pub(crate) use replica::{Cut, Lease, Replica};

use crate::config::GatewayConfig;
use crate::error::Refusal;
use crate::record::{Event, Outcome};
use crate::stats::Stats;
use group::{Group, Pick};

/// Model names listed in the message of a 404, so that it stays readable.
const MAX_LISTED_MODELS: usize = 20;

/// Why the world's change to the routes was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteError {
    /// No group of this name.
    UnknownGroup(String),
    /// No replica of this id.
    UnknownReplica(String),
    /// A replica of this id exists, perhaps still draining.
    DuplicateReplica(String),
    /// The model name leads to another group already.
    ModelTaken {
        /// The model name.
        model: String,
        /// The group that has it.
        group: String,
    },
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownGroup(name) => write!(f, "there is no group {name:?}"),
            Self::UnknownReplica(id) => write!(f, "there is no replica {id:?}"),
            Self::DuplicateReplica(id) => write!(f, "there is a replica {id:?} already"),
            Self::ModelTaken { model, group } => write!(f, "model {model:?} leads to group {group:?} already"),
        }
    }
}

impl std::error::Error for RouteError {}

/// What a request that asks for a replica gets.
#[derive(Debug)]
pub(crate) enum Acquired {
    /// A replica, with this request counted on it.
    Lease(Lease),
    /// A place in the queue.
    Wait(Waiter),
    /// Only replicas that this request tried already: come back after a pause.
    OnlyTried,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Routes {
    table: Mutex<Table>,
    /// Counts wake-ups; a watch cannot overflow.
    wakes: watch::Sender<u64>,
    stats: Arc<Stats>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    backoff: Duration,
}

#[derive(Debug, Default)]
struct Table {
    groups: BTreeMap<Arc<str>, Group>,
    models: HashMap<String, Arc<str>>,
    /// Replica id → group, draining ones included.
    replicas: HashMap<String, Arc<str>>,
    next_waiter: u64,
    closed: bool,
}

impl Table {
    fn group_of(&mut self, replica: &str) -> Option<&mut Group> {
        let name = self.replicas.get(replica)?;
        self.groups.get_mut(name)
    }
}

impl Routes {
    pub(crate) fn new(config: &GatewayConfig, stats: Arc<Stats>) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::default(),
            wakes: watch::Sender::new(0),
            stats,
            connect_timeout: config.connect_timeout,
            idle_timeout: config.upstream_idle_timeout,
            backoff: config.connect_backoff,
        })
    }

    /// A panic elsewhere leaves the table whole, since each step is complete before the lock is let go.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wakes(&self) -> watch::Receiver<u64> {
        self.wakes.subscribe()
    }

    fn wake(&self, group: &str) {
        self.wakes.send_modify(|count| *count += 1);
        self.stats.publish(&Event::Wake { group: group.to_owned() });
    }

    pub(crate) fn add_replica(self: &Arc<Self>, group: &str, id: &str, addr: SocketAddr) -> Result<(), RouteError> {
        let mut table = self.lock();
        if table.replicas.contains_key(id) {
            return Err(RouteError::DuplicateReplica(id.to_owned()));
        }
        let Some((name, _)) = table.groups.get_key_value(group).filter(|(_, group)| !group.is_retired()) else {
            return Err(RouteError::UnknownGroup(group.to_owned()));
        };
        let name = Arc::clone(name);
        let replica = Replica::new(id, addr, Arc::clone(&name), self.connect_timeout, self.idle_timeout);
        table.replicas.insert(id.to_owned(), Arc::clone(&name));
        if let Some(group) = table.groups.get_mut(&name) {
            group.add(Arc::new(replica));
            group.dispatch(Instant::now());
        }
        Ok(())
    }

    /// The group for a model name, or for a request that names none.
    pub(crate) fn resolve(&self, model: Option<&str>) -> Result<Arc<str>, Refusal> {
        let table = self.lock();
        let mut served = table.groups.iter().filter(|(_, group)| !group.is_retired());
        let sole = served.next().filter(|_| served.next().is_none());
        let Some(model) = model else {
            return sole.map(|(name, _)| Arc::clone(name)).ok_or_else(|| {
                let message = "several models are served: name one in the body's model field or in the header x-model";
                Refusal::bad_request("model_required", message).with_param("model")
            });
        };
        if let Some(name) = table.models.get(model) {
            return Ok(Arc::clone(name));
        }
        match sole {
            Some((name, group)) if group.models().is_empty() => Ok(Arc::clone(name)),
            _ => Err(unknown_model(model, &table)),
        }
    }

    /// Model names with their group's, sorted by group, in the order given.
    pub(crate) fn models(&self) -> Vec<(String, String)> {
        let table = self.lock();
        let groups = table.groups.iter().filter(|(_, group)| !group.is_retired());
        groups.flat_map(|(name, group)| group.models().iter().map(|model| (model.clone(), name.to_string()))).collect()
    }

    /// Asks for a replica. `tried`: replicas that failed this request. `bytes`: what it keeps in memory while waiting.
    /// A request that comes back (`tried` or `again`) waits in front and outside the limits: it was accepted already.
    pub(crate) fn acquire(
        self: &Arc<Self>,
        group_name: &str,
        tried: &[Arc<Replica>],
        bytes: usize,
        again: bool,
    ) -> Result<Acquired, Refusal> {
        let mut table = self.lock();
        if table.closed {
            return Err(Refusal::shutting_down());
        }
        let id = table.next_waiter;
        table.next_waiter += 1;
        let group = table.groups.get_mut(group_name).filter(|group| !group.is_retired());
        let group = group.ok_or_else(|| removed(group_name))?;
        if again || group.nobody_waits() {
            match group.pick(Instant::now(), tried) {
                Pick::Found(replica) => return Ok(Acquired::Lease(Lease::new(self, replica))),
                Pick::OnlyTried => return Ok(Acquired::OnlyTried),
                Pick::Nothing => {}
            }
        }
        let (place, timeout) = group.enqueue(id, bytes, again)?;
        let wake = group.needs_waking();
        drop(table);
        if wake {
            self.wake(group_name);
        }
        Ok(Acquired::Wait(Waiter::new(self, group_name, id, place, timeout)))
    }

    /// A connect to the replica failed: others are preferred for a while.
    pub(crate) fn avoid(&self, replica: &Arc<Replica>) {
        let until = Instant::now() + self.backoff;
        if let Some(group) = self.lock().group_of(&replica.id) {
            group.avoid(replica, until);
        }
    }

    /// A lease ended.
    fn release(&self, replica: &Arc<Replica>) {
        let mut table = self.lock();
        let left = replica.leave();
        let Some(group) = table.groups.get_mut(&replica.group) else {
            // The group went after its replica had crashed.
            return replica.idle.cancel();
        };
        let retired = left == 0 && group.retire_if_draining(replica);
        if left == 0 && !group.has(replica) {
            replica.idle.cancel();
        }
        group.dispatch(Instant::now());
        if retired {
            table.replicas.remove(&replica.id);
            table.sweep(&replica.group);
        }
    }

    /// Ends all waiting; nothing is accepted any more.
    pub(crate) fn close(&self) {
        let mut table = self.lock();
        table.closed = true;
        let queues: Vec<_> = table.groups.values_mut().map(Group::take_queue).collect();
        drop(table);
        drop(queues);
    }

    /// Reads every group, for snapshots.
    pub(crate) fn each_group(&self, mut read: impl FnMut(&Group)) {
        self.lock().groups.values().for_each(&mut read);
    }
}

pub(crate) use group::Group as GroupView;

/// The group went while a request waited on it.
pub(crate) fn removed(group: &str) -> Refusal {
    let message = format!("group {group:?} is no longer served");
    Refusal::new(StatusCode::NOT_FOUND, "model_not_found", Outcome::Unroutable, message)
}

fn unknown_model(model: &str, table: &Table) -> Refusal {
    let shown: String = model.chars().take(200).collect();
    let mut known: Vec<&str> = table.models.keys().map(String::as_str).collect();
    known.sort_unstable();
    let more = if known.len() > MAX_LISTED_MODELS { ", …" } else { "" };
    known.truncate(MAX_LISTED_MODELS);
    let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") + more };
    let message = format!("the model {shown:?} does not exist; models served: {list}");
    Refusal::new(StatusCode::NOT_FOUND, "model_not_found", Outcome::Unroutable, message).with_param("model")
}
