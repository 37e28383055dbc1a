//! The supervisor: groups of replicas by name, and what can be asked of them.
//!
//! It keeps the books; what a replica does is in `replica`. It must not know why a size is wanted.

mod books;
mod error;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use books::{Books, Entry, Group};
pub use error::Error;

use crate::event::Event;
use crate::gpu::Gpus;
use crate::gpu_pool::GpuPool;
use crate::guard::{proc::adopt_orphans, this_program};
use crate::life::GRACE_FLOOR;
use crate::logs::{LogLine, LogWriter, ReplicaLog, TemporaryFolder};
use crate::ports::PortLender;
use crate::replica::{Machine, Replica};
use crate::spec::GroupSpec;
use crate::speed::Speed;
use crate::status::{ReplicaId, ReplicaState, ReplicaStatus};
use crate::validate::FieldError;
use crate::victims::victims;

/// Each replica is three processes at least, and one machine does not serve more of one model than this.
pub const MAX_REPLICAS_PER_GROUP: usize = 512;

/// Events that a slow listener may lag behind before it loses the oldest (and is told so).
const EVENT_QUEUE: usize = 1024;
/// How long after the kill the kernel may take to end a process (it frees GPU memory first).
const KILL_WAIT: Duration = Duration::from_secs(10);

/// What a supervisor is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The GPUs that replicas share.
    pub gpus: Gpus,
    /// Where logs go, as `REPLICA.log`; created if missing. Absent: a temporary directory, removed at the end.
    pub log_dir: Option<PathBuf>,
    /// Every wait is this many times shorter: trace seconds per second.
    pub speed: f64,
    /// The binary with the guard mode ([`crate::guard::intercept`]); absent: this one.
    pub guard_program: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self { gpus: Gpus::Detect, log_dir: None, speed: 1.0, guard_program: None }
    }
}

/// What [`Supervisor::scale`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// Replicas that were added.
    pub started: Vec<ReplicaId>,
    /// Replicas beyond the size asked for; the caller chooses ([`Supervisor::victims`]), drains and stops them.
    pub excess: usize,
}

/// Runs groups of replicas on this machine. Clones are the same supervisor; with the last one dropped, every process
/// is killed. All durations given to it are trace time: divided by the speed.
#[derive(Clone, Debug)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    machine: Arc<Machine>,
    runtime: Handle,
    books: Mutex<Books>,
    log_writer: LogWriter,
    log_dir: PathBuf,
    /// Removed on drop, after the replicas.
    _temporary: Option<TemporaryFolder>,
}

