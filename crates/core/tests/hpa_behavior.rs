//! Stabilization and rate policies (kubernetes `pkg/controller/podautoscaler/horizontal.go`), driven by a metric whose
//! value is the recommendation.

mod common;

use autoscaler_core::spec::{Behavior, Hpa, OlderRule, Policy, PolicyKind, ScalingRules, Select, Strategy, Tolerance};
use autoscaler_core::{Rule, Span, Spec, Stage, TargetDecision};
use common::*;

const NOW: f64 = 10_000.0;

fn with(behavior: Behavior) -> Spec {
    Spec { behavior, tolerance: Tolerance::both(0.0), ..spec(hpa(), vec![external(1.0)]) }
}

/// Decides at `NOW` with `current` replicas where the metric asks for `wanted`.
fn decide(
    spec: Spec,
    current: u32,
    wanted: u32,
    recommendations: &[(f64, u32)],
    changes: &[(f64, i64)],
) -> TargetDecision {
    Lone::with_history(spec, NOW, recommendations, changes).step(NOW, seen(current).total(f64::from(wanted)))
}

fn windows(up: i64, down: i64) -> Behavior {
    Behavior { up: ScalingRules::free(Span::secs(up)), down: ScalingRules::free(Span::secs(down)) }
}

fn pods(value: u32, seconds: i64) -> Policy {
    Policy { kind: PolicyKind::Pods, value, period: Span::secs(seconds) }
}

fn percent(value: u32, seconds: i64) -> Policy {
    Policy { kind: PolicyKind::Percent, value, period: Span::secs(seconds) }
}

fn rules(select: Select, policies: &[Policy]) -> ScalingRules {
    ScalingRules { stabilization: Span::ZERO, select, policies: policies.to_vec() }
}

fn up(select: Select, policies: &[Policy]) -> Spec {
    with(Behavior { up: rules(select, policies), ..free() })
}

fn down(select: Select, policies: &[Policy]) -> Spec {
    with(Behavior { down: rules(select, policies), ..free() })
}

mod stabilization {
    use super::*;

    #[test]
    fn a_scale_down_takes_the_highest_of_its_window() {
        let decision = decide(with(windows(0, 300)), 10, 2, &[(299.0, 7), (100.0, 5)], &[]);
        assert_eq!((decision.recommendation, decision.desired), (Some(2), 7));
        assert!(names(&decision, Stage::Stabilization, Rule::ScaleDownStabilized));
    }

    #[test]
    fn a_scale_up_takes_the_lowest_of_its_window() {
        let decision = decide(with(windows(60, 0)), 2, 10, &[(59.0, 4), (10.0, 8)], &[]);
        assert_eq!((decision.recommendation, decision.desired), (Some(10), 4));
        assert!(names(&decision, Stage::Stabilization, Rule::ScaleUpStabilized));
    }

    #[test]
    fn the_two_windows_hold_the_current_count_between_them() {
        let logged = [(10.0, 3), (20.0, 7)];
        assert_eq!(decide(with(windows(60, 60)), 5, 10, &logged, &[]).desired, 5);
        assert_eq!(decide(with(windows(60, 60)), 5, 2, &logged, &[]).desired, 5);
        assert_eq!(decide(with(windows(60, 60)), 2, 10, &logged, &[]).desired, 3, "no lower than the lowest");
        assert_eq!(decide(with(windows(60, 60)), 9, 1, &logged, &[]).desired, 7, "no higher than the highest");
    }

    #[test]
    fn an_entry_as_old_as_the_window_is_outside() {
        assert_eq!(decide(with(windows(0, 300)), 10, 2, &[(300.0, 7)], &[]).desired, 2);
        assert_eq!(decide(with(windows(0, 300)), 10, 2, &[(299.999, 7)], &[]).desired, 7);
        assert_eq!(decide(with(windows(60, 0)), 2, 10, &[(60.0, 4)], &[]).desired, 10);
    }

