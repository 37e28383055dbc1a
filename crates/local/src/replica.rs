//! One replica from its creation to its end: waiting for GPUs, one life after another, back-off between them.
//!
//! A single life is `life`'s. It must not know of other replicas; what they share is in [`Machine`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::event::{Event, EventKind};
use crate::gpu_pool::{GpuLease, GpuPool, GpuTicket};
use crate::life;
use crate::logs::ReplicaLog;
use crate::ports::PortLender;
use crate::spec::GroupSpec;
use crate::speed::Speed;
use crate::status::{LastExit, PendingReason, ReplicaId, ReplicaState, ReplicaStatus};

/// What the replicas on this machine share.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) gpus: GpuPool,
    /// Some group asks for GPUs, so a replica sees those it was given and no others.
    pub(crate) gpus_managed: AtomicBool,
    pub(crate) ports: PortLender,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) speed: Speed,
    pub(crate) guard_program: PathBuf,
}

/// What is wanted of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To run, and to be started again when it crashes.
    Run,
    /// To finish what it has; no new start.
    Drain,
    /// To end: `SIGTERM` now, `SIGKILL` at this time.
    Stop { by: Instant },
}

/// One replica.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) group: String,
    pub(crate) index: u32,
    pub(crate) machine: Arc<Machine>,
    pub(crate) log: Arc<ReplicaLog>,
    spec: watch::Receiver<Arc<GroupSpec>>,
    status: watch::Sender<ReplicaStatus>,
    wish: watch::Sender<Wish>,
}

impl Replica {
    pub(crate) fn new(
        (group, index): (&str, u32),
        machine: Arc<Machine>,
        spec: watch::Receiver<Arc<GroupSpec>>,
        log: ReplicaLog,
    ) -> Self {
        let now = Instant::now();
        let status = ReplicaStatus {
            id: ReplicaId::new(group, index),
            group: group.to_owned(),
            index,
            state: ReplicaState::Pending(PendingReason::NoGpu),
            leaving: false,
            pid: None,
            ports: BTreeMap::new(),
            gpus: Vec::new(),
            created_at: now,
            started_at: None,
            ready_at: None,
            readiness_changed_at: now,
            restarts: 0,
            last_exit: None,
            outdated: false,
        };
        Self {
            id: status.id.clone(),
            group: group.to_owned(),
            index,
            machine,
            log: Arc::new(log),
            spec,
            status: watch::Sender::new(status),
            wish: watch::Sender::new(Wish::Run),
        }
    }

    pub(crate) fn status(&self) -> ReplicaStatus {
        self.status.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<ReplicaStatus> {
        self.status.subscribe()
    }

    pub(crate) fn spec(&self) -> Arc<GroupSpec> {
        Arc::clone(&self.spec.borrow())
    }

    pub(crate) fn wish(&self) -> Wish {
        *self.wish.borrow()
    }

    pub(crate) fn wishes(&self) -> watch::Receiver<Wish> {
        self.wish.subscribe()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut ReplicaStatus)) {
        self.status.send_modify(change);
    }

    pub(crate) fn emit(&self, kind: EventKind) {
        // Nobody may be listening.
        let _ = self.machine.events.send(Event {
            replica: self.id.clone(),
            group: self.group.clone(),
            at: Instant::now(),
            kind,
        });
    }

    /// Marks it as leaving; false if it was already.
    pub(crate) fn drain(&self) -> bool {
        let changed = self.wish.send_if_modified(|wish| {
            let runs = *wish == Wish::Run;
            if runs {
                *wish = Wish::Drain;
            }
            runs
        });
        if changed && self.show_leaving(ReplicaState::Draining) {
            self.emit(EventKind::Draining);
        }
        changed
    }

    /// Takes it back from draining; false if it was not draining, or has ended meanwhile.
    pub(crate) fn resume(&self) -> bool {
        // Under the status' lock, so that the end of a draining replica comes before or after, not between.
        self.status.send_if_modified(|status| {
            let resumed = !status.state.is_final()
                && self.wish.send_if_modified(|wish| {
                    let drains = *wish == Wish::Drain;
                    if drains {
                        *wish = Wish::Run;
                    }
                    drains
                });
            status.leaving &= !resumed;
            resumed
        })
    }

