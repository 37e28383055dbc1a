//! What every answer passes: guards around zero and starting replicas, switches, bounds by base and by calendar,
//! fallback, and the mode that only recommends.

#![allow(clippy::unwrap_used, reason = "a fixture that fails is a failed test")]

mod common;

use autoscaler_core::schedule::{Schedule, Schedules};
use autoscaler_core::spec::{Bounds, Fallback, Mode, Pause, Strategy, Tolerance};
use autoscaler_core::{Phase, Rule, Span, Spec, Stage, TargetObservation};
use common::*;

/// The total is the recommendation.
fn plain() -> Spec {
    Spec { tolerance: Tolerance::both(0.0), ..spec(hpa(), vec![external(1.0)]) }
}

/// APA by a fleet-wide value, whose rates do not bind: the total is the recommendation, and the pending guard applies.
fn guarded() -> Spec {
    let settings = autoscaler_core::spec::Apa { max_scale_up_rate: 1e6, max_scale_down_rate: 1e6, ..apa() };
    let strategy = Strategy::Apa(autoscaler_core::spec::Apa { window: Span::ZERO, ..settings });
    Spec { strategy, ..plain() }
}

fn within(min: u32, max: u32) -> Spec {
    Spec { bounds: Bounds { min, max }, ..plain() }
}

mod pending_guard {
    use super::*;

    fn partly_ready(ready: usize, starting: usize, total: f64) -> TargetObservation {
        let mut pods: Vec<_> = (0..ready).map(|i| pod(&format!("ready{i}"))).collect();
        pods.extend((0..starting).map(|i| pod(&format!("starting{i}")).starting(-100.0)));
        seen(u32::try_from(pods.len()).unwrap()).pods(pods).total(total)
    }

    #[test]
    fn a_recommendation_above_the_ready_keeps_what_is_starting() {
        assert_eq!(once(guarded(), partly_ready(2, 4, 3.0)).desired, 6);
        assert_eq!(once(guarded(), partly_ready(2, 4, 5.0)).desired, 6);
    }

    #[test]
    fn a_recommendation_above_the_replicas_adds_the_difference_only() {
        assert_eq!(once(guarded(), partly_ready(2, 4, 7.0)).desired, 7);
    }

    #[test]
    fn a_recommendation_of_the_ready_or_fewer_takes_away_what_is_starting() {
        assert_eq!(once(guarded(), partly_ready(2, 4, 2.0)).desired, 2);
        assert_eq!(once(guarded(), partly_ready(2, 4, 1.0)).desired, 1);
    }

    #[test]
    fn pods_that_do_not_exist_yet_and_pending_ones_are_on_their_way() {
        let one_of_four = TargetObservation { replicas: 4, ..partly_ready(1, 0, 2.0) };
        assert_eq!(once(guarded(), one_of_four).desired, 4);
        let mut pending = pod("pending").phase(Phase::Pending);
        (pending.ready, pending.started_at) = (None, None);
        assert_eq!(
            once(guarded(), seen(3).pods(vec![pod("a"), pending, pod("gone").deleting()]).total(2.0)).desired,
            3
        );
    }

    #[test]
    fn a_replica_that_is_stuck_no_longer_counts() {
        let spec = || Spec { pending_deadline: Span::secs(100), ..guarded() };
        let mut lone = Lone::with_history(spec(), 0.0, &[], &[]);
        assert_eq!(lone.step(0.0, partly_ready(2, 4, 3.0)).desired, 6, "exactly at the deadline it counts");
        let late = lone.step(1.0, partly_ready(2, 4, 3.0));
        assert_eq!(late.desired, 3);
        assert!(names(&late, Stage::PendingGuard, Rule::StuckReplica));
    }

    #[test]
    fn a_shortage_that_ended_while_metrics_were_gone_does_not_go_on() {
        let spec = || Spec { pending_deadline: Span::secs(100), ..guarded() };
        let mut lone = Lone::with_history(spec(), 0.0, &[], &[]);
        let short = || TargetObservation { replicas: 6, ..partly_ready(2, 0, 3.0) };
        lone.step(0.0, short());
        let whole = TargetObservation { replicas: 6, ..partly_ready(6, 0, 3.0) };
        lone.step(50.0, TargetObservation { external: std::collections::BTreeMap::new(), ..whole });
        let again = lone.step(150.0, short());
        assert_eq!(again.desired, 6, "the four are about to be created: {:?}", again.trail);
        assert!(!names(&again, Stage::PendingGuard, Rule::StuckReplica));
    }

