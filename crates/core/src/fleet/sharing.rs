//! Pools of units, such as the GPUs of a machine, shared among their members. Must not know how a wish came about.

use super::{Fleet, Member, Pending, Pool};
use crate::time::Timestamp;
use crate::trail::{Rule, Stage};
use std::collections::BTreeMap;

impl Fleet {
    /// Shares the pools. What a role then may not use, since another one was cut, is shared anew among the others.
    pub(super) fn share(&self, now: Timestamp, drafts: &mut BTreeMap<String, Pending>) {
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
