//! The local world's parts while it runs: supervisor, gateway, fleet. Looks, decides, and carries decisions out.

use crate::advice::Advisors;
use crate::clock::Clock;
use crate::lines::{Line, Lines};
use crate::observe::{Observer, Seen};
use crate::plans::{Plans, Sight};
use crate::recording::Recording;
use crate::roll::Rolls;
use crate::scale;
use crate::setup::Setup;
use crate::view::{AutoscalerView, DecisionView, ReplicaView, Shared};
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
    /// Groups whose replicas are being replaced.
    pub(crate) rolls: Rolls,
    /// What is planned.
    pub(crate) plans: Plans,
    /// What nobody acts upon.
    pub(crate) advisors: Advisors,
    /// Where it is written down.
    pub(crate) recording: Option<Recording>,
}

impl World {
    /// Tells of a problem where lines are read.
    pub(crate) fn say(&self, message: String) {
        self.lines.write(&Line::Warning { at: self.clock.now(), message });
    }

    /// Tells of a problem that came up while it runs.
    pub(crate) fn warn(&self, message: String) {
        tracing::warn!("{message}");
        self.view.write(|view| view.problem(message.clone()));
        self.say(message);
    }

    /// One turn: look, and record or decide.
    pub(crate) async fn turn(&mut self, decide: bool) {
        let statuses = self.supervisor.status();
        let snapshot = self.gateway.snapshot();
        let mut seen = self.observer.look(&self.setup, &statuses, &snapshot, self.clock).await;
        if decide {
            let tick = self.setup.world.tick_interval.as_secs_f64();
            let sight = Sight { clock: self.clock, tick, statuses: &statuses, snapshot: &snapshot, seen: &seen };
            seen.observation.plan = self.plans.turn(&sight).await;
        } else {
            self.plans.gather(self.clock);
        }
        let at = self.clock.now();
        let now = self.clock.timestamp(at);
        if decide {
            let pools = self.setup.pools(self.supervisor.gpu_count(), &self.gpus_held(&statuses));
            if let Some(recording) = &mut self.recording {
                recording.shared(&pools);
            }
            self.fleet.set_pools(pools);
            let decided = self.fleet.step(now, &seen.observation).targets;
            if let Some(recording) = &mut self.recording {
                recording.turn(&self.setup, self.clock, at, &seen.observation, Some(&decided));
            }
            for (name, decision) in decided {
                self.carry_out(at, &name, decision);
            }
            self.withdraw(at, &statuses, &snapshot);
        } else {
            self.fleet.record(now, &seen.observation);
            if let Some(recording) = &mut self.recording {
                recording.turn(&self.setup, self.clock, at, &seen.observation, None);
            }
        }
        self.roll(&statuses);
        self.show(at, &seen, &statuses, &snapshot);
    }

    /// GPUs by group: those that replicas have, and those that they wait for.
    fn gpus_held(&self, statuses: &[ReplicaStatus]) -> BTreeMap<String, u32> {
        let mut held: BTreeMap<String, u32> = BTreeMap::new();
        for status in statuses.iter().filter(|status| !status.state.is_final()) {
            let group = self.setup.group(&status.group).filter(|_| !status.leaving);
            let waits_for = group.map_or(0, |group| group.spec.gpus_per_replica);
            let has = u32::try_from(status.gpus.len()).unwrap_or(u32::MAX);
            *held.entry(status.group.clone()).or_default() += has.max(waits_for);
        }
        held
    }