    #[test]
    fn replicas_that_are_never_created_do_not_hold_the_count_for_ever() {
        let spec = || Spec { pending_deadline: Span::secs(100), ..guarded() };
        let mut lone = Lone::with_history(spec(), 0.0, &[], &[]);
        let no_room = || TargetObservation { replicas: 6, ..partly_ready(2, 0, 3.0) };
        assert_eq!(lone.step(0.0, no_room()).desired, 6);
        assert_eq!(lone.step(100.0, no_room()).desired, 6, "exactly at the deadline they count");
        let late = lone.step(101.0, no_room());
        assert_eq!(late.desired, 3);
        assert!(names(&late, Stage::PendingGuard, Rule::StuckReplica));
    }

    #[test]
    fn hpa_has_its_own_guard() {
        assert_eq!(once(plain(), partly_ready(2, 4, 3.0)).desired, 3);
    }
}

mod zero {
    use super::*;

    #[test]
    fn it_is_left_only_above_the_activation_threshold() {
        let with = |activation, total| once(Spec { activation, ..plain() }, seen(0).total(total));
        assert_eq!(with(None, 0.0).desired, 0);
        assert_eq!(with(None, 0.1).desired, 1);
        let held = with(Some(5.0), 5.0);
        assert_eq!((held.recommendation, held.desired), (Some(5), 0), "strictly above");
        assert!(names(&held, Stage::Activation, Rule::NotActivated));
        assert_eq!(with(Some(5.0), 5.1).desired, 6);
    }

    #[test]
    fn without_a_threshold_the_strategys_answer_stands() {
        let leftover = pod("leftover").cpu(1, 1000);
        let source = || vec![cpu_utilization(50.0)];
        let idle = once(spec(hpa(), source()), seen(0).pods(vec![leftover]));
        assert_eq!((idle.recommendation, idle.desired), (Some(0), 0), "a pod on its way out wakes nobody");
        let unready = pod("p").load(20.0).unready();
        let wanted = once(spec(hpa(), vec![per_pod(10.0)]), seen(0).pods(vec![unready]));
        assert_eq!((wanted.recommendation, wanted.desired), (Some(2), 2));
    }

    #[test]
    fn an_unknown_load_is_not_a_load_of_zero() {
        let kpa = Spec { activation: Some(1.0), ..spec(Strategy::Kpa(aibrix_kpa()), vec![external(10.0)]) };
        let mut lone = Lone::new(kpa);
        lone.record(0.0, seen(0).total(30.0));
        let blind = lone.step(1.0, seen(0).absent(LOAD));
        assert_eq!(blind.desired, 0);
        let step = blind.trail.iter().find(|step| step.rule == Rule::NotActivated).unwrap();
        assert!(step.detail.contains("no load is known"), "{}", step.detail);
    }

    #[test]
    fn the_threshold_does_not_matter_above_zero() {
        assert_eq!(once(Spec { activation: Some(50.0), ..plain() }, seen(1).total(3.0)).desired, 3);
    }

    #[test]
    fn held_requests_wake_even_where_no_metric_can_be_read() {
        let woken = once(plain(), seen(0).absent(LOAD).held(1.0));
        assert_eq!((woken.recommendation, woken.desired), (None, 1));
        assert!(names(&woken, Stage::Activation, Rule::Activated));
        assert_eq!(woken.reason, format!("a request is held at the gateway; {LOAD}: refused"));
        assert_eq!(once(plain(), seen(0).absent(LOAD).held(0.0)).desired, 0);
        let idle = once(plain(), seen(0).total(0.0).held(3.0));
        assert_eq!(idle.desired, 1);
        assert_eq!(idle.reason, format!("{LOAD} not above target; 0 bound to 1: 3 requests are held at the gateway"));
    }

