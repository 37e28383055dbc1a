//! Knative's decider and AIBrix's settings of it, by hand-worked figures
//! (knative serving `pkg/autoscaler/scaling/autoscaler.go`, `pkg/autoscaler/aggregation`).

#![allow(clippy::unwrap_used, reason = "a fixture that fails is a failed test")]

mod common;

use autoscaler_core::spec::{Gaps, Kpa, Strategy, Tolerance};
use autoscaler_core::window::buckets::Averaging;
use autoscaler_core::{Rule, Span, Spec, Stage, TargetDecision};
use common::*;

/// Knative's own decider: no tolerance, a target of 10 per replica, a fleet-wide load.
fn knative_spec(settings: Kpa) -> Spec {
    Spec { tolerance: Tolerance::both(0.0), ..spec(Strategy::Kpa(settings), vec![external(10.0)]) }
}

fn aibrix(settings: Kpa) -> Spec {
    spec(Strategy::Kpa(settings), vec![external(10.0)])
}

/// Writes a load once a second in `from..to`, then decides at `to` with that load.
fn after(lone: &mut Lone, from: u32, to: u32, load: f64, ready: u32) -> TargetDecision {
    for second in from..to {
        lone.record(f64::from(second), seen(ready).total(load));
    }
    lone.step(f64::from(to), seen(ready).total(load))
}

fn decide(settings: Kpa, ready: u32, load: f64) -> TargetDecision {
    Lone::new(knative_spec(settings)).step(0.0, seen(ready).total(load))
}

fn answer(settings: Kpa, ready: u32, load: f64) -> Option<u32> {
    decide(settings, ready, load).recommendation
}

mod windows {
    use super::*;

    #[test]
    fn the_total_divided_by_the_target_is_rounded_up() {
        let decision = after(&mut Lone::new(knative_spec(knative())), 0, 59, 101.0, 10);
        assert_eq!(decision.recommendation, Some(11));
        let figures = decision.kpa.unwrap();
        assert_eq!((figures.stable, figures.panic_average), (101.0, 101.0));
    }

    #[test]
    fn a_window_that_has_just_begun_counts_in_full() {
        let mut lone = Lone::new(knative_spec(knative()));
        lone.record(0.0, seen(5).total(40.0));
        assert_eq!(lone.step(1.0, seen(5).total(60.0)).kpa.unwrap().stable, 50.0);
    }

    #[test]
    fn seconds_between_two_samples_are_zeros_and_recent_silence_is_not() {
        let mut lone = Lone::new(knative_spec(knative()));
        lone.record(0.0, seen(5).total(30.0));
        lone.record(2.0, seen(5).total(30.0));
        // Two samples in three seconds.
        assert_eq!(lone.step(2.0, seen(5)).kpa.unwrap().stable, 20.0);
        // The panic window of 6 s at 6 s: seconds 1 to 6, of which 3 to 6 are silent: 30 over the two others.
        assert_eq!(lone.step(6.0, seen(5)).kpa.unwrap().panic_average, 15.0);
    }

    #[test]
    fn samples_of_one_second_add_up_and_averages_are_cut_to_six_digits() {
        let mut lone = Lone::new(knative_spec(knative()));
        lone.record(0.1, seen(5).total(10.0));
        lone.record(0.9, seen(5).total(10.0));
        lone.record(2.0, seen(5));
        assert_eq!(lone.step(0.95, seen(5)).kpa.unwrap().stable, 20.0);
        lone.record(2.0, seen(5).total(0.0));
        assert_eq!(lone.step(2.0, seen(5)).kpa.unwrap().stable, 6.666_666);
    }

    #[test]
    fn the_weighted_window_multiplies_and_does_not_divide() {
        // Six buckets: 1 − 0.0001^(1/6) = 0.784564…; sixty: 0.2 is the least.
        let settings = Kpa { averaging: Averaging::WeightedExponential, ..knative() };
        let mut lone = Lone::new(knative_spec(settings));
        lone.record(0.0, seen(5).total(100.0));
        let figures = lone.step(1.0, seen(5).total(50.0)).kpa.unwrap();
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
        near(figures.stable, 50.0 * 0.2 + 100.0 * 0.2 * 0.8);
        let coefficient = 1.0 - 0.0001_f64.powf(1.0 / 6.0);
        near(figures.panic_average, 50.0 * coefficient + 100.0 * coefficient * (1.0 - coefficient));
        // Two silent seconds discount everything twice.
        let later = lone.step(3.0, seen(5)).kpa.unwrap();
        near(later.stable, (50.0 * 0.2 + 100.0 * 0.2 * 0.8) * 0.64);
    }
}

