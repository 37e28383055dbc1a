//! One life of a replica: from the start of its process to the end of its last descendant.
//!
//! It must not know what comes before and after: GPUs are held already, and whether there is another life is decided by
//! the caller.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::event::EventKind;
use crate::gpu_pool::GpuLease;
use crate::launch::{Launch, Visible};
use crate::logs::Stream;
use crate::ports::PortLease;
use crate::probe::{Health, Prober};
use crate::process::{Exit, Guarded, News, Output};
use crate::replica::{Replica, Wish};
use crate::spec::GroupSpec;
use crate::status::ReplicaState;
use crate::template::Values;

/// A replica that never was ready has no requests to finish; it gets this long to end, or its drain time if less.
const UNREADY_GRACE: Duration = Duration::from_secs(10);
/// Between `SIGTERM` and `SIGKILL` at any speed: handlers run at the machine's pace.
pub(crate) const GRACE_FLOOR: Duration = Duration::from_secs(1);
/// Time to start at any speed: so do loaders.
const START_FLOOR: Duration = Duration::from_secs(5);
/// What is still in the pipes when the tree has ended is read within this; more comes only from a process that escaped.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// How a life ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) exit: Exit,
    /// Trace time for which it was ready in the end.
    pub(crate) ready_for: Duration,
    /// It had been told to end.
    pub(crate) ordered: bool,
}

/// Lives one life.
pub(crate) async fn live(replica: &Replica, spec: &GroupSpec, gpus: &GpuLease) -> End {
    match Life::begin(replica, spec, gpus) {
        Ok(life) => life.attend().await,
        Err(error) => {
            let reason = error.to_string();
            replica.log.note(&format!("cannot start {}: {reason}", replica.id));
            replica.emit(EventKind::StartFailed { reason: reason.clone() });
            let exit = Exit { code: None, signal: None, reason: Some(reason) };
            End { exit, ready_for: Duration::ZERO, ordered: false }
        }
    }
}

struct Life<'a> {
    replica: &'a Replica,
    spec: &'a GroupSpec,
    process: Guarded,
    pumps: JoinSet<()>,
    ports: PortLease,
    prober: Prober,
    wishes: watch::Receiver<Wish>,
    started: Instant,
    start_deadline: Instant,
    was_ready: bool,
    ready_since: Option<Instant>,
    /// Its start, or the last change of its readiness.
    changed: Instant,
    /// When to kill it, once it was told to end; killed if `None` and told.
    kill_at: Option<Instant>,
    told: Option<Told>,
}

/// Why a process was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Ordered,
    StartTimedOut,
}