    #[test]
    fn held_requests_keep_the_last_replica() {
        assert_eq!(once(plain(), seen(3).total(0.0).held(1.0)).desired, 1);
        assert_eq!(once(plain(), seen(3).total(0.0).held(0.0)).desired, 0);
    }

    #[test]
    fn it_is_reached_only_once_it_was_wanted_for_the_grace_period() {
        let mut lone = Lone::with_history(Spec { zero_grace: Span::secs(30), ..plain() }, 0.0, &[], &[]);
        let first = lone.step(0.0, seen(3).total(0.0));
        assert_eq!(first.desired, 1);
        assert!(names(&first, Stage::ZeroGrace, Rule::ZeroGrace));
        assert_eq!(lone.step(29.0, seen(1).total(0.0)).desired, 1);
        assert_eq!(lone.step(30.0, seen(1).total(0.0)).desired, 0);
    }

    #[test]
    fn load_or_an_outage_begins_the_grace_period_anew() {
        for between in [seen(1).total(1.0), seen(1).absent(LOAD)] {
            let mut lone = Lone::with_history(Spec { zero_grace: Span::secs(30), ..plain() }, 0.0, &[], &[]);
            lone.step(0.0, seen(1).total(0.0));
            lone.step(20.0, between);
            assert_eq!(lone.step(40.0, seen(1).total(0.0)).desired, 1);
            assert_eq!(lone.step(70.0, seen(1).total(0.0)).desired, 0);
        }
    }

    #[test]
    fn a_humans_zero_stays() {
        let paused = once(within(1, 10), seen(0).total(9.0).held(5.0));
        assert_eq!((paused.recommendation, paused.desired), (None, 0));
        assert!(names(&paused, Stage::Bounds, Rule::ScalingDisabled));
    }

    #[test]
    fn a_humans_zero_stays_under_kpa_too_and_its_trail_ends_at_zero() {
        let kpa = Spec { strategy: Strategy::Kpa(aibrix_kpa()), ..within(1, 10) };
        let paused = once(kpa, seen(0).total(9.0));
        assert_eq!(paused.desired, 0);
        let last = paused.trail.iter().rfind(|step| step.before != step.after).unwrap();
        assert_eq!((last.rule, last.after), (Rule::ScalingDisabled, Some(0)));
    }
}

mod bounds {
    use super::*;

    #[test]
    fn an_answer_is_brought_inside() {
        assert_eq!(once(within(2, 10), seen(5).total(1.0)).desired, 2);
        let high = once(within(2, 10), seen(5).total(50.0));
        assert_eq!((high.recommendation, high.desired), (Some(50), 10));
        assert!(names(&high, Stage::Bounds, Rule::TooManyReplicas));
    }

    #[test]
    fn a_count_outside_moves_at_once_without_metrics_or_limits() {
        let mut spec = within(2, 10);
        spec.behavior.down.stabilization = Span::secs(300);
        spec.behavior.up.select = autoscaler_core::spec::Select::Disabled;
        let high = Lone::new(spec.clone()).step(0.0, seen(50).absent(LOAD));
        assert_eq!((high.recommendation, high.desired), (None, 10));
        let low = Lone::new(spec).step(0.0, seen(1).absent(LOAD));
        assert_eq!(low.desired, 2);
        assert!(names(&low, Stage::Bounds, Rule::TooFewReplicas));
    }

    #[test]
    fn kpa_goes_on_panicking_outside_the_bounds_and_the_bound_has_the_last_word() {
        let kpa = Spec { strategy: Strategy::Kpa(aibrix_kpa()), ..within(1, 5) };
        let mut lone = Lone::with_history(kpa, 0.0, &[], &[]);
        let outside = lone.step(0.0, seen(8).total(100.0));
        assert_eq!((outside.recommendation, outside.panic, outside.desired), (Some(16), true, 5));
        let last = outside.trail.iter().rfind(|step| step.before != step.after).unwrap();
        assert_eq!(last.after, Some(5));
    }

    #[test]
    fn an_old_failure_is_forgotten_outside() {
        let fallback = Some(Fallback { after: Span::secs(60), replicas: 9 });
        let mut lone = Lone::with_history(Spec { fallback, ..within(1, 10) }, 0.0, &[], &[]);
        lone.step(0.0, seen(3).absent(LOAD));
        lone.step(10.0, seen(0).total(3.0));
        assert_eq!(lone.step(9_000.0, seen(3).absent(LOAD)).desired, 3, "metrics have only just gone");
    }
}

