//! Autoscalers that share something: pools of GPUs, and plans as dated inputs.

mod common;

use autoscaler_core::fleet::{Member, Plan, Pool};
use autoscaler_core::spec::{Bounds, Fallback, Source, Strategy, Tolerance};
use autoscaler_core::{Decision, Fleet, Observation, Phase, Rule, Span, Spec, Stage, TargetObservation};
use common::*;
use std::collections::BTreeMap;

#[allow(clippy::unwrap_used, reason = "a fixture that fails is a failed test")]
mod pools {
    use super::*;

    /// A member: name, units a replica, priority, minimum, replicas now, replicas wanted.
    type Wish<'a> = (&'a str, u32, i32, u32, u32, u32);

    fn fleet(units: u32, wishes: &[Wish<'_>]) -> Fleet {
        let specs = wishes.iter().map(|&(name, _, _, min, ..)| Spec {
            name: name.to_owned(),
            tolerance: Tolerance::both(0.0),
            bounds: Bounds { min, max: 1000 },
            ..spec(hpa(), vec![external(1.0)])
        });
        let members = wishes
            .iter()
            .map(|&(name, units_per_replica, priority, ..)| (name.to_owned(), Member { units_per_replica, priority }));
        Fleet::new(specs.collect(), vec![Pool { units, members: members.collect() }])
    }

    fn observe(wishes: &[Wish<'_>]) -> Observation {
        let target =
            |&(name, _, _, _, current, wanted): &Wish<'_>| (name.to_owned(), seen(current).total(f64::from(wanted)));
        Observation { targets: wishes.iter().map(target).collect(), plan: None }
    }

    fn share(units: u32, wishes: &[Wish<'_>]) -> Decision {
        fleet(units, wishes).step(at(0.0), &observe(wishes))
    }

    fn granted(units: u32, wishes: &[Wish<'_>]) -> Vec<u32> {
        let decision = share(units, wishes);
        wishes.iter().map(|(name, ..)| decision.targets[*name].desired).collect()
    }

    #[test]
    fn what_fits_is_granted_without_a_step() {
        let decision = share(10, &[("a", 1, 0, 0, 1, 4), ("b", 2, 0, 0, 1, 3)]);
        assert_eq!((decision.targets["a"].desired, decision.targets["b"].desired), (4, 3));
        assert!(!names(&decision.targets["a"], Stage::Capacity, Rule::CapacityShared));
    }

    #[test]
    fn equal_wishes_get_equal_shares() {
        assert_eq!(granted(10, &[("a", 1, 0, 0, 1, 20), ("b", 1, 0, 0, 1, 20)]), [5, 5]);
        assert_eq!(granted(9, &[("a", 1, 0, 0, 1, 10), ("b", 1, 0, 0, 1, 5)]), [6, 3], "in proportion to the wish");
    }

    #[test]
    fn a_higher_priority_goes_first() {
        assert_eq!(granted(10, &[("a", 1, 0, 0, 1, 8), ("b", 1, 5, 0, 1, 8)]), [2, 8]);
    }

    #[test]
    fn minimums_go_before_priorities() {
        assert_eq!(granted(10, &[("a", 1, 0, 4, 4, 8), ("b", 1, 5, 0, 1, 20)]), [4, 6]);
        // A minimum that does not run yet goes before the growth of others.
        assert_eq!(granted(10, &[("a", 1, 0, 4, 1, 8), ("b", 1, 5, 0, 1, 20)]), [4, 6]);
    }

    #[test]
    fn what_runs_and_is_still_wanted_is_not_taken_away() {
        assert_eq!(granted(10, &[("a", 1, 0, 0, 8, 8), ("b", 1, 5, 0, 0, 8)]), [8, 2]);
        assert_eq!(granted(10, &[("a", 1, 0, 0, 8, 3), ("b", 1, 5, 0, 0, 8)]), [3, 7], "what it gives up is free");
    }

    #[test]
    fn replicas_take_whole_units() {
        assert_eq!(granted(11, &[("a", 4, 0, 0, 1, 4), ("b", 1, 0, 0, 1, 3)]), [2, 3]);
        assert_eq!(granted(3, &[("a", 0, 0, 0, 1, 50), ("b", 1, 0, 0, 1, 8)]), [50, 3], "0 units are free");
    }

    #[test]
    fn minimums_beyond_the_pool_are_kept_and_said() {
        let decision = share(5, &[("a", 1, 0, 4, 4, 6), ("b", 1, 0, 4, 4, 6)]);
        assert_eq!((decision.targets["a"].desired, decision.targets["b"].desired), (4, 4));
        assert!(names(&decision.targets["a"], Stage::Capacity, Rule::CapacityExceeded));
    }

    #[test]
    fn the_order_in_which_autoscalers_are_named_does_not_matter() {
        let mut wishes = vec![("a", 2, 0, 1, 1, 7), ("b", 1, 3, 0, 2, 9), ("c", 3, 0, 1, 0, 4), ("d", 1, 3, 0, 1, 9)];
        let first = share(17, &wishes);
        wishes.reverse();
        assert_eq!(share(17, &wishes), first);
        wishes.rotate_left(2);
        assert_eq!(share(17, &wishes), first);
    }

    #[test]
    fn the_pool_is_never_exceeded_by_growth() {
        for units in 0..40 {
            let wishes = [("a", 3, 0, 0, 0, 9), ("b", 2, 1, 0, 0, 9), ("c", 5, 0, 0, 0, 9)];
            let used: u32 = granted(units, &wishes).iter().zip(&wishes).map(|(count, wish)| count * wish.1).sum();
            assert!(used <= units, "{used} of {units}");
            assert!(units.min(72) - used < 5, "{used} of {units} leaves room for a replica");
        }
    }

    #[test]
    fn a_member_that_was_not_seen_keeps_its_units() {
        let wishes = [("a", 1, 0, 0, 6, 6), ("b", 1, 0, 0, 2, 9)];
        let mut fleet = fleet(10, &wishes);
        fleet.step(at(0.0), &observe(&wishes));
        let decision = fleet.step(at(15.0), &observe(&wishes[1..]));
        assert_eq!(decision.targets["b"].desired, 4);
        assert!(!decision.targets.contains_key("a"), "it is left alone");
    }

    /// A pool of 6: `a` has four of which two have been starting for long, and wants eight; `b` has one and wants eight.
    fn beside_stuck(phase: Phase, wanted: u32) -> (u32, u32) {
        let wishes = [("a", 1, 0, 0, 4, wanted), ("b", 1, 0, 0, 1, 8)];
        let mut seen = observe(&wishes);
        let pods = (0..4).map(|i| {
            let pod = pod(&format!("p{i}"));
            if i < 2 { pod } else { pod.starting(-1000.0).phase(phase) }
        });
        seen.targets.get_mut("a").unwrap().pods = Some(pods.collect());
        let decision = fleet(6, &wishes).step(at(0.0), &seen);
        (decision.targets["a"].desired, decision.targets["b"].desired)
    }

    #[test]
    fn replicas_that_found_no_place_keep_no_units_from_others_and_stay_wanted() {
        assert_eq!(beside_stuck(Phase::Pending, 8), (4, 4));
        assert_eq!(beside_stuck(Phase::Running, 8), (4, 2), "what runs and does not get ready holds its units");
        assert_eq!(beside_stuck(Phase::Pending, 3), (3, 4), "one of those without a place goes");
        assert_eq!(beside_stuck(Phase::Pending, 2), (2, 4), "both go");
    }

    #[test]
    fn a_replica_that_served_lately_keeps_its_units_while_it_comes_back() {
        let wishes = [("a", 1, 0, 0, 4, 8), ("b", 1, 0, 0, 1, 8)];
        let back_since = |since: f64| {
            let mut seen = observe(&wishes);
            let pods = (0..4).map(|i| {
                let pod = pod(&format!("p{i}"));
                if i < 2 { pod } else { pod.unready().phase(Phase::Pending).changed(since) }
            });
            seen.targets.get_mut("a").unwrap().pods = Some(pods.collect());
            fleet(6, &wishes).step(at(0.0), &seen).targets["b"].desired
        };
        assert_eq!((back_since(-10.0), back_since(-1000.0)), (2, 4));
    }

    #[test]
    fn units_beyond_what_can_be_counted_are_shared_too() {
        let most = u32::MAX;
        let wishes = [("a", most, 0, 0, most, most), ("b", most, 0, 0, most, most)];
        let specs = ["a", "b"].map(|name| Spec {
            name: name.to_owned(),
            bounds: Bounds { min: 0, max: most },
            ..spec(hpa(), vec![external(1.0)])
        });
        let member = Member { units_per_replica: most, priority: 0 };
        let members = ["a", "b"].map(|name| (name.to_owned(), member)).into();
        let decision = Fleet::new(specs.into(), vec![Pool { units: most, members }]).step(at(0.0), &observe(&wishes));
        assert!(decision.targets.values().all(|one| one.desired == most), "nothing that runs is taken away");
    }

    #[test]
    fn two_members_that_both_find_no_place_do_not_wait_for_each_other() {
        let wishes = [("a", 1, 0, 0, 3, 6), ("b", 1, 0, 0, 3, 6)];
        let mut fleet = fleet(6, &wishes);
        let stuck = |ready: u32| {
            let mut seen = observe(&wishes);
            for target in seen.targets.values_mut() {
                let pods = (0..3).map(|i| {
                    let pod = pod(&format!("p{i}"));
                    if i < ready { pod } else { pod.starting(-1000.0).phase(Phase::Pending) }
                });
                target.pods = Some(pods.collect());
            }
            seen
        };
        let counts = |decision: Decision| decision.targets.values().map(|one| one.desired).collect::<Vec<_>>();
        assert_eq!(counts(fleet.step(at(0.0), &stuck(1))), [3, 3], "neither grows, neither loses what it waits for");
        assert_eq!(counts(fleet.step(at(15.0), &stuck(3))), [3, 3], "and the pool is full once all have their place");
    }

    #[test]
    fn models_that_are_planned_on_one_pool_get_equal_shares_of_their_wishes_however_their_growth_is_spread() {
        let hybrid = |name: &str| Spec {
            name: name.to_owned(),
            ..spec(Strategy::Hybrid(planned(), apa()), vec![external(10.0)])
        };
        let member = Member { units_per_replica: 1, priority: 0 };
        let members = ["a", "b", "c"].map(|name| (name.to_owned(), member));
        let pool = Pool { units: 12, members: members.into() };
        let mut fleet = Fleet::new(["a", "b", "c"].map(hybrid).into(), vec![pool]);
        let mut counts = BTreeMap::from([("a", 1_u32), ("b", 1), ("c", 1)]);
        for tick in 0..40 {
            let now = 15.0 * f64::from(tick);
            // The plans ask for 12, 8 and 4, the load of now for less.
            let targets = counts.iter().map(|(name, count)| ((*name).to_owned(), seen(*count).total(20.0))).collect();
            let plan = Some(plan(now, &[("a", 12), ("b", 8), ("c", 4)]));
            let decided = fleet.step(at(now), &Observation { targets, plan }).targets;
            assert!(decided.values().map(|one| one.desired).sum::<u32>() <= 12);
            for (name, count) in &mut counts {
                *count = decided[*name].desired;
            }
        }
        assert_eq!(counts, BTreeMap::from([("a", 6), ("b", 4), ("c", 2)]));
    }

    #[test]
    fn the_limit_is_what_rates_remember() {
        // Granted 5 of 20; the change that counts is the one that was made.
        let wishes = [("a", 1, 0, 0, 1, 20), ("b", 1, 0, 0, 1, 20)];
        let mut fleet = fleet(10, &wishes);
        fleet.step(at(0.0), &observe(&wishes));
        assert_eq!(fleet.state().targets["a"].expected, Some(5));
    }
}

mod plans {
    use super::*;

    fn optimizer() -> Spec {
        spec(Strategy::Optimizer(planned()), Vec::new())
    }

    fn hybrid(sources: Vec<Source>) -> Spec {
        spec(Strategy::Hybrid(planned(), apa()), sources)
    }

    fn step(spec: Spec, plan: Option<Plan>, seen: TargetObservation) -> autoscaler_core::TargetDecision {
        let mut lone = Lone::with_history(spec, 1000.0, &[], &[]);
        lone.plan = plan;
        lone.step(1000.0, seen)
    }

    #[test]
    fn a_fresh_plan_is_taken_in_both_directions() {
        for count in [2, 8] {
            let decision = step(optimizer(), Some(plan(880.0, &[(NAME, count)])), seen(5));
            assert_eq!((decision.recommendation, decision.desired), (Some(count), count));
            assert!(names(&decision, Stage::Metric, Rule::FromPlan));
        }
    }

    #[test]
    fn a_stale_or_absent_plan_holds() {
        let stale = step(optimizer(), Some(plan(879.9, &[(NAME, 2)])), seen(5));
        assert_eq!((stale.recommendation, stale.desired), (None, 5));
        assert!(names(&stale, Stage::Metric, Rule::PlanStale));
        for plan in [None, Some(plan(1000.0, &[("another", 2)]))] {
            let absent = step(optimizer(), plan, seen(5));
            assert_eq!((absent.recommendation, absent.desired), (None, 5));
            assert!(names(&absent, Stage::Metric, Rule::PlanAbsent));
        }
    }

    #[test]
    fn the_fallback_serves_plans_too() {
        let mut lone = Lone::with_history(
            Spec { fallback: Some(Fallback { after: Span::secs(60), replicas: 7 }), ..optimizer() },
            0.0,
            &[],
            &[],
        );
        lone.step(0.0, seen(5));
        assert_eq!(lone.step(60.0, seen(5)).desired, 7);
    }

    #[test]
    fn a_plan_wakes_from_zero_ahead_of_the_load() {
        assert_eq!(step(optimizer(), Some(plan(1000.0, &[(NAME, 3)])), seen(0)).desired, 3);
        let ahead = step(hybrid(vec![external(10.0)]), Some(plan(1000.0, &[(NAME, 2)])), seen(0).total(0.0));
        assert_eq!(ahead.desired, 2);
        let spec = Spec { activation: Some(50.0), ..hybrid(vec![external(10.0)]) };
        let both = step(spec, Some(plan(1000.0, &[(NAME, 2)])), seen(0).total(45.0));
        assert_eq!((both.recommendation, both.desired), (Some(5), 2), "the load does not exceed its threshold");
        let stale = step(hybrid(vec![external(10.0)]), Some(plan(0.0, &[(NAME, 2)])), seen(0).total(0.0));
        assert_eq!(stale.desired, 0, "a stale plan does not wake");
    }

    #[test]
    fn the_plan_is_a_floor_under_the_reactive_answer() {
        let with = |floor, total| {
            let plan = Some(plan(1000.0, &[(NAME, floor)]));
            step(hybrid(vec![external(10.0)]), plan, seen(5).total(total)).recommendation
        };
        assert_eq!(with(4, 80.0), Some(8));
        assert_eq!(with(4, 30.0), Some(4));
        assert_eq!(with(9, 30.0), Some(9));
    }

    #[test]
    fn without_a_plan_the_reactive_answer_stands_and_a_stale_one_stays_a_floor() {
        assert_eq!(step(hybrid(vec![external(10.0)]), None, seen(5).total(30.0)).recommendation, Some(3));
        let stale = Some(plan(0.0, &[(NAME, 4)]));
        assert_eq!(step(hybrid(vec![external(10.0)]), stale, seen(5).total(30.0)).recommendation, Some(4));
    }

    #[test]
    fn without_the_reactive_half_a_plan_adds_and_never_takes_away() {
        let with = |floor| {
            let plan = Some(plan(1000.0, &[(NAME, floor)]));
            step(hybrid(vec![external(10.0)]), plan, seen(5).absent(LOAD)).desired
        };
        assert_eq!(with(8), 8);
        assert_eq!(with(2), 5);
        let neither = step(hybrid(vec![external(10.0)]), None, seen(5).absent(LOAD));
        assert_eq!((neither.recommendation, neither.desired), (None, 5));
    }

    #[test]
    fn one_plan_serves_a_whole_fleet() {
        let named = |name: &str| Spec { name: name.to_owned(), ..optimizer() };
        let mut fleet = Fleet::new(vec![named("a"), named("b")], Vec::new());
        let targets = BTreeMap::from([("a".to_owned(), seen(1)), ("b".to_owned(), seen(1))]);
        let seen = Observation { targets, plan: Some(plan(0.0, &[("a", 4), ("b", 2)])) };
        let decision = fleet.step(at(0.0), &seen);
        assert_eq!((decision.targets["a"].desired, decision.targets["b"].desired), (4, 2));
    }
}
