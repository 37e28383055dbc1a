//! Autoscalers that share something decide together: each drafts, roles that serve together are matched, the shared capacity
//! arbitrates, each commits. A lone autoscaler is a fleet of one.

use crate::coordination::{Groups, Partner, Side};
use crate::observe::TargetObservation;
use crate::spec::Spec;
use crate::state::{FleetState, History, TargetState, VERSION};
use crate::target::{Draft, Target};
use crate::time::Timestamp;
use crate::trail::{Rule, Stage, TargetDecision, Trail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

    /// Shares the pools. What a role then may not use, since another one was cut, is shared anew among the others.
    fn share(&self, now: Timestamp, drafts: &mut BTreeMap<String, Pending>) {
        let matched = self.targets.values().any(|target| target.spec.coordination.is_some());
        // Each round lowers the wish of at least one; one that is lowered again and again waits for the next tick.
        for round in 0..=drafts.len() {
            let wishes = (matched && !self.pools.is_empty()).then(|| drafts.clone());
            for pool in &self.pools {
                self.arbitrate(pool, drafts);
            }
            let held = self.coordinate(now, drafts);
            let Some(wishes) = wishes.filter(|_| !held.is_empty() && round < drafts.len()) else { return };
            *drafts = wishes;
            for (name, (most, because)) in held {
                if let Some(pending) = drafts.get_mut(&name) {
                    pending.draft.hold(most, because);
                }
            }
        }
    }

    /// Holds the growth of roles whose partners cannot follow, and answers whom it held at how many, and why. Targets that were not seen this time say what they said last.
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

    /// Shares a pool: what runs and is still wanted stays, minimums come next, and the rest is filled evenly by priority.
    ///
    /// Replicas that found no place within their pending deadline hold nothing, so their units are lent to the others: where they
    /// cannot be placed, keeping units for them would leave these idle for ever. They stay wanted, and come when there is room; their
    /// target does not grow meanwhile, since what it would add could not be placed either.
    fn arbitrate(&self, pool: &Pool, drafts: &mut BTreeMap<String, Pending>) {
        let units = u64::from(pool.units).saturating_sub(self.unseen_units(pool, drafts));
        let mut claims: Vec<Claim> = Vec::new();
        for (name, member) in pool.members.iter().filter(|(_, member)| member.units_per_replica > 0) {
            let Some(pending) = drafts.get(name) else { continue };
            let kept =
                pending.draft.desired.min(pending.replicas).max(pending.draft.bounds.min.min(pending.draft.desired));
            // Those that find no place go first where some go.
            let placed = pending.replicas.saturating_sub(pending.draft.starting.unplaced);
            let unplaced = kept.min(pending.replicas).saturating_sub(placed);
            claims.push(Claim {
                name: name.clone(),
                member: Member { priority: self.priority(pool, name, *member), ..*member },
                granted: kept,
                wanted: pending.draft.desired,
                unplaced,
            });
        }
        let wanted: u64 = claims.iter().map(|claim| claim.units(claim.wanted)).fold(0, u64::saturating_add);
        if wanted <= units {
            return;
        }
        let kept: u64 = claims.iter().map(|claim| claim.units(claim.granted)).fold(0, u64::saturating_add);
        let mut free = units.saturating_sub(kept);
        // Each round gives one replica to whoever has the smallest share of its wish; a round costs at least one unit, so
        // there are at most as many rounds as units.
        while let Some(next) = next_claim(&claims, free) {
            free -= u64::from(claims[next].member.units_per_replica);
            claims[next].granted += 1;
        }
        let rule = if kept > units { Rule::CapacityExceeded } else { Rule::CapacityShared };
        for claim in claims {
            let Some(pending) = drafts.get_mut(&claim.name) else { continue };
            let draft = &mut pending.draft;
            if claim.granted < claim.wanted {
                draft.cut = Some(draft.cut.map_or(claim.granted, |cut| cut.min(claim.granted)));
            }
            draft.desired = draft.trail.change(Stage::Capacity, rule, claim.wanted, claim.granted, || {
                format!("{units} units are shared, {wanted} are wanted")
            });
        }
    }

    /// Roles of one group go as early as the first of them: one that took all before the other has any could use none of it, and
    /// would be held at every tick while the units stay idle.
    fn priority(&self, pool: &Pool, name: &str, member: Member) -> i32 {
        let group = |name: &str| self.targets.get(name)?.spec.coordination.as_ref().map(|of| of.group.as_str());
        let Some(own) = group(name) else { return member.priority };
        let others = pool.members.iter().filter(|(other, _)| group(other) == Some(own));
        others.map(|(_, other)| other.priority).fold(member.priority, i32::max)
    }

    /// Units of the members that were not seen this time: they are left alone, so they keep what they had last.
    fn unseen_units(&self, pool: &Pool, drafts: &BTreeMap<String, Pending>) -> u64 {
        let unseen = pool.members.iter().filter(|(name, _)| !drafts.contains_key(*name));
        let units = unseen.filter_map(|(name, member)| {
            let replicas = self.targets.get(name)?.state.expected?;
            Some(u64::from(replicas) * u64::from(member.units_per_replica))
        });
        units.fold(0, u64::saturating_add)
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

struct Claim {
    name: String,
    member: Member,
    granted: u32,
    wanted: u32,
    /// Replicas that are wanted and found no place.
    unplaced: u32,
}

impl Claim {
    /// Units of so many replicas, but for those that found no place.
    fn units(&self, replicas: u32) -> u64 {
        u64::from(replicas.saturating_sub(self.unplaced)) * u64::from(self.member.units_per_replica)
    }
}

/// The claim to serve next: highest priority, then the smallest granted share of its wish, then by name.
fn next_claim(claims: &[Claim], free: u64) -> Option<usize> {
    let fits = |claim: &Claim| u64::from(claim.member.units_per_replica) <= free;
    let open = |claim: &Claim| claim.granted < claim.wanted && claim.unplaced == 0 && fits(claim);
    let better = |a: &Claim, b: &Claim| {
        let share = (u64::from(a.granted) * u64::from(b.wanted)).cmp(&(u64::from(b.granted) * u64::from(a.wanted)));
        b.member.priority.cmp(&a.member.priority).then(share).then_with(|| a.name.cmp(&b.name))
    };
    let candidates = claims.iter().enumerate().filter(|(_, claim)| open(claim));
    candidates.min_by(|(_, a), (_, b)| better(a, b)).map(|(index, _)| index)
}