mod rates {
    use super::*;

    #[test]
    fn growth_is_bounded_by_the_ready_count_rounded_up() {
        let slow = || Kpa { max_scale_up_rate: 1.1, panic_threshold: 100.0, ..knative() };
        assert_eq!(answer(slow(), 2, 1000.0), Some(3));
        assert_eq!(answer(slow(), 10, 1000.0), Some(11));
        assert_eq!(answer(slow(), 0, 1000.0), Some(2), "zero ready count as one");
    }

    #[test]
    fn shrinkage_is_bounded_by_the_ready_count_rounded_down() {
        assert_eq!(answer(knative(), 11, 1.0), Some(5));
        assert_eq!(answer(Kpa { max_scale_down_rate: 10.0, ..knative() }, 11, 1.0), Some(1));
        assert_eq!(answer(knative(), 1, 0.0), Some(0));
    }

    #[test]
    fn the_activation_scale_raises_what_has_load_after_the_rates() {
        let activated = || Kpa { activation_scale: 5, max_scale_up_rate: 2.0, ..knative() };
        assert_eq!(answer(activated(), 0, 1.0), Some(5));
        assert_eq!(answer(activated(), 1, 0.0), Some(0));
    }
}

mod panic_mode {
    use super::*;

    /// Sixty seconds at this load with this many ready, calm.
    fn calm(load: f64, ready: u32) -> Lone {
        let mut lone = Lone::new(knative_spec(knative()));
        assert!(!after(&mut lone, 0, 60, load, ready).panic);
        lone
    }

    #[test]
    fn it_begins_at_the_threshold_and_not_below() {
        assert!(!decide(knative(), 5, 90.0).panic, "9 / 5 is below 2");
        assert!(decide(knative(), 5, 90.1).panic, "ceil(9.01) / 5 is 2");
        assert!(!decide(knative(), 1, 0.0).panic, "no load is no panic");
    }

    #[test]
    fn the_panic_window_decides_in_it() {
        let mut lone = calm(20.0, 2);
        let decision = after(&mut lone, 61, 66, 200.0, 2);
        assert!(decision.panic);
        assert_eq!(decision.kpa.unwrap().panic_average, 200.0);
        // The stable window has 54 seconds of 20 and 6 of 200: 38.
        assert_eq!((decision.kpa.unwrap().stable, decision.recommendation), (38.0, Some(20)));
    }

    #[test]
    fn the_larger_of_the_two_windows_decides_in_it() {
        let mut lone = calm(400.0, 40);
        // The load falls, and so does the ready count: 20 against 10 ready keeps the panic going.
        assert_eq!(after(&mut lone, 61, 66, 200.0, 10).recommendation, Some(38), "(54 × 400 + 6 × 200) / 60 / 10");
    }

    #[test]
    fn it_never_scales_down_and_ends_one_stable_window_after_the_last_crossing() {
        let mut lone = calm(20.0, 2);
        assert_eq!(after(&mut lone, 61, 66, 200.0, 2).recommendation, Some(20));
        // Calm from here on: the last crossing was at 66 s with 2 ready; with 20 ready nothing crosses again.
        let held = after(&mut lone, 67, 126, 20.0, 20);
        assert_eq!((held.recommendation, held.panic), (Some(20), true), "exactly one window later it still holds");
        let over = lone.step(127.0, seen(20).total(20.0));
        assert!(!over.panic);
        // Down again, by half at most.
        assert_eq!(over.recommendation, Some(10));
        assert!(names(&over, Stage::Recommendation, Rule::PanicEnded));
    }

    #[test]
    fn a_crossing_in_it_extends_it() {
        let mut lone = calm(20.0, 2);
        assert!(after(&mut lone, 61, 66, 200.0, 2).panic);
        assert!(after(&mut lone, 67, 110, 200.0, 2).panic);
        assert!(after(&mut lone, 111, 170, 20.0, 20).panic, "60 s after the crossing at 110 s");
        assert!(!lone.step(171.0, seen(20).total(20.0)).panic);
    }

