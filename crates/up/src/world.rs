//! The local world's parts while it runs: supervisor, gateway, fleet. Applies a manifest to them, and decisions.

use crate::clock::Clock;
use crate::lines::{Line, Lines};
use crate::observe::{Observer, Seen};
use crate::scale;
use crate::setup::Setup;
use crate::view::{AutoscalerView, DecisionView, Point, ReplicaView, Shared};
use autoscaler_core::spec::{Bounds, Mode, Spec};
use autoscaler_core::{Fleet, TargetDecision};
use autoscaler_runtime::decide::output::Line as DecisionLine;
use gateway::GatewayHandle;
use local_world::{PendingReason, ReplicaState, ReplicaStatus, Supervisor};
use std::collections::BTreeMap;
use tokio_util::task::TaskTracker;

/// Everything that a turn needs.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) setup: Setup,
    pub(crate) supervisor: Supervisor,
    pub(crate) gateway: GatewayHandle,
    pub(crate) observer: Observer,
    pub(crate) fleet: Fleet,
    pub(crate) drains: TaskTracker,
    pub(crate) view: Shared,
    pub(crate) lines: Lines,
    /// Decisions that changed something, by autoscaler.
    pub(crate) changes: BTreeMap<String, u64>,
}

impl World {
    /// Takes a manifest: groups are added, changed and removed, autoscalers keep what they remember.
    pub(crate) fn apply(&mut self, setup: Setup) -> anyhow::Result<()> {
        for group in &setup.groups {
            let new = !self.supervisor.groups().contains(&group.spec.name);
            self.supervisor.set_group(group.spec.clone())?;
            self.gateway.set_group(group.route.clone())?;
            if new {
                self.supervisor.scale(&group.spec.name, usize::try_from(group.replicas).unwrap_or(usize::MAX))?;
            }
        }
        for gone in self.supervisor.groups() {
            if !setup.groups.iter().any(|group| group.spec.name == gone) {
                // What is left of it drains; its name is free once that is done.
                scale::scale(&self.supervisor, &self.gateway, &self.drains, &gone, 0)?;
                self.supervisor.remove_group(&gone)?;
            }
        }
        self.fleet.configure(setup.specs());
        self.fleet.set_pools(setup.pools(self.supervisor.gpu_count()));
        self.view.write(|view| view.problems.clone_from(&setup.notes));
        self.setup = setup;
        Ok(())
    }

    /// One turn: look, and record or decide.
    pub(crate) async fn turn(&mut self, decide: bool) {
        let statuses = self.supervisor.status();
        let snapshot = self.gateway.snapshot();
        let seen = self.observer.look(&self.setup, &statuses, &snapshot, self.clock).await;
        let at = self.clock.now();
        let now = self.clock.timestamp(at);
        if decide {
            for (name, decision) in self.fleet.step(now, &seen.observation).targets {
                self.carry_out(at, &name, decision);
            }
        } else {
            self.fleet.record(now, &seen.observation);
        }
        self.show(at, &seen, &statuses, &snapshot);
    }

    fn carry_out(&mut self, at: f64, name: &str, decision: TargetDecision) {
        let Some(autoscaler) = self.setup.autoscalers.iter().find(|autoscaler| autoscaler.spec.name == name) else {
            return;
        };
        if decision.desired != decision.replicas {
            *self.changes.entry(name.to_owned()).or_default() += 1;
            let (replicas, desired, reason) = (decision.replicas, decision.desired, decision.reason.clone());
            let shown = DecisionView { at, autoscaler: name.to_owned(), replicas, desired, reason };
            self.view.write(|view| view.decided(shown));
            tracing::info!(autoscaler = name, replicas, desired, reason = decision.reason, "decided");
            if autoscaler.spec.mode == Mode::Apply {
                let scaled = scale::scale(&self.supervisor, &self.gateway, &self.drains, &autoscaler.group, desired);
                if let Err(error) = scaled {
                    self.lines.write(&Line::Warning { at, message: format!("{}: {error}", autoscaler.group) });
                    tracing::warn!(group = autoscaler.group, %error, "cannot be scaled");
                }
            }
        }
        self.view.write(|view| {
            if let Some(shown) = view.autoscalers.iter_mut().find(|shown| shown.name == name) {
                shown.desired = decision.desired;
                shown.recommendation = decision.recommendation;
                shown.panic = decision.panic;
                shown.reason.clone_from(&decision.reason);
                shown.trail.clone_from(&decision.trail);
            }
        });
        self.lines.write(&Line::Decision(DecisionLine::new(at, Some(name.to_owned()), decision)));
    }