impl<'a> Life<'a> {
    fn begin(replica: &'a Replica, spec: &'a GroupSpec, gpus: &GpuLease) -> io::Result<Self> {
        let machine = &replica.machine;
        let ports = machine.ports.lend(spec.port_names())?;
        let Some(probed) = ports.by_name().get(&spec.readiness.port).copied() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the readiness port is none of the group's ports"));
        };
        let visible = if machine.gpus_managed.load(Ordering::Relaxed) {
            Visible::Only(gpus.devices())
        } else {
            Visible::Unmanaged
        };
        let values = Values { ports: ports.by_name(), index: replica.index, name: replica.id.as_str() };
        let launch = Launch::new(spec, &values, visible);
        replica.log.note(&format!("starting {}: {}", replica.id, launch.command.join(" ")));
        let (process, output) = Guarded::spawn(&machine.guard_program, &launch)?;
        let started = Instant::now();
        replica.update(|status| {
            status.state = ReplicaState::Starting;
            status.started_at = Some(started);
            status.ready_at = None;
            status.gpus = gpus.devices().to_vec();
            status.outdated = *replica.spec() != *spec;
        });
        // Seen as changed at first, so that a wish from before this life is followed too.
        let mut wishes = replica.wishes();
        wishes.mark_changed();
        Ok(Self {
            replica,
            spec,
            process,
            pumps: pumps(replica, output),
            prober: Prober::new(&spec.readiness, probed, machine.speed),
            ports,
            wishes,
            started,
            start_deadline: started + machine.speed.machine_at_least(spec.start_timeout, START_FLOOR),
            was_ready: false,
            ready_since: None,
            changed: started,
            kill_at: None,
            told: None,
        })
    }

    async fn attend(mut self) -> End {
        let exit = loop {
            let (told, starting) = (self.told.is_some(), !self.was_ready);
            let kill_at = self.kill_at.unwrap_or(self.started);
            tokio::select! {
                // What ends the life first; all of these are rare but the probes, which come last.
                biased;
                news = self.process.next() => match news {
                    News::Started(pid) => self.on_started(pid),
                    News::Ended(exit) => break exit,
                },
                _ = self.wishes.changed() => self.on_wish(),
                () = sleep_until(kill_at), if self.kill_at.is_some() => self.kill(),
                () = sleep_until(self.start_deadline), if starting && !told => self.on_start_timeout(),
                health = self.prober.changed(), if !told => self.on_health(health),
            }
        };
        self.end(exit).await
    }

    fn on_started(&mut self, pid: u32) {
        let ports = self.ports.by_name().clone();
        let mut gpus = Vec::new();
        let state = self.state();
        self.replica.update(|status| {
            status.pid = Some(pid);
            status.ports.clone_from(&ports);
            status.state = state;
            gpus.clone_from(&status.gpus);
        });
        self.replica.emit(EventKind::Started { pid, ports, gpus });
    }

    fn on_wish(&mut self) {
        let wish = *self.wishes.borrow_and_update();
        if let Wish::Stop { by } = wish {
            self.tell(Told::Ordered, by);
        }
        let state = self.state();
        let resumed = self.replica.wish() == Wish::Run && self.replica.status().state == ReplicaState::Draining;
        self.replica.update(|status| status.state = state);
        if resumed {
            self.replica.emit(EventKind::Resumed);
        }
    }

    fn on_start_timeout(&mut self) {
        let grace = self.spec.drain_timeout.min(UNREADY_GRACE);
        let by = Instant::now() + self.replica.machine.speed.machine_at_least(grace, GRACE_FLOOR);
        self.replica.emit(EventKind::StartTimedOut { after: self.spec.start_timeout });
        self.replica.log.note(&format!("{} was not ready within {:?}", self.replica.id, self.spec.start_timeout));
        self.tell(Told::StartTimedOut, by);
        self.replica.update(|status| status.state = ReplicaState::Stopping);
    }

    fn on_health(&mut self, health: Health) {
        let now = Instant::now();
        self.ready_since = (health == Health::Ready).then_some(now);
        let since = std::mem::replace(&mut self.changed, now);
        self.was_ready |= health == Health::Ready;
        let state = self.state();
        self.replica.update(|status| {
            status.state = state;
            status.readiness_changed_at = now;
            if health == Health::Ready {
                status.ready_at.get_or_insert(now);
            }
        });
        self.replica.emit(match health {
            Health::Ready => EventKind::Ready { after: self.replica.machine.speed.trace(now - since) },
            Health::NotReady(reason) => EventKind::NotReady { reason },
        });
    }

    fn state(&self) -> ReplicaState {
        match (self.told, self.replica.wish()) {
            (Some(_), _) | (None, Wish::Stop { .. }) => ReplicaState::Stopping,
            (None, Wish::Drain) => ReplicaState::Draining,
            (None, Wish::Run) if self.ready_since.is_some() => ReplicaState::Ready,
            (None, Wish::Run) if self.was_ready => ReplicaState::NotReady,
            (None, Wish::Run) => ReplicaState::Starting,
        }
    }

    /// `SIGTERM` once, however often it is told; the earliest deadline holds.
    fn tell(&mut self, why: Told, by: Instant) {
        if self.told.is_none() {
            self.process.terminate();
            self.kill_at = Some(by);
        } else if let Some(kill_at) = &mut self.kill_at {
            *kill_at = by.min(*kill_at);
        }
        // An order outweighs a start that timed out: no restart follows.
        if self.told != Some(Told::Ordered) {
            self.told = Some(why);
        }
    }

    fn kill(&mut self) {
        self.kill_at = None;
        self.replica.log.note(&format!("{} did not end in time; killing it", self.replica.id));
        self.process.kill();
    }

    async fn end(mut self, mut exit: Exit) -> End {
        let pumped = async { while self.pumps.join_next().await.is_some() {} };
        // Past that the pumps are dropped, and with them the pipes.
        let _ = timeout(LAST_OUTPUT, pumped).await;
        let now = Instant::now();
        if self.told == Some(Told::StartTimedOut) {
            exit.reason = Some(format!("was not ready within {:?}", self.spec.start_timeout));
        }
        self.replica.update(|status| {
            status.pid = None;
            status.ports.clear();
            status.ready_at = None;
            status.started_at = None;
            if self.ready_since.is_some() {
                status.readiness_changed_at = now;
            }
        });
        self.replica.log.note(&format!("{} ended: {}", self.replica.id, describe(&exit)));
        self.replica.emit(EventKind::Exited { code: exit.code, signal: exit.signal });
        let ready_for = self.ready_since.map_or(Duration::ZERO, |since| self.replica.machine.speed.trace(now - since));
        End { exit, ready_for, ordered: self.told == Some(Told::Ordered) }
    }
}

fn pumps(replica: &Replica, output: Output) -> JoinSet<()> {
    let mut pumps = JoinSet::new();
    if let Some(stdout) = output.stdout {
        let log = replica.log.clone();
        pumps.spawn(async move { log.pump(Stream::Stdout, stdout).await });
    }
    if let Some(stderr) = output.stderr {
        let log = replica.log.clone();
        pumps.spawn(async move { log.pump(Stream::Stderr, stderr).await });
    }
    pumps
}

fn describe(exit: &Exit) -> String {
    let how = match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    };
    match &exit.reason {
        Some(reason) => format!("{how}, {reason}"),
        None => how,
    }
}