mod pause {
    use super::*;

    fn paused(pause: Pause, total: f64) -> u32 {
        once(Spec { pause, ..plain() }, seen(5).total(total)).desired
    }

    #[test]
    fn it_holds_everything_or_one_direction() {
        let (all, up, down) = (
            Pause { all: true, ..Pause::default() },
            Pause { up: true, ..Pause::default() },
            Pause { down: true, ..Pause::default() },
        );
        assert_eq!([paused(all, 9.0), paused(all, 1.0)], [5, 5]);
        assert_eq!([paused(up, 9.0), paused(up, 1.0)], [5, 1]);
        assert_eq!([paused(down, 9.0), paused(down, 1.0)], [9, 5]);
    }

    #[test]
    fn it_is_named_in_the_trail() {
        let pause = Pause { all: true, ..Pause::default() };
        assert!(names(&once(Spec { pause, ..plain() }, seen(5).total(9.0)), Stage::Pause, Rule::Paused));
    }
}

mod fallback {
    use super::*;

    fn lone(replicas: u32) -> Lone {
        let fallback = Some(Fallback { after: Span::secs(60), replicas });
        Lone::with_history(Spec { fallback, ..within(1, 10) }, 0.0, &[], &[])
    }

    #[test]
    fn without_one_capacity_is_held_for_ever() {
        let mut lone = Lone::with_history(plain(), 0.0, &[], &[]);
        for tick in 0..100 {
            assert_eq!(lone.step(f64::from(tick) * 600.0, seen(5).absent(LOAD)).desired, 5);
        }
    }

    #[test]
    fn it_applies_once_metrics_have_been_gone_that_long() {
        for replicas in [3, 8] {
            let mut lone = lone(replicas);
            assert_eq!(lone.step(0.0, seen(5).absent(LOAD)).desired, 5);
            assert_eq!(lone.step(59.0, seen(5).absent(LOAD)).desired, 5);
            let fallen = lone.step(60.0, seen(5).absent(LOAD));
            assert_eq!((fallen.recommendation, fallen.desired), (None, replicas));
            assert!(names(&fallen, Stage::Fallback, Rule::Fallback));
        }
    }

    #[test]
    fn a_value_in_between_begins_the_time_anew() {
        let mut lone = lone(3);
        lone.step(0.0, seen(5).absent(LOAD));
        lone.step(30.0, seen(5).total(5.0));
        assert_eq!(lone.step(60.0, seen(5).absent(LOAD)).desired, 5);
        assert_eq!(lone.step(120.0, seen(5).absent(LOAD)).desired, 3);
    }

    #[test]
    fn it_stays_within_the_bounds() {
        let mut lone = lone(50);
        lone.step(0.0, seen(5).absent(LOAD));
        assert_eq!(lone.step(60.0, seen(5).absent(LOAD)).desired, 10);
    }
}

mod recommend_mode {
    use super::*;

    #[test]
    fn what_nobody_acted_on_does_not_count_as_a_change() {
        let mut spec = Spec { mode: Mode::Recommend, ..plain() };
        spec.behavior = autoscaler_core::spec::Behavior::kubernetes(Span::secs(300));
        let mut lone = Lone::with_history(spec.clone(), 0.0, &[], &[]);
        assert_eq!(lone.step(0.0, seen(1).total(100.0)).desired, 5);
        assert_eq!(lone.step(5.0, seen(1).total(100.0)).desired, 5, "the limit is not used up");
        let mut acted = Lone::with_history(Spec { mode: Mode::Apply, ..spec }, 0.0, &[], &[]);
        assert_eq!(acted.step(0.0, seen(1).total(100.0)).desired, 5);
        assert_eq!(acted.step(5.0, seen(5).total(100.0)).desired, 5);
    }
}

mod schedules {
    use super::*;

    // Sunday 29 March 2026, 00:00 UTC. Berlin's clocks go from 02:00 to 03:00 at 01:00 UTC.
    const SPRING: f64 = 1_774_742_400.0;
    // Sunday 25 October 2026, 00:00 UTC. Berlin's clocks go from 03:00 back to 02:00 at 01:00 UTC.
    const AUTUMN: f64 = 1_792_886_400.0;
    const HOUR: f64 = 3600.0;