    #[test]
    fn the_highest_count_of_it_is_forgotten_at_its_end() {
        let mut lone = calm(20.0, 2);
        after(&mut lone, 61, 66, 200.0, 2);
        after(&mut lone, 67, 127, 20.0, 20);
        let again = after(&mut lone, 128, 140, 60.0, 2);
        assert!(again.panic);
        assert!(again.recommendation < Some(20), "{again:?}");
    }

    #[test]
    fn a_start_with_more_than_one_ready_begins_in_it() {
        let fresh = || knative_spec(Kpa { initial_ready: None, ..knative() });
        let mut lone = Lone::new(fresh());
        let first = lone.step(0.0, seen(8).total(10.0));
        assert_eq!((first.panic, first.recommendation), (true, Some(8)));
        assert_eq!(after(&mut lone, 1, 60, 10.0, 8).recommendation, Some(8));
        assert_eq!(lone.step(61.0, seen(8).total(10.0)).recommendation, Some(4));
        assert!(!Lone::new(fresh()).step(0.0, seen(1).total(10.0)).panic);
        assert!(!Lone::with_history(fresh(), 0.0, &[], &[]).step(0.0, seen(8).total(10.0)).panic);
    }

    #[test]
    fn the_ready_count_at_the_start_can_be_told() {
        let told = Kpa { initial_ready: Some(6), ..knative() };
        assert_eq!(answer(told, 3, 10.0), Some(6));
    }
}

mod delay {
    use super::*;

    fn delayed(seconds: i64) -> Kpa {
        Kpa {
            scale_down_delay: Span::secs(seconds),
            panic_threshold: 1000.0,
            stable_window: Span::secs(6),
            ..knative()
        }
    }

    #[test]
    fn the_highest_of_the_delay_is_answered_and_growth_is_not_delayed() {
        let mut lone = Lone::new(knative_spec(delayed(10)));
        assert_eq!(lone.step(0.0, seen(8).total(80.0)).recommendation, Some(8));
        for second in 1..=9 {
            assert_eq!(lone.step(f64::from(second), seen(8).total(0.0)).recommendation, Some(8), "at {second} s");
        }
        assert_eq!(lone.step(10.0, seen(8).total(0.0)).recommendation, Some(4), "half of the ready, as since 1 s");
    }

    #[test]
    fn a_changed_delay_applies_at_once() {
        let mut lone = Lone::new(knative_spec(delayed(600)));
        lone.step(0.0, seen(8).total(80.0));
        assert_eq!(after(&mut lone, 1, 20, 0.0, 8).recommendation, Some(8));
        lone.fleet.configure(vec![knative_spec(delayed(4))]);
        assert_eq!(lone.step(21.0, seen(8).total(0.0)).recommendation, Some(4));
        lone.fleet.configure(vec![knative_spec(delayed(0))]);
        assert_eq!(lone.step(22.0, seen(4).total(0.0)).recommendation, Some(2));
    }
}

mod burst_capacity {
    use super::*;

    fn excess(reserve: Option<f64>, total: Option<f64>, ready: u32, load: f64) -> f64 {
        let settings = Kpa { target_burst_capacity: reserve, total, ..knative() };
        decide(settings, ready, load).kpa.unwrap().excess_burst_capacity
    }

    #[test]
    fn none_is_reserved_or_all_is() {
        assert_eq!(excess(Some(0.0), None, 5, 30.0), 0.0);
        assert_eq!(excess(Some(-1.0), None, 5, 30.0), -1.0);
    }

    #[test]
    fn it_is_what_the_ready_replicas_leave_beyond_the_reserve_rounded_down() {
        assert_eq!(excess(Some(211.0), Some(100.0), 5, 30.5), 258.0, "500 − 211 − 30.5");
        assert_eq!(excess(Some(211.0), Some(100.0), 0, 0.0), -211.0, "nothing is ready");
        assert_eq!(excess(None, None, 5, 30.5), 19.0, "5 × 10 − 30.5");
    }
}

mod absence {
    use super::*;

    #[test]
    fn knative_decides_until_a_whole_window_is_silent() {
        let mut lone = Lone::new(knative_spec(knative()));
        lone.step(0.0, seen(4).total(40.0));
        assert_eq!(lone.step(59.0, seen(4)).recommendation, Some(4));
        assert_eq!(lone.step(60.0, seen(4)).recommendation, Some(2), "exactly a window of silence reads zero");
        assert_eq!(lone.step(61.0, seen(2)).recommendation, None);
        assert_eq!(lone.step(62.0, seen(2).total(20.0)).kpa.unwrap().stable, 20.0, "begun anew");
    }