    #[test]
    fn what_is_remembered_is_the_raw_recommendation() {
        let mut lone = Lone::with_history(with(windows(0, 60)), 0.0, &[], &[]);
        assert_eq!(lone.step(0.0, seen(5).total(8.0)).desired, 8);
        assert_eq!(lone.step(30.0, seen(8).total(2.0)).desired, 8);
        // The answer of 8 at 30 s was a stabilized one and does not extend the hold.
        assert_eq!(lone.step(60.0, seen(8).total(2.0)).desired, 2);
    }

    #[test]
    fn a_fresh_start_is_remembered_as_of_its_first_decision() {
        let mut lone = Lone::new(with(windows(0, 300)));
        lone.record(NOW, seen(8).total(5.0));
        assert_eq!(lone.step(NOW + 400.0, seen(8).total(5.0)).desired, 8);
    }

    #[test]
    fn a_fresh_start_remembers_what_runs() {
        let mut lone = Lone::new(with(windows(0, 300)));
        for tick in 0..20 {
            assert_eq!(lone.step(f64::from(tick) * 15.0, seen(10).total(2.0)).desired, 10, "tick {tick}");
        }
        assert_eq!(lone.step(300.0, seen(10).total(2.0)).desired, 2);
    }

    #[test]
    fn a_history_that_was_told_seeds_nothing() {
        assert_eq!(decide(with(windows(0, 300)), 10, 2, &[], &[]).desired, 2);
    }
}

mod policies {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_second_version() {
        let defaults = Behavior::kubernetes(Span::secs(300));
        assert_eq!(defaults.up, rules(Select::Max, &[pods(4, 15), percent(100, 15)]));
        assert_eq!(
            defaults.down,
            ScalingRules { stabilization: Span::secs(300), ..rules(Select::Max, &[percent(100, 15)]) }
        );
    }

    #[test]
    fn the_defaults_grow_by_four_or_to_the_double_each_period() {
        let mut lone = Lone::with_history(with(Behavior::kubernetes(Span::secs(300))), 0.0, &[], &[]);
        let mut replicas = 1;
        for (second, expected) in [(0, 5), (14, 5), (15, 10), (29, 10), (30, 20), (45, 40)] {
            replicas = lone.step(f64::from(second), seen(replicas).total(100.0)).desired;
            assert_eq!(replicas, expected, "at {second} s");
        }
    }

    #[test]
    fn growth_is_rounded_up_and_shrinkage_is_cut() {
        assert_eq!(decide(up(Select::Max, &[percent(10, 60)]), 3, 100, &[], &[]).desired, 4);
        assert_eq!(decide(down(Select::Max, &[percent(25, 60)]), 7, 1, &[], &[]).desired, 5);
        assert_eq!(decide(down(Select::Max, &[percent(100, 60)]), 7, 0, &[], &[]).desired, 0);
        assert_eq!(decide(down(Select::Max, &[pods(3, 60)]), 7, 1, &[], &[]).desired, 4);
    }

    #[test]
    fn a_new_change_takes_the_place_of_one_that_its_direction_no_longer_asks_about() {
        let behavior = Behavior { up: rules(Select::Max, &[pods(4, 15)]), down: rules(Select::Max, &[pods(2, 60)]) };
        let mut lone = Lone::with_history(with(behavior), 0.0, &[], &[]);
        assert_eq!(lone.step(0.0, seen(4).total(20.0)).desired, 8);
        assert_eq!(lone.step(30.0, seen(8).total(20.0)).desired, 12);
        // 12 less the 4 of 30 s ago; those of 45 s ago were overwritten, though the down policy looks back 60 s.
        assert_eq!(lone.step(45.0, seen(12).total(1.0)).desired, 6);
    }

    #[test]
    fn the_start_of_the_period_takes_back_changes_of_both_directions() {
        let changes = [(50.0, 5), (10.0, -3)];
        assert_eq!(decide(up(Select::Max, &[pods(4, 60)]), 10, 100, &[], &changes).desired, 12, "10 − 5 + 3 + 4");
        assert_eq!(decide(down(Select::Max, &[pods(3, 60)]), 10, 1, &[], &changes).desired, 5, "8 − 3");
        assert_eq!(decide(down(Select::Max, &[percent(50, 60)]), 10, 1, &[], &changes).desired, 4, "half of 8");
        assert_eq!(decide(up(Select::Max, &[percent(100, 60)]), 10, 100, &[], &changes).desired, 16);
    }