    fn carry_out(&mut self, at: f64, name: &str, decision: TargetDecision) {
        let Some(autoscaler) = self.setup.autoscalers.iter().find(|autoscaler| autoscaler.spec.name == name) else {
            return;
        };
        if autoscaler.spec.mode == Mode::Recommend {
            self.advisors.decided(name, at, decision.replicas, decision.desired);
        }
        if decision.desired != decision.replicas {
            *self.changes.entry(name.to_owned()).or_default() += 1;
            let (replicas, desired, reason) = (decision.replicas, decision.desired, decision.reason.clone());
            let shown = DecisionView { at, autoscaler: name.to_owned(), replicas, desired, reason };
            self.view.write(|view| view.decided(shown));
            tracing::info!(autoscaler = name, replicas, desired, reason = decision.reason, "decided");
            if autoscaler.spec.mode == Mode::Apply {
                let scaled = scale::scale(&self.supervisor, &self.gateway, &self.drains, &autoscaler.group, desired);
                if let Err(error) = scaled {
                    let message = format!("{} cannot be scaled: {error}", autoscaler.group);
                    tracing::warn!("{message}");
                    self.say(message);
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

    /// Takes back a scale-up from zero whose requests have gone before any replica could start: it would hold its place
    /// in the queue for GPUs against groups that are asked for, or crash on and on for nobody.
    fn withdraw(&mut self, at: f64, statuses: &[ReplicaStatus], snapshot: &gateway::Snapshot) {
        let now = self.clock.timestamp(at);
        for autoscaler in self.setup.autoscalers.iter().filter(|one| one.spec.mode == Mode::Apply) {
            let (name, group) = (&autoscaler.spec.name, &autoscaler.group);
            let held = snapshot.group(group).map_or(0, |group| group.held);
            let wanted = self.view.read(|view| view.recommendation(name)).unwrap_or(0);
            let bounds = autoscaler.spec.schedules.effective(now, autoscaler.spec.bounds).bounds;
            let counts =
                |status: &&ReplicaStatus| status.group == *group && !status.leaving && !status.state.is_final();
            let live: Vec<&ReplicaStatus> = statuses.iter().filter(counts).collect();
            if held > 0 || wanted > 0 || bounds.min > 0 || live.is_empty() || !live.iter().all(|one| never_ran(one)) {
                continue;
            }
            let reason = "nobody waits any more, and no replica could start".to_owned();
            tracing::info!(autoscaler = name, reason, "withdrawn");
            self.lines.write(&Line::Warning { at, message: format!("{name}: back to 0: {reason}") });
            let replicas = u32::try_from(live.len()).unwrap_or(u32::MAX);
            let shown = DecisionView { at, autoscaler: name.clone(), replicas, desired: 0, reason };
            self.view.write(|view| view.decided(shown));
            *self.changes.entry(name.clone()).or_default() += 1;
            // Replicas without a process end at once; it can only fail for a group that is gone.
            let _ = scale::scale(&self.supervisor, &self.gateway, &self.drains, group, 0);
        }
    }

    /// Renews the picture.
    fn show(&mut self, at: f64, seen: &Seen, statuses: &[ReplicaStatus], snapshot: &gateway::Snapshot) {
        let in_flight: BTreeMap<&str, usize> = snapshot
            .groups
            .iter()
            .flat_map(|group| group.replicas.iter().map(|replica| (replica.id.as_str(), replica.in_flight)))
            .collect();
        let now = self.clock.timestamp(at);
        let bounds = |spec: &Spec| spec.schedules.effective(now, spec.bounds).bounds;
        let (setup, plans) = (&self.setup, &self.plans);
        self.view.write(|view| {
            view.at = at;
            let old = std::mem::take(&mut view.autoscalers);
            view.history.retain(|name, _| setup.autoscalers.iter().any(|one| one.spec.name == *name));
            for autoscaler in &setup.autoscalers {
                let name = &autoscaler.spec.name;
                let mut shown = old.iter().find(|shown| shown.name == *name).cloned().unwrap_or_default();
                let first = shown.name.is_empty();
                renew(&mut shown, autoscaler, bounds(&autoscaler.spec), seen);
                shown.plan = plans.view(name);
                if first {
                    shown.desired = shown.replicas;
                }
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

/// Waits for its first start, or crashed before it was ever ready.
fn never_ran(status: &ReplicaStatus) -> bool {
    let waits = matches!(status.state, ReplicaState::Pending(_) | ReplicaState::BackingOff);
    waits && status.ready_at.is_none()
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
        outdated: status.outdated,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{group, scaled, world};
    use local_world::EventKind;

    #[tokio::test]
    async fn a_scale_up_from_zero_is_withdrawn_where_nobody_waits_and_nothing_could_start() {
        let mut world = world(&[group("a", "replicas: 1"), scaled("a", 4)]).await;
        until_it_backs_off(&world).await;
        world.turn(true).await;
        assert_eq!(world.size("a"), 0);
        let told = world.view.read(|view| view.decisions.iter().map(|one| one.reason.clone()).collect::<Vec<_>>());
        assert_eq!(told, ["nobody waits any more, and no replica could start"]);
        assert_eq!(world.changes["a"], 1);
    }

    #[tokio::test]
    async fn a_group_without_an_autoscaler_goes_on_trying() {
        let mut world = world(&[group("a", "replicas: 1")]).await;
        until_it_backs_off(&world).await;
        world.turn(true).await;
        assert_eq!(world.size("a"), 1);
    }

    async fn until_it_backs_off(world: &World) {
        let mut events = world.supervisor.events();
        while !world.supervisor.status().iter().all(|status| status.state == ReplicaState::BackingOff) {
            let _: EventKind = events.recv().await.unwrap().kind;
        }
    }

    #[tokio::test]
    async fn gpus_that_are_waited_for_count_as_held() {
        let world = world(&[group("a", "replicas: 3, gpusPerReplica: 1")]).await;
        assert_eq!(world.gpus_held(&world.supervisor.status()), BTreeMap::from([("a".to_owned(), 3)]));
    }
}
