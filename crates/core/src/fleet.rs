//! Autoscalers that share something decide together: each drafts, roles that serve together are matched, the shared capacity
//! arbitrates, each commits. A lone autoscaler is a fleet of one.

use crate::coordination::{Groups, Partner, Side};
use crate::observe::TargetObservation;
use crate::spec::Spec;
use crate::state::{FleetState, History, TargetState, VERSION};
use crate::target::{Draft, Target};
use crate::time::Timestamp;
use crate::trail::{TargetDecision, Trail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod sharing;

/// What a world saw of a whole fleet at one time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// By autoscaler name; a target that is not in it is left alone.
    pub targets: BTreeMap<String, TargetObservation>,
    /// The latest plan, fresh or not.
    pub plan: Option<Plan>,
}

/// Replica counts that a planner made outside: a dated input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// When its inputs were taken.
    pub made_at: Timestamp,
    /// By autoscaler name.
    pub replicas: BTreeMap<String, u32>,
    /// What each count rests on, for people; by autoscaler name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub why: BTreeMap<String, String>,
}

impl Plan {
    /// What a target's count rests on.
    #[must_use]
    pub fn reason(&self, name: &str) -> &str {
        self.why.get(name).map_or("taken from the plan", String::as_str)
    }
}

/// What was decided for a fleet, by autoscaler name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// By autoscaler name.
    pub targets: BTreeMap<String, TargetDecision>,
}

/// Capacity that several targets share, such as the GPUs of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pool {
    /// How many units there are.
    pub units: u32,
    /// Who takes part, by autoscaler name.
    pub members: BTreeMap<String, Member>,
}

/// One member of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Units per replica; 0 takes none.
    pub units_per_replica: u32,
    /// Higher goes first.
    pub priority: i32,
}

/// The autoscalers that share something.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fleet {
    targets: BTreeMap<String, Target>,
    pools: Vec<Pool>,
    partners: Vec<Partner>,
}

impl Fleet {
    /// A fleet without a memory: each autoscaler starts fresh at its first tick.
    #[must_use]
    pub fn new(specs: Vec<Spec>, pools: Vec<Pool>) -> Self {
        let mut fleet = Self { targets: BTreeMap::new(), pools, partners: Vec::new() };
        fleet.configure(specs);
        fleet
    }

    /// Takes changed specs: memories are kept by name, targets that are gone are forgotten.
    pub fn configure(&mut self, specs: Vec<Spec>) {
        let mut old = std::mem::take(&mut self.targets);
        for spec in specs {
            let old = old.remove(&spec.name).map(|target| (target.state, target.resumed));
            let (state, resumed) = old.unwrap_or_default();
            self.targets.insert(spec.name.clone(), Target { spec, state, resumed });
        }
    }

    /// Takes changed pools.
    pub fn set_pools(&mut self, pools: Vec<Pool>) {
        self.pools = pools;
    }

    /// Takes what is known of targets of the same groups that another fleet decides.
    pub fn set_partners(&mut self, partners: Vec<Partner>) {
        self.partners = partners;
    }

    /// What a target last said to the other roles of its group; none where it limits nobody, whatever it asks for.
    #[must_use]
    pub fn side(&self, name: &str) -> Option<Side> {
        self.targets.get(name)?.state.side
    }

    /// Tells one autoscaler its past before its first tick, so that it does not start fresh.
    pub fn tell_history(&mut self, name: &str, history: &History, first_tick: Timestamp) {
        if let Some(target) = self.targets.get_mut(name) {
            target.state = TargetState::with_history(history, first_tick);
        }
    }

    /// The memory, to be saved.
    #[must_use]
    pub fn state(&self) -> FleetState {
        let targets = self.targets.iter().map(|(name, target)| (name.clone(), target.state.clone())).collect();
        FleetState { version: VERSION, targets }
    }

    /// Takes a saved memory, and goes on as if there had been no break. One of another version is not used: answers
    /// whether it was.
    pub fn restore(&mut self, state: FleetState) -> bool {
        self.take_over(state, false)
    }