    fn daily(start: u16, end: u16, min: Option<u32>, max: Option<u32>) -> Spec {
        let entry = Schedule { name: "busy".to_owned(), days: [true; 7], start: start * 60, end: end * 60, min, max };
        Spec { schedules: Schedules::new("Europe/Berlin", vec![entry]).unwrap(), ..within(1, 10) }
    }

    fn desired(spec: &Spec, seconds: f64, current: u32, total: f64) -> u32 {
        Lone::with_history(spec.clone(), seconds, &[], &[]).step(seconds, seen(current).total(total)).desired
    }

    #[test]
    fn the_minimum_follows_the_wall_clock_over_both_changes() {
        let spec = daily(9, 17, Some(6), None);
        for (day, before, after) in [(SPRING, 8.0, 7.0), (AUTUMN, 7.0, 8.0)] {
            // 09:00 in Berlin is `after` o'clock UTC on the day of the change, and `before` the day before.
            let yesterday = day - 24.0 * HOUR;
            assert_eq!(desired(&spec, yesterday + before * HOUR - 1.0, 6, 1.0), 1);
            assert_eq!(desired(&spec, yesterday + before * HOUR, 6, 1.0), 6);
            assert_eq!(desired(&spec, day + after * HOUR - 1.0, 6, 1.0), 1);
            assert_eq!(desired(&spec, day + after * HOUR, 6, 1.0), 6);
            assert_eq!(desired(&spec, day + (after + 8.0) * HOUR, 6, 1.0), 1, "17:00 is outside");
        }
    }

    #[test]
    fn a_decision_says_when_bounds_may_change_next() {
        let spec = daily(9, 17, Some(6), None);
        let next = |seconds: f64| once_at(&spec, seconds).next_edge.map(autoscaler_core::Timestamp::as_secs);
        assert_eq!(next(SPRING), Some(SPRING + 7.0 * HOUR));
        assert_eq!(next(AUTUMN), Some(AUTUMN + 8.0 * HOUR));
        assert_eq!(next(AUTUMN + 8.0 * HOUR), Some(AUTUMN + 16.0 * HOUR));
        assert_eq!(once_at(&plain(), AUTUMN).next_edge, None);
    }

    fn once_at(spec: &Spec, seconds: f64) -> autoscaler_core::TargetDecision {
        Lone::with_history(spec.clone(), seconds, &[], &[]).step(seconds, seen(3).total(3.0))
    }

    #[test]
    fn the_bound_of_a_schedule_is_named_as_such() {
        let noon = AUTUMN + 12.0 * HOUR;
        let raised = once_at(&daily(9, 17, Some(6), None), noon);
        assert!(names(&raised, Stage::Bounds, Rule::ScheduledMinimum));
        let spec = daily(9, 17, None, Some(2));
        let lowered = once_at(&spec, noon);
        assert_eq!(lowered.desired, 2);
        assert!(names(&lowered, Stage::Bounds, Rule::ScheduledMaximum));
    }

    #[test]
    fn its_minimum_lifts_a_humans_zero_and_its_maximum_does_not() {
        let noon = AUTUMN + 12.0 * HOUR;
        assert_eq!(desired(&daily(9, 17, Some(6), None), noon, 0, 0.0), 6);
        assert_eq!(desired(&daily(9, 17, None, Some(8)), noon, 0, 5.0), 0);
        assert_eq!(desired(&daily(9, 17, Some(0), None), noon, 0, 5.0), 5, "zero is a scheduled minimum too");
        assert_eq!(desired(&daily(9, 17, Some(6), None), noon + 6.0 * HOUR, 0, 5.0), 0, "outside it is a pause");
    }

    #[test]
    fn a_scheduled_maximum_below_the_base_minimum_wins() {
        let spec = Spec { bounds: Bounds { min: 4, max: 10 }, ..daily(9, 17, None, Some(2)) };
        assert_eq!(desired(&spec, AUTUMN + 12.0 * HOUR, 5, 9.0), 2);
    }
}