    #[test]
    fn otherwise_a_tick_without_a_sample_may_not_scale_down() {
        let mut lone = Lone::with_history(aibrix(aibrix_kpa()), 0.0, &[], &[]);
        lone.step(0.0, seen(8).total(30.0));
        let silent = lone.step(5.0, seen(8));
        assert_eq!(silent.desired, 8);
        assert!(silent.trail.iter().any(|step| step.rule == Rule::StaleWindow));
        assert_eq!(lone.step(180.0, seen(8)).recommendation, None);
        assert_eq!(lone.step(179.0, seen(8)).desired, 8);
    }

    #[test]
    fn otherwise_a_tick_without_a_sample_may_scale_up() {
        let mut lone = Lone::with_history(aibrix(aibrix_kpa()), 0.0, &[], &[]);
        lone.record(0.0, seen(2).total(40.0));
        assert_eq!(lone.step(5.0, seen(2)).desired, 4);
    }

    #[test]
    fn a_gap_is_zero_for_knative_and_holds_its_value_otherwise() {
        let over_a_gap = |gaps| {
            let mut lone = Lone::with_history(aibrix(Kpa { gaps, ..aibrix_kpa() }), 0.0, &[], &[]);
            lone.record(0.0, seen(10).total(100.0));
            lone.step(9.0, seen(10).total(100.0)).kpa.unwrap().stable
        };
        assert_eq!(over_a_gap(Gaps::Zero), 20.0);
        assert_eq!(over_a_gap(Gaps::Hold), 100.0);
    }

    #[test]
    fn two_turns_of_a_world_within_one_second_see_the_same_load_once() {
        let mut lone = Lone::with_history(aibrix(aibrix_kpa()), 0.0, &[], &[]);
        lone.record(0.0, seen(4).total(40.0));
        let decision = lone.step(0.4, seen(4).total(40.0));
        assert_eq!((decision.kpa.unwrap().stable, decision.recommendation), (40.0, Some(4)));
    }
}

mod aibrix_defaults {
    use super::*;

    fn band(load: f64) -> Option<u32> {
        Lone::with_history(aibrix(aibrix_kpa()), 0.0, &[], &[]).step(0.0, seen(4).total(load)).recommendation
    }

    #[test]
    fn inside_the_band_ends_included_the_count_is_kept() {
        assert_eq!(band(44.0), Some(4));
        assert_eq!(band(36.0), Some(4));
        assert_eq!(band(44.1), Some(5));
        assert_eq!(band(29.0), Some(3));
    }

    #[test]
    fn growth_is_at_most_the_double_of_the_ready() {
        assert_eq!(band(1000.0), Some(8));
    }
}

mod pods {
    use super::*;

    fn per_pod_spec() -> Spec {
        let settings = Kpa { knative_silence: false, ..knative() };
        Spec { tolerance: Tolerance::both(0.0), ..spec(Strategy::Kpa(settings), vec![per_pod(10.0)]) }
    }

    fn stable(pods: Vec<autoscaler_core::Pod>) -> Option<f64> {
        let replicas = u32::try_from(pods.len()).unwrap();
        once(per_pod_spec(), seen(replicas).pods(pods)).kpa.map(|figures| figures.stable)
    }

    #[test]
    fn the_load_is_the_sum_over_ready_pods() {
        let pods = vec![
            pod("a").load(12.0),
            pod("b").load(15.0),
            pod("starting").load(100.0).starting(-5.0),
            pod("leaving").load(100.0).deleting(),
        ];
        assert_eq!(stable(pods), Some(27.0));
    }

    #[test]
    fn ready_pods_without_a_value_are_like_the_others_above_target_and_at_target_below() {
        assert_eq!(stable(vec![pod("a").load(20.0), pod("b").load(30.0), pod("c")]), Some(75.0));
        assert_eq!(stable(vec![pod("a").load(2.0), pod("b").load(4.0), pod("c")]), Some(16.0));
    }

    #[test]
    fn without_any_value_there_is_no_sample() {
        assert_eq!(stable(vec![pod("a"), pod("b")]), None);
        assert_eq!(stable(vec![pod("a").load(f64::NAN), pod("b").load(-3.0)]), None);
    }
}