    #[test]
    fn a_change_as_old_as_the_period_is_outside() {
        assert_eq!(decide(up(Select::Max, &[pods(4, 60)]), 10, 100, &[], &[(60.0, 4)]).desired, 14);
        assert_eq!(decide(up(Select::Max, &[pods(4, 60)]), 10, 100, &[], &[(59.0, 4)]).desired, 10);
    }

    #[test]
    fn max_selects_the_largest_change_and_min_the_smallest() {
        let both = [pods(4, 60), percent(100, 60)];
        assert_eq!(decide(up(Select::Max, &both), 1, 100, &[], &[]).desired, 5);
        assert_eq!(decide(up(Select::Min, &both), 1, 100, &[], &[]).desired, 2);
        let both = [pods(1, 60), percent(50, 60)];
        assert_eq!(decide(down(Select::Max, &both), 10, 1, &[], &[]).desired, 5);
        assert_eq!(decide(down(Select::Min, &both), 10, 1, &[], &[]).desired, 9);
    }

    #[test]
    fn disabled_holds_one_direction_only() {
        let decision = decide(up(Select::Disabled, &[]), 5, 9, &[], &[]);
        assert_eq!(decision.desired, 5);
        assert!(names(&decision, Stage::RateLimit, Rule::DirectionDisabled));
        assert_eq!(decide(up(Select::Disabled, &[]), 5, 2, &[], &[]).desired, 2);
        assert_eq!(decide(down(Select::Disabled, &[]), 5, 2, &[], &[]).desired, 5);
        assert_eq!(decide(down(Select::Disabled, &[]), 5, 9, &[], &[]).desired, 9);
    }

    #[test]
    fn a_limit_never_moves_the_count_against_the_change() {
        assert_eq!(decide(up(Select::Max, &[pods(4, 60)]), 12, 100, &[], &[(10.0, 10)]).desired, 12, "not 6");
        assert_eq!(decide(down(Select::Max, &[pods(4, 60)]), 5, 1, &[], &[(10.0, -10)]).desired, 5, "not 11");
    }

    #[test]
    fn somebody_elses_changes_do_not_count() {
        let mut lone = Lone::with_history(up(Select::Max, &[pods(4, 60)]), 0.0, &[], &[]);
        assert_eq!(lone.step(0.0, seen(2).total(2.0)).desired, 2);
        assert_eq!(lone.step(10.0, seen(10).total(100.0)).desired, 14, "8 were added by hand");
    }

    #[test]
    fn limits_apply_to_what_stabilization_leaves() {
        let behavior = Behavior {
            down: ScalingRules { stabilization: Span::secs(60), ..rules(Select::Max, &[pods(1, 60)]) },
            ..free()
        };
        assert_eq!(decide(with(behavior), 10, 1, &[(10.0, 4)], &[]).desired, 9);
    }
}

mod without_behavior {
    use super::*;

    fn older() -> Spec {
        let older_rule = Some(OlderRule { factor: 2.0, minimum: 4.0, window: Span::secs(300) });
        let strategy =
            Strategy::Hpa(Hpa { cpu_initialization: Span::secs(300), initial_readiness: Span::secs(30), older_rule });
        Spec { strategy, ..with(free()) }
    }

    #[test]
    fn an_entry_as_old_as_the_window_is_inside() {
        assert_eq!(decide(older(), 10, 2, &[(300.0, 7)], &[]).desired, 7);
        assert_eq!(decide(older(), 10, 2, &[(300.001, 7)], &[]).desired, 2);
    }

    #[test]
    fn the_highest_of_the_window_wins_upwards_too() {
        assert_eq!(decide(older(), 5, 6, &[(10.0, 8)], &[]).desired, 8);
    }

    #[test]
    fn growth_ends_at_the_double_or_at_four() {
        assert_eq!(decide(older(), 1, 100, &[], &[]).desired, 4);
        assert_eq!(decide(older(), 5, 100, &[], &[]).desired, 10);
    }

    #[test]
    fn shrinkage_has_no_limit_of_rate() {
        assert_eq!(decide(older(), 100, 1, &[], &[]).desired, 1);
    }
}