    /// Takes a saved memory after a break, as a restarted controller does: where the break has outlived everything that
    /// would hold the replicas, the first tick is as careful as a fresh start.
    pub fn resume(&mut self, state: FleetState) -> bool {
        self.take_over(state, true)
    }

    fn take_over(&mut self, state: FleetState, resumed: bool) -> bool {
        if state.version != VERSION {
            return false;
        }
        for (name, state) in state.targets {
            if let Some(target) = self.targets.get_mut(&name) {
                target.state = state;
                target.resumed = resumed;
            }
        }
        true
    }

    /// The specs, by name.
    pub fn specs(&self) -> impl Iterator<Item = &Spec> {
        self.targets.values().map(|target| &target.spec)
    }

    /// Takes samples without deciding.
    pub fn record(&mut self, now: Timestamp, seen: &Observation) {
        for (name, target) in &mut self.targets {
            if let Some(observed) = seen.targets.get(name) {
                target.record(now, observed, &mut Trail::default());
            }
        }
    }

    /// Takes samples and decides.
    pub fn step(&mut self, now: Timestamp, seen: &Observation) -> Decision {
        let mut drafts = BTreeMap::new();
        for (name, target) in &mut self.targets {
            let Some(observed) = seen.targets.get(name) else { continue };
            let mut trail = Trail::default();
            let now = target.record(now, observed, &mut trail);
            let draft = target.draft(now, observed, seen.plan.as_ref(), trail);
            drafts.insert(name.clone(), Pending { now, replicas: observed.replicas, draft });
        }
        // Before the pools, so that what a role cannot use is there for others; and after them, for what they have cut.
        self.coordinate(now, &mut drafts);
        self.share(now, &mut drafts);
        for (name, target) in &mut self.targets {
            if let Some(pending) = drafts.get(name) {
                target.state.side = pending.side(&target.spec);
            }
        }
        let commit = |(name, pending): (String, Pending)| {
            let target = self.targets.get_mut(&name)?;
            Some((name, target.commit(pending.now, pending.replicas, pending.draft)))
        };
        Decision { targets: drafts.into_iter().filter_map(commit).collect() }
    }

    /// Holds the growth of roles whose partners cannot follow, and answers whom it held at how many, and why. Targets that were not
    /// seen this time say what they said last.
    fn coordinate(&self, now: Timestamp, drafts: &mut BTreeMap<String, Pending>) -> BTreeMap<String, (u32, String)> {
        let mut groups = Groups::default();
        for (name, target) in &self.targets {
            let Some(of) = &target.spec.coordination else { continue };
            let side = match drafts.get(name) {
                Some(pending) => pending.side(&target.spec),
                None => target.state.side.filter(|side| side.is_fresh(now)),
            };
            if let Some(side) = side {
                groups.add(of, side);
            }
        }
        for partner in self.partners.iter().filter(|one| !self.targets.contains_key(&one.name)) {
            if partner.side.is_fresh(now) {
                groups.add(&partner.coordination, partner.side);
            }
        }
        let mut held = BTreeMap::new();
        for (name, pending) in drafts {
            let of = self.targets.get(name).and_then(|target| target.spec.coordination.as_ref());
            // What does not rest on its own signals, such as a fallback, is not growth that anybody has to follow.
            let Some((of, asked)) = of.zip(pending.draft.asked) else { continue };
            let Some(limit) = groups.limit(of, asked) else { continue };
            let most = limit.most.max(pending.replicas).max(pending.draft.bounds.min);
            if pending.draft.desired > most {
                let because =
                    format!("{} of {} has {} of the {} it wants", limit.role, of.group, limit.granted, limit.wanted);
                pending.draft.hold(most, because.clone());
                held.insert(name.clone(), (most, because));
            }
        }
        held
    }
}

#[derive(Clone)]
struct Pending {
    now: Timestamp,
    replicas: u32,
    draft: Draft,
}

impl Pending {
    fn side(&self, spec: &Spec) -> Option<Side> {
        let Draft { asked, bounds, cut, starting, .. } = &self.draft;
        Side::of(spec, self.now, *asked, *bounds, *cut, starting)
    }
}