impl Supervisor {
    /// Starts a supervisor on the current tokio runtime. Looks for GPUs if told to, which may take seconds. On Linux this
    /// process becomes a child subreaper, for what a killed guard leaves behind.
    /// Fails if the speed is no positive number or the log directory cannot be made.
    pub async fn new(config: Config) -> Result<Self, Error> {
        let speed = Speed::new(config.speed).ok_or(Error::Speed(config.speed))?;
        adopt_orphans()?;
        let gpus = config.gpus;
        let devices = spawn_blocking(move || gpus.devices()).await.map_err(std::io::Error::other)?;
        let (log_dir, temporary) = if let Some(dir) = config.log_dir {
            std::fs::create_dir_all(&dir).map_err(|error| Error::LogDir(dir.clone(), error))?;
            (dir, None)
        } else {
            let dir = TemporaryFolder::new(&std::env::temp_dir())?;
            (dir.path().to_owned(), Some(dir))
        };
        let machine = Machine {
            gpus: GpuPool::new(devices),
            gpus_managed: AtomicBool::new(false),
            ports: PortLender::default(),
            events: broadcast::Sender::new(EVENT_QUEUE),
            speed,
            guard_program: config.guard_program.map_or_else(this_program, Ok)?,
        };
        let inner = Inner {
            machine: Arc::new(machine),
            runtime: Handle::current(),
            books: Mutex::default(),
            log_writer: LogWriter::start()?,
            log_dir,
            _temporary: temporary,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// GPUs of this machine, in use or free.
    pub fn gpu_count(&self) -> u32 {
        self.inner.machine.gpus.total()
    }

    /// Where the logs are.
    pub fn log_dir(&self) -> &Path {
        &self.inner.log_dir
    }

    /// Adds a group (of no replicas), or replaces its spec: running replicas stay as they are
    /// ([`ReplicaStatus::outdated`]), every later start takes the new one. Fails with all errors of the spec.
    pub fn set_group(&self, spec: GroupSpec) -> Result<(), Error> {
        let mut errors = spec.validate();
        errors.extend(self.too_many_gpus(&spec));
        if !errors.is_empty() {
            return Err(Error::Invalid { group: spec.name, errors });
        }
        let mut books = self.books();
        let name = spec.name.clone();
        if let Some(group) = books.groups.get(&name) {
            if **group.spec.borrow() == spec {
                return Ok(());
            }
            group.spec.send_replace(Arc::new(spec));
            for entry in books.of(&name) {
                entry.replica.update(|status| status.outdated = status.started_at.is_some());
            }
        } else {
            let next_index = books.retired.remove(&name).unwrap_or(0);
            books.groups.insert(name, Group { spec: watch::Sender::new(Arc::new(spec)), next_index });
        }
        let managed = books.groups.values().any(|group| group.spec.borrow().gpus_per_replica > 0);
        self.inner.machine.gpus_managed.store(managed, Ordering::Relaxed);
        Ok(())
    }

    fn too_many_gpus(&self, spec: &GroupSpec) -> Option<FieldError> {
        let total = self.gpu_count();
        (spec.gpus_per_replica > total).then(|| FieldError {
            path: "gpusPerReplica".to_owned(),
            message: format!("{} is more than this machine has; allowed are 0 to {total}", spec.gpus_per_replica),
        })
    }

    /// Forgets a group. Fails while it has replicas that are not leaving.
    pub fn remove_group(&self, group: &str) -> Result<(), Error> {
        let mut books = self.books();
        books.group(group)?;
        let live = books.live(group).count();
        if live > 0 {
            return Err(Error::GroupInUse { group: group.to_owned(), live });
        }
        // Ids are not to come back: the number goes on if the group does.
        let next_index = books.groups.remove(group).map_or(0, |group| group.next_index);
        books.retired.insert(group.to_owned(), next_index);
        Ok(())
    }

    /// The names of the groups.
    pub fn groups(&self) -> Vec<String> {
        self.books().groups.keys().cloned().collect()
    }

    /// Brings a group to `size` replicas that are not leaving, as far as that means to start some. To shrink it, the
    /// caller chooses which ones to stop: see [`Scaled::excess`].
    pub fn scale(&self, group: &str, size: usize) -> Result<Scaled, Error> {
        let mut books = self.books();
        books.group(group)?;
        if books.closing {
            return Err(Error::ShuttingDown);
        }
        // Leaving ones run on for a while, and count against the machine.
        let (live, all) = (books.live(group).count(), books.of(group).filter(|entry| !entry.ended()).count());
        let missing = size.saturating_sub(live);
        if all + missing > MAX_REPLICAS_PER_GROUP {
            return Err(Error::TooManyReplicas { group: group.to_owned(), wanted: all + missing });
        }
        let started = (0..missing).filter_map(|_| self.add_replica(&mut books, group)).collect();
        books.forget_ended();
        Ok(Scaled { started, excess: live.saturating_sub(size) })
    }

    fn add_replica(&self, books: &mut Books, name: &str) -> Option<ReplicaId> {
        let inner = &self.inner;
        let group = books.groups.get_mut(name)?;
        let index = group.next_index;
        group.next_index += 1;
        let specs = group.spec.subscribe();
        let spec = Arc::clone(&specs.borrow());
        let log = ReplicaLog::new(&inner.log_dir, &format!("{name}-{index}"), &spec.log, &inner.log_writer);
        let replica = Arc::new(Replica::new((name, index), Arc::clone(&inner.machine), specs, log));
        // Queued here and not in its task, so that the queue is in the order of the calls.
        let mut ticket = inner.machine.gpus.request(spec.gpus_per_replica);
        let lease = ticket.try_claim();
        if let Some(lease) = &lease {
            replica.update(|status| {
                status.state = ReplicaState::Starting;
                status.gpus = lease.devices().to_vec();
            });
        }
        let task = inner.runtime.spawn(Arc::clone(&replica).run(ticket, lease)).abort_handle();
        let id = replica.id.clone();
        books.replicas.insert(id.clone(), Entry { replica, task });
        Some(id)
    }

    /// Which `count` replicas of `group` to stop first: what serves nobody (pending, backing off, starting, not ready)
    /// before what does, then the least `load`, then the youngest. Fewer if there are not as many.
    pub fn victims<Load: Ord>(
        &self,
        group: &str,
        count: usize,
        load: impl FnMut(&ReplicaStatus) -> Load,
    ) -> Vec<ReplicaId> {
        let replicas = self.books().live(group).map(|entry| entry.replica.status()).collect();
        victims(replicas, count, load)
    }

    /// Marks a replica as leaving, so that it is no longer counted and not started again, and lets it run on; one that
    /// has no process ends. False if it was leaving already.
    pub fn drain(&self, replica: &str) -> Result<bool, Error> {
        Ok(self.replica(replica)?.drain())
    }

    /// Takes a replica back that drains and was not stopped; it counts again. False if that is too late.
    pub fn resume(&self, replica: &str) -> Result<bool, Error> {
        Ok(self.replica(replica)?.resume())
    }

    /// Stops a replica for good: `SIGTERM` now, `SIGKILL` after `grace` (the group's drain time if absent). Asked again,
    /// the earlier of the deadlines holds. Returns at once; see [`Self::ended`].
    pub fn stop(&self, replica: &str, grace: Option<Duration>) -> Result<(), Error> {
        let replica = self.replica(replica)?;
        replica.stop(self.deadline(grace.unwrap_or(replica.spec().drain_timeout)));
        Ok(())
    }

    fn deadline(&self, grace: Duration) -> Instant {
        let now = Instant::now();
        let machine = self.inner.machine.speed.machine_at_least(grace, GRACE_FLOOR);
        // Beyond what the clock can express there is no deadline worth the name.
        now.checked_add(machine).unwrap_or_else(|| now + Duration::from_hours(24 * 365))
    }

    /// Waits until a replica has ended for good, and gives its last status.
    pub async fn ended(&self, replica: &str) -> Result<ReplicaStatus, Error> {
        let replica = self.replica(replica)?;
        let mut status = replica.watch();
        let ended = status.wait_for(|status| status.state.is_final()).await;
        Ok(ended.map_or_else(|_| replica.status(), |status| status.clone()))
    }

    /// Every replica, by group and number; the last few that have ended too.
    pub fn status(&self) -> Vec<ReplicaStatus> {
        let mut all: Vec<_> = self.books().replicas.values().map(|entry| entry.replica.status()).collect();
        all.sort_by(|a, b| (&a.group, a.index).cmp(&(&b.group, b.index)));
        all
    }

    /// What happens from now on. A listener that lags far behind loses the oldest events and is told how many; the
    /// status is always whole.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.machine.events.subscribe()
    }

    /// The last `count` lines that a replica printed, oldest first; of the last few ended ones too.
    pub fn tail(&self, replica: &str, count: usize) -> Result<Vec<LogLine>, Error> {
        Ok(self.replica(replica)?.log.tail(count))
    }

    /// Lines of a replica that did not get into its log file, because the disk was full or slow.
    pub fn lost_log_lines(&self, replica: &str) -> Result<u64, Error> {
        Ok(self.replica(replica)?.log.lost())
    }

    /// Stops every replica, each within its drain time and all within `deadline`, and lets none be started any more.
    /// Gives those whose processes have not ended even then, killed as they are: normally none. May be called again.
    pub async fn shutdown(&self, deadline: Duration) -> Vec<ReplicaId> {
        let replicas: Vec<Arc<Replica>> = {
            let mut books = self.books();
            books.closing = true;
            books.replicas.values().map(|entry| Arc::clone(&entry.replica)).collect()
        };
        for replica in &replicas {
            replica.stop(self.deadline(replica.spec().drain_timeout.min(deadline)));
        }
        let last = self.deadline(deadline) + KILL_WAIT;
        let mut left = Vec::new();
        for replica in replicas {
            let mut status = replica.watch();
            let ended = timeout_at(last, status.wait_for(|status| status.state.is_final())).await;
            if ended.is_err() {
                left.push(replica.id.clone());
            }
        }
        left
    }

    fn replica(&self, id: &str) -> Result<Arc<Replica>, Error> {
        let books = self.books();
        let entry = books.replicas.get(id).ok_or_else(|| Error::UnknownReplica(id.to_owned()))?;
        Ok(Arc::clone(&entry.replica))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.inner.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let books = self.books.get_mut().unwrap_or_else(PoisonError::into_inner);
        for entry in books.replicas.values() {
            // Drops the task's end of the guard's lifeline.
            entry.task.abort();
        }
    }
}