    /// Renews the picture, and writes the `state` lines.
    fn show(&mut self, at: f64, seen: &Seen, statuses: &[ReplicaStatus], snapshot: &gateway::Snapshot) {
        let in_flight: BTreeMap<&str, usize> = snapshot
            .groups
            .iter()
            .flat_map(|group| group.replicas.iter().map(|replica| (replica.id.as_str(), replica.in_flight)))
            .collect();
        let now = self.clock.timestamp(at);
        let bounds = |spec: &Spec| spec.schedules.effective(now, spec.bounds).bounds;
        let lines = self.lines.clone();
        let setup = &self.setup;
        self.view.write(|view| {
            view.at = at;
            let old = std::mem::take(&mut view.autoscalers);
            for autoscaler in &setup.autoscalers {
                let name = &autoscaler.spec.name;
                let mut shown = old.iter().find(|shown| shown.name == *name).cloned().unwrap_or_default();
                let first = shown.name.is_empty();
                renew(&mut shown, autoscaler, bounds(&autoscaler.spec), seen);
                if first {
                    shown.desired = shown.replicas;
                }
                let point = point(at, &shown);
                lines.write(&Line::State { autoscaler: name.clone(), point: point.clone() });
                view.remember(name, point);
                view.autoscalers.push(shown);
            }
            let replica = |status: &ReplicaStatus| replica_view(status, &in_flight);
            view.replicas = statuses.iter().filter(|status| !status.state.is_final()).map(replica).collect();
        });
    }
}

fn renew(shown: &mut AutoscalerView, autoscaler: &crate::setup::AutoscalerSetup, bounds: Bounds, seen: &Seen) {
    let name = &autoscaler.spec.name;
    shown.name.clone_from(name);
    autoscaler.strategy.clone_into(&mut shown.strategy);
    shown.target.clone_from(&autoscaler.group);
    (shown.min, shown.max) = (bounds.min, bounds.max);
    if let Some(observed) = seen.observation.targets.get(name) {
        shown.replicas = observed.replicas;
    }
    if let Some(now) = seen.shown.get(name) {
        (shown.ready, shown.pending, shown.held) = (now.ready, now.pending, now.held);
        (shown.running, shown.waiting) = (now.running, now.waiting);
        shown.metrics.clone_from(&now.metrics);
    }
}

fn point(at: f64, shown: &AutoscalerView) -> Point {
    let waiting = match (shown.waiting, shown.held) {
        (None, 0) => None,
        (waiting, held) => Some(waiting.unwrap_or(0.0) + held as f64),
    };
    Point { at, ready: shown.ready, pending: shown.pending, desired: shown.desired, running: shown.running, waiting }
}

fn replica_view(status: &ReplicaStatus, in_flight: &BTreeMap<&str, usize>) -> ReplicaView {
    ReplicaView {
        id: status.id.to_string(),
        group: status.group.clone(),
        state: state_name(status).to_owned(),
        port: status.ports.get(local_world::MAIN_PORT).copied(),
        pid: status.pid,
        gpus: status.gpus.clone(),
        in_flight: in_flight.get(status.id.as_str()).copied().unwrap_or(0),
        restarts: status.restarts,
    }
}

fn state_name(status: &ReplicaStatus) -> &'static str {
    match status.state {
        ReplicaState::Pending(PendingReason::NoGpu) => "waits for a GPU",
        ReplicaState::Starting => "starting",
        ReplicaState::Ready if status.leaving => "draining",
        ReplicaState::Ready => "ready",
        ReplicaState::NotReady => "not ready",
        ReplicaState::Draining => "draining",
        ReplicaState::Stopping => "stopping",
        ReplicaState::BackingOff => "backing off after a crash",
        ReplicaState::Stopped => "stopped",
        ReplicaState::Failed => "failed",
    }
}