    /// Orders it to end by then, or earlier if that was ordered before.
    pub(crate) fn stop(&self, by: Instant) {
        self.wish.send_modify(|wish| {
            *wish = match *wish {
                Wish::Stop { by: earlier } => Wish::Stop { by: by.min(earlier) },
                Wish::Run | Wish::Drain => Wish::Stop { by },
            }
        });
        self.show_leaving(ReplicaState::Stopping);
    }

    /// At once, for whoever asks for the status next; the replica's own task follows the wish.
    fn show_leaving(&self, state: ReplicaState) -> bool {
        self.status.send_if_modified(|status| {
            if status.state.is_final() {
                return false;
            }
            status.leaving = true;
            if status.pid.is_some() {
                status.state = state;
            }
            true
        })
    }

    /// Runs the replica until it has left. `lease` may be granted already by `ticket`.
    pub(crate) async fn run(self: Arc<Self>, mut ticket: GpuTicket, mut lease: Option<GpuLease>) {
        let mut wishes = self.wishes();
        let mut backoff = Backoff::default();
        let last = loop {
            let spec = self.spec();
            let wanted = spec.gpus_per_replica as usize;
            if lease.as_ref().is_some_and(|lease| lease.devices().len() != wanted) {
                // The spec was changed since the last start.
                drop(lease.take());
                ticket = self.machine.gpus.request(spec.gpus_per_replica);
            }
            if lease.is_none() {
                lease = self.wait_for_gpus(&mut ticket, &mut wishes).await;
            }
            let Some(gpus) = &lease else { break ReplicaState::Stopped };
            if gpus.devices().len() != self.spec().gpus_per_replica as usize {
                continue;
            }
            let end = life::live(&self, &self.spec(), gpus).await;
            self.record(&end.exit);
            if let Some(last) = self.left(&end) {
                break last;
            }
            let wait = backoff.after(end.ready_for, &self.spec().restart);
            self.update(|status| status.state = ReplicaState::BackingOff);
            self.emit(EventKind::Restarting { after: wait });
            tokio::select! {
                () = sleep(self.machine.speed.machine(wait)) => self.update(|status| status.restarts += 1),
                () = leaving(&mut wishes) => break ReplicaState::Stopped,
            }
        };
        // The GPUs are free before the end is seen.
        drop((lease, ticket));
        self.finish(last);
    }

    /// `None` if it is to leave instead.
    async fn wait_for_gpus(&self, ticket: &mut GpuTicket, wishes: &mut watch::Receiver<Wish>) -> Option<GpuLease> {
        if let Some(lease) = ticket.try_claim() {
            return Some(lease);
        }
        self.update(|status| {
            status.state = ReplicaState::Pending(PendingReason::NoGpu);
            status.gpus.clear();
        });
        self.emit(EventKind::Pending(PendingReason::NoGpu));
        tokio::select! {
            biased;
            () = leaving(wishes) => None,
            lease = ticket.claim() => Some(lease),
        }
    }

    fn record(&self, exit: &crate::process::Exit) {
        self.update(|status| {
            status.last_exit = Some(LastExit {
                code: exit.code,
                signal: exit.signal,
                reason: exit.reason.clone(),
                at: Instant::now(),
            });
        });
    }

    /// The last state, if no other life is to follow.
    fn left(&self, end: &life::End) -> Option<ReplicaState> {
        let wish = self.wish();
        if wish == Wish::Run {
            return None;
        }
        let as_ordered = end.ordered || end.exit.code == Some(0);
        Some(if as_ordered { ReplicaState::Stopped } else { ReplicaState::Failed })
    }

    fn finish(&self, last: ReplicaState) {
        self.update(|status| {
            status.state = last;
            status.leaving = true;
            status.gpus.clear();
        });
        self.log.note(&format!("{} has ended", self.id));
        self.emit(EventKind::Stopped);
    }
}

/// Until the replica is to leave.
async fn leaving(wishes: &mut watch::Receiver<Wish>) {
    if wishes.wait_for(|wish| *wish != Wish::Run).await.is_err() {
        // The sender lives in the replica whose task this is.
        std::future::pending::<()>().await;
    }
}
