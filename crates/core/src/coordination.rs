//! Roles that serve one model together, such as prefill and decode: what one of them cannot have limits the growth of the others.
//! Must not know why a role is limited beyond what its draft says, and never takes a replica away.
//!
//! Every target drafts from its own signals. One that does not get what it asks for, cut by its maximum or by a pool, or with
//! replicas past their pending deadline, is served in part, and the others need no more than match that part:
//! `desired ≤ max(current, min, 1, ⌈asked × granted ÷ wanted⌉)`, with what the limited role is granted and wants.
//!
//! Nothing waits for itself: whether a role is limited follows from its own draft, bounds, pool and pods alone, never from what
//! this stage made of it, so two roles cannot hold one another for ever. Replicas that only start up count as granted. A role whose
//! metrics are gone says nothing, and limits nobody. And since current replicas are always allowed, nothing is scaled down here.

use crate::spec::{Bounds, Coordination, Mode, Spec};
use crate::stage::guards::Starting;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a target asks for and what it gets, as the other roles see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// When.
    pub at: Timestamp,
    /// Replicas that its own signals ask for, before its maximum.
    pub wanted: u32,
    /// Those of them that it gets; fewer where it is limited.
    pub granted: u32,
}

/// A target of the same group that another fleet decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Its name; one that this fleet decides itself is left out.
    pub name: String,
    /// Its group and role.
    pub coordination: Coordination,
    /// What it said last.
    pub side: Side,
}

/// What a side said is taken for so long, where it was not seen since: eight of the slowest usual ticks (15 s).
pub const SIDE_AGE: Span = Span::secs(120);

impl Side {
    /// What a draft says to the other roles; none where nobody acts on it, or its signals say nothing.
    pub(crate) fn of(
        spec: &Spec,
        now: Timestamp,
        asked: Option<u32>,
        bounds: Bounds,
        cut: Option<u32>,
        starting: &Starting,
    ) -> Option<Self> {
        let wanted = asked.filter(|_| spec.coordination.is_some() && spec.mode == Mode::Apply)?;
        let Starting { ready, coming, stuck, missing, .. } = *starting;
        let placed = (missing > 0).then(|| ready.saturating_add(coming).saturating_add(stuck.saturating_sub(missing)));
        let limits = [Some(bounds.max), cut, placed];
        let granted = limits.into_iter().flatten().fold(wanted, u32::min);
        Some(Self { at: now, wanted, granted })
    }

    /// Whether it still says something at this time.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.at) <= SIDE_AGE
    }
}

/// What the roles of all groups ask for and get; several targets of one role count together.
#[derive(Debug, Default)]
pub(crate) struct Groups<'a>(BTreeMap<&'a str, BTreeMap<&'a str, Sum>>);

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    wanted: u64,
    granted: u64,
}

/// The most that a target may grow to, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Limit<'a> {
    pub(crate) most: u32,
    pub(crate) role: &'a str,
    pub(crate) granted: u64,
    pub(crate) wanted: u64,
}

impl<'a> Groups<'a> {
    pub(crate) fn add(&mut self, of: &'a Coordination, side: Side) {
        let sum = self.0.entry(&of.group).or_default().entry(&of.role).or_default();
        sum.wanted += u64::from(side.wanted);
        sum.granted += u64::from(side.granted);
    }

    /// The tightest limit that another role of its group sets to a target that asks for so many.
    pub(crate) fn limit(&self, of: &Coordination, asked: u32) -> Option<Limit<'a>> {
        let roles = self.0.get(of.group.as_str())?;
        let others = roles.iter().filter(|(role, sum)| **role != of.role && sum.granted < sum.wanted);
        let limits = others.map(|(role, sum)| Limit {
            most: matched(asked, *sum),
            role,
            granted: sum.granted,
            wanted: sum.wanted,
        });
        limits.min_by_key(|limit| limit.most)
    }
}

/// What matches a limited role; one replica always may be, so that nobody waits at zero for a role that is stuck.
fn matched(asked: u32, sum: Sum) -> u32 {
    // A count times a sum of counts is beyond 64 bits only for counts that no fleet has.
    let share = u128::from(asked) * u128::from(sum.granted);
    u32::try_from(share.div_ceil(u128::from(sum.wanted.max(1)))).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> Coordination {
        Coordination { group: "chat".to_owned(), role: name.to_owned() }
    }

    fn side(wanted: u32, granted: u32) -> Side {
        Side { at: Timestamp(0), wanted, granted }
    }

    #[test]
    fn the_other_role_is_matched_in_proportion_and_rounded_up() {
        let (prefill, decode) = (role("prefill"), role("decode"));
        for (wanted, granted, asked, most) in [
            (6, 3, 8, Some(4)),
            (6, 3, 7, Some(4)),
            (3, 2, 4, Some(3)),
            (6, 0, 8, Some(1)),
            (6, 6, 8, None),
            (0, 0, 8, None),
            (u32::MAX, u32::MAX - 1, u32::MAX, Some(u32::MAX - 1)),
        ] {
            let mut groups = Groups::default();
            groups.add(&prefill, side(wanted, granted));
            let limit = groups.limit(&decode, asked).map(|limit| limit.most);
            assert_eq!(limit, most, "{granted} of {wanted}, {asked} asked for");
        }
    }

    #[test]
    fn a_role_does_not_limit_itself_nor_another_group() {
        let (prefill, other) = (role("prefill"), Coordination { group: "code".to_owned(), role: "decode".to_owned() });
        let mut groups = Groups::default();
        groups.add(&prefill, side(6, 3));
        assert_eq!(groups.limit(&prefill, 8), None);
        assert_eq!(groups.limit(&other, 8), None);
    }

    #[test]
    fn targets_of_one_role_count_together() {
        let (prefill, decode) = (role("prefill"), role("decode"));
        let mut groups = Groups::default();
        groups.add(&prefill, side(6, 3));
        groups.add(&prefill, side(6, 6));
        assert_eq!(groups.limit(&decode, 8).map(|limit| limit.most), Some(6));
    }
}
