//! Replaces the replicas of a group whose command was changed, one after the other: a new one is started, and the old one
//! serves until the new one is ready. Must not know why a group was changed.

use gateway::GatewayHandle;
use local_world::{PendingReason, ReplicaState, ReplicaStatus, Supervisor};
use std::collections::BTreeMap;
use tokio_util::task::TaskTracker;

use crate::routing;
use crate::scale;

/// The groups that are being replaced, each with its present step.
#[derive(Debug, Default)]
pub(crate) struct Rolls(BTreeMap<String, Option<Step>>);

/// One replica in another's place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// Leaving for the supervisor, so that it does not count; the gateway sends it requests until it is let go.
    old: String,
    /// None where the group had become smaller meanwhile.
    new: Option<String>,
    let_go: bool,
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Wait,
    /// The old one is not needed any more.
    LetGo,
    /// The old one is gone.
    Done,
}

impl Rolls {
    /// The replicas of a group that run what it was before.
    pub(crate) fn outdated<'s>(
        statuses: &'s [ReplicaStatus],
        group: &str,
    ) -> impl Iterator<Item = &'s ReplicaStatus> + use<'s> {
        let group = group.to_owned();
        // One without a process takes the new command when it starts.
        let outdated = |status: &&ReplicaStatus| status.outdated && !status.leaving && status.pid.is_some();
        statuses.iter().filter(move |status| status.group == group).filter(outdated)
    }

    /// Begins with a group; one that is begun already takes in what is outdated now.
    pub(crate) fn begin(&mut self, group: &str) {
        self.0.entry(group.to_owned()).or_default();
    }

    /// A group is removed: what its step has kept is let go.
    pub(crate) fn forget(
        &mut self,
        group: &str,
        supervisor: &Supervisor,
        gateway: &GatewayHandle,
        drains: &TaskTracker,
    ) {
        if let Some(Some(step)) = self.0.remove(group) {
            scale::drain_and_stop(supervisor, gateway, drains, &step.old);
        }
    }

    /// Goes on with every group as far as it can. Answers the groups that are done.
    pub(crate) fn turn(
        &mut self,
        statuses: &[ReplicaStatus],
        supervisor: &Supervisor,
        gateway: &GatewayHandle,
        drains: &TaskTracker,
    ) -> Vec<String> {
        let mut done = Vec::new();
        self.0.retain(|group, step| {
            match step.as_ref().map(|step| step.next(statuses)) {
                Some(Next::Wait) => {}
                Some(Next::LetGo) => {
                    if let Some(step) = step {
                        scale::drain_and_stop(supervisor, gateway, drains, &step.old);
                        step.let_go = true;
                    }
                }
                Some(Next::Done) => *step = None,
                None => {
                    let Some(old) = Self::outdated(statuses, group).next() else {
                        done.push(group.clone());
                        return false;
                    };
                    *step = begin(old, statuses, supervisor);
                }
            }
            true
        });
        done
    }
}

/// Marks the old one as leaving, and brings the group to its size again.
fn begin(old: &ReplicaStatus, statuses: &[ReplicaStatus], supervisor: &Supervisor) -> Option<Step> {
    let counts = |status: &&ReplicaStatus| status.group == old.group && !status.leaving && !status.state.is_final();
    let size = statuses.iter().filter(counts).count();
    // Either fails only for what is gone by now, or while everything ends.
    supervisor.drain(old.id.as_str()).ok()?;
    let scaled = supervisor.scale(&old.group, size).ok()?;
    let new = scaled.started.first().map(ToString::to_string);
    Some(Step { old: old.id.to_string(), new, let_go: false })
}

impl Step {
    fn next(&self, statuses: &[ReplicaStatus]) -> Next {
        let find = |id: &str| statuses.iter().find(|status| status.id.as_str() == id);
        let old = find(&self.old).map(|status| status.state);
        let new = self.new.as_deref().and_then(find).filter(|status| !status.leaving);
        self.judge(old, new.map(|status| (status.state, routing::serves(status))))
    }

    fn judge(&self, old: Option<ReplicaState>, new: Option<(ReplicaState, bool)>) -> Next {
        let Some(_) = old.filter(|state| !state.is_final()) else { return Next::Done };
        // One that waits for GPUs can only start with the old one's.
        let waits_for_gpus = |state| state == ReplicaState::Pending(PendingReason::NoGpu);
        let needed = new.is_some_and(|(state, serves)| !serves && !waits_for_gpus(state));
        if needed || self.let_go { Next::Wait } else { Next::LetGo }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(old: Option<ReplicaState>, new: Option<ReplicaState>) -> Next {
        let step = Step { old: "a-0".to_owned(), new: Some("a-1".to_owned()), let_go: false };
        step.judge(old, new.map(|state| (state, state == ReplicaState::Ready)))
    }

    const SERVES: Option<ReplicaState> = Some(ReplicaState::Draining);

    #[test]
    fn the_old_replica_serves_until_the_new_one_is_ready() {
        assert_eq!(next(SERVES, Some(ReplicaState::Starting)), Next::Wait);
        assert_eq!(next(SERVES, Some(ReplicaState::BackingOff)), Next::Wait, "a command that fails replaces nobody");
        assert_eq!(next(SERVES, Some(ReplicaState::Ready)), Next::LetGo);
        assert_eq!(next(Some(ReplicaState::Stopped), Some(ReplicaState::Ready)), Next::Done);
    }

    #[test]
    fn a_new_replica_that_waits_for_the_old_ones_gpu_gets_it() {
        assert_eq!(next(SERVES, Some(ReplicaState::Pending(PendingReason::NoGpu))), Next::LetGo);
    }

    #[test]
    fn a_group_that_has_shrunk_meanwhile_needs_no_replacement() {
        assert_eq!(next(SERVES, None), Next::LetGo);
    }

    #[test]
    fn the_old_one_is_let_go_once() {
        let step = Step { old: "a-0".to_owned(), new: None, let_go: true };
        assert_eq!(step.judge(SERVES, None), Next::Wait);
    }
}
