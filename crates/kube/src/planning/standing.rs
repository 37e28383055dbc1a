//! What a status says of the plan: which of the steps fresh plan, last plan, metrics alone, hold decides now, and why. Pure.

use autoscaler_core::fleet::Plan;
use autoscaler_core::spec::{Spec, Strategy};
use autoscaler_core::{Span, Timestamp};

/// How an object stands to its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether a fresh plan decides.
    pub(crate) fresh: bool,
    /// `Planned`, `PlanStale`, `ProfileUnusable`, `CannotPlan` or `NoPlanYet`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// The part of it that stays, for an event: what is wrong with the profile.
    pub(crate) cause: String,
}

impl Standing {
    /// `profile` is what is wrong with the profile, `refused` why its settings cannot be planned with.
    pub(crate) fn of(
        spec: &Spec,
        plan: Option<&Plan>,
        now: Timestamp,
        profile: Option<&str>,
        refused: Option<&str>,
    ) -> Option<Self> {
        let (max_age, hybrid) = match &spec.strategy {
            Strategy::Optimizer(planned) => (planned.max_age, false),
            Strategy::Hybrid(planned, _) => (planned.max_age, true),
            _ => return None,
        };
        let planned = plan.and_then(|plan| Some((*plan.replicas.get(&spec.name)?, now.since(plan.made_at))));
        let fresh = planned.is_some_and(|(_, age)| age <= max_age);
        let instead = instead(planned, fresh, hybrid);
        let (reason, message) = match (profile, refused, planned) {
            (Some(why), _, _) => ("ProfileUnusable", format!("{why}; until that is mended {instead}")),
            (None, Some(why), _) => ("CannotPlan", format!("{why}; until that is mended {instead}")),
            (None, None, Some(_)) if fresh => ("Planned", instead),
            (None, None, Some(_)) => ("PlanStale", format!("no arrivals were seen of late; {instead}")),
            (None, None, None) => ("NoPlanYet", format!("no arrivals were seen yet; {instead}")),
        };
        let cause = profile.unwrap_or_default().to_owned();
        Some(Self { fresh: fresh && reason == "Planned", reason, message, cause })
    }
}

fn instead(planned: Option<(u32, Span)>, fresh: bool, hybrid: bool) -> String {
    match (planned, hybrid) {
        (Some((count, age)), _) if fresh => format!("the plan asks for {count}, of {:.0} s ago", age.as_secs()),
        (Some((count, age)), true) => {
            format!("the last plan, {count} of {:.0} s ago, stays a floor under the metrics", age.as_secs())
        }
        (None, true) => "the metrics alone decide".to_owned(),
        (_, false) => "the count is held".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::testing::object;
    use autoscaler_api::v1alpha1::ScalingStrategy;
    use autoscaler_runtime::decide::input::Settings;
    use autoscaler_runtime::spec::in_world;
    use std::collections::BTreeMap;

    #[test]
    fn each_step_down_is_told_with_what_stands_in() {
        let plan = Plan {
            made_at: Timestamp::from_secs(1000.0),
            replicas: BTreeMap::from([("chat".to_owned(), 4)]),
            why: BTreeMap::new(),
        };
        let said = |strategy, plan: Option<&Plan>, now, profile| {
            let resolved = autoscaler_api::resolved::ResolvedAutoscaler { strategy, ..object("chat") };
            let spec = in_world(&resolved, &Settings::default()).unwrap();
            let standing = Standing::of(&spec, plan, Timestamp::from_secs(now), profile, None)?;
            Some((standing.fresh, standing.reason, standing.message))
        };
        let (hybrid, optimizer) = (ScalingStrategy::Hybrid, ScalingStrategy::Optimizer);
        let cases = [
            (hybrid, Some(&plan), 1005.0, None, true, "Planned", "the plan asks for 4, of 5 s ago"),
            (hybrid, Some(&plan), 9000.0, None, false, "PlanStale", "4 of 8000 s ago, stays a floor"),
            (hybrid, None, 1000.0, None, false, "NoPlanYet", "the metrics alone decide"),
            (optimizer, Some(&plan), 9000.0, None, false, "PlanStale", "the count is held"),
            (optimizer, None, 1000.0, Some("ConfigMap x: is not there"), false, "ProfileUnusable", "the count is held"),
            (hybrid, Some(&plan), 1005.0, Some("broken"), false, "ProfileUnusable", "the plan asks for 4"),
        ];
        for (strategy, plan, now, profile, fresh, reason, message) in cases {
            let found = said(strategy, plan, now, profile).unwrap();
            assert_eq!((found.0, found.1), (fresh, reason));
            assert!(found.2.contains(message), "{found:?}");
        }
        assert_eq!(said(ScalingStrategy::Apa, Some(&plan), 1000.0, None), None);
    }
}
