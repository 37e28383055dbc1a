//! AIBrix's APA with the deliberate differences: ready replicas, rates against ten seconds ago, fleet-wide values.

mod common;

use autoscaler_core::spec::{SourceKind, Strategy, TargetType, Tolerance};
use autoscaler_core::{Rule, Span, Spec, Stage, TargetObservation};
use common::*;

fn per_replica() -> Spec {
    spec(Strategy::Apa(apa()), vec![per_pod(10.0)])
}

fn fleet_wide() -> Spec {
    spec(Strategy::Apa(apa()), vec![external(10.0)])
}

fn recommend(spec: Spec, seen: TargetObservation) -> Option<u32> {
    once(spec, seen).recommendation
}

#[test]
fn the_ratio_to_target_multiplies_the_replicas() {
    assert_eq!(recommend(per_replica(), loads(&[15.0; 4])), Some(6));
    assert_eq!(recommend(per_replica(), loads(&[10.0, 20.0, 12.0, 10.0])), Some(6), "13 on average");
    assert_eq!(recommend(per_replica(), loads(&[6.0; 4])), Some(3));
}

#[test]
fn the_ends_of_the_tolerance_hold() {
    assert_eq!(recommend(per_replica(), loads(&[11.0; 4])), Some(4));
    assert_eq!(recommend(per_replica(), loads(&[9.0; 4])), Some(4));
    assert_eq!(recommend(per_replica(), loads(&[11.001; 4])), Some(5));
    assert_eq!(recommend(per_replica(), loads(&[8.999; 10])), Some(9));
    let uneven = Spec { tolerance: Tolerance { up: 0.5, down: 0.0 }, ..per_replica() };
    assert_eq!(recommend(uneven.clone(), loads(&[15.0; 4])), Some(4));
    assert_eq!(recommend(uneven, loads(&[7.0; 4])), Some(3));
}

#[test]
fn rates_bound_the_answer_itself() {
    let up = once(per_replica(), loads(&[80.0; 4]));
    assert_eq!(up.recommendation, Some(8));
    assert!(names(&up, Stage::Recommendation, Rule::ScaleUpLimit));
    let down = once(per_replica(), loads(&[1.0; 5]));
    assert_eq!(down.recommendation, Some(2), "⌊5 / 2⌋");
    assert!(names(&down, Stage::Recommendation, Rule::ScaleDownLimit));
}

#[test]
fn rates_refer_to_the_replicas_of_ten_seconds_ago() {
    let mut lone = Lone::with_history(per_replica(), 0.0, &[], &[]);
    assert_eq!(lone.step(0.0, loads(&[100.0; 2])).desired, 4);
    for second in 1..10 {
        assert_eq!(lone.step(f64::from(second), loads(&[100.0; 4])).desired, 4, "at {second} s");
    }
    assert_eq!(lone.step(10.0, loads(&[100.0; 4])).desired, 8);
    let mut lone = Lone::with_history(
        Spec { bounds: autoscaler_core::spec::Bounds { min: 1, max: 100 }, ..per_replica() },
        0.0,
        &[],
        &[],
    );
    assert_eq!(lone.step(0.0, loads(&[0.1; 16])).desired, 8);
    assert_eq!(lone.step(5.0, loads(&[0.1; 8])).desired, 8);
    assert_eq!(lone.step(10.0, loads(&[0.1; 8])).desired, 4);
}

#[test]
fn the_mean_of_the_window_decides_both_ends_included() {
    let mut lone = Lone::with_history(per_replica(), 0.0, &[], &[]);
    lone.record(0.0, loads(&[10.0; 4]));
    assert_eq!(lone.step(10.0, loads(&[30.0; 4])).recommendation, Some(8), "20 on average");
    lone.record(90.0, loads(&[10.0; 4]));
    // At 180 s: 10, 30, 10 and 6 are 14 on average; at 181 s the first is gone.
    assert_eq!(lone.step(180.0, loads(&[6.0; 4])).recommendation, Some(6));
    // 30, 10, 6 and 6 are 13 on average.
    let at_181 = lone.step(181.0, loads(&[6.0; 4]));
    assert!(at_181.trail.iter().any(|step| step.detail.contains("averages 13,")), "{:?}", at_181.trail);
}

#[test]
fn the_last_write_of_a_second_wins() {
    let mut lone = Lone::with_history(per_replica(), 0.0, &[], &[]);
    lone.record(0.1, loads(&[100.0; 4]));
    assert_eq!(lone.step(0.9, loads(&[15.0; 4])).recommendation, Some(6));
}

#[test]
fn a_fleet_wide_value_is_shared_by_the_replicas() {
    assert_eq!(recommend(fleet_wide(), seen(4).total(60.0)), Some(6));
    assert_eq!(recommend(fleet_wide(), seen(6).total(60.0)), Some(6), "it does not climb on");
    assert_eq!(recommend(fleet_wide(), seen(4).total(44.0)), Some(4));
    assert_eq!(recommend(fleet_wide(), seen(6).external(LOAD, &[20.0, 10.0])), Some(3));
}

#[test]
fn a_value_target_is_compared_as_a_whole() {
    let by_value = || spec(Strategy::Apa(apa()), vec![source(LOAD, SourceKind::External, 10.0, TargetType::Value)]);
    assert_eq!(recommend(by_value(), seen(4).total(15.0)), Some(6));
    let starting = vec![pod("a").starting(-5.0), pod("b").starting(-5.0)];
    let decision = once(by_value(), seen(2).pods(starting).total(30.0));
    assert_eq!((decision.recommendation, decision.desired), (None, 2), "no ready replica says what one bears");
}

#[test]
fn from_zero_it_starts_with_what_the_total_needs() {
    assert_eq!(recommend(fleet_wide(), seen(0).pods(vec![]).total(25.0)), Some(3));
    assert_eq!(once(fleet_wide(), seen(0).pods(vec![]).total(25.0)).desired, 3);
    assert_eq!(once(fleet_wide(), seen(0).pods(vec![]).total(0.0)).desired, 0);
}

#[test]
fn ready_pods_are_multiplied_and_starting_ones_kept() {
    let pods = vec![
        pod("a").load(15.0),
        pod("b").load(15.0),
        pod("c").load(0.0).starting(-5.0),
        pod("d").load(0.0).starting(-5.0),
    ];
    let decision = once(per_replica(), seen(4).pods(pods));
    assert_eq!((decision.recommendation, decision.desired), (Some(3), 4));
    assert!(names(&decision, Stage::PendingGuard, Rule::ReplicasStarting));
}

#[test]
fn missing_values_are_filled_in_against_the_direction() {
    let with_missing = |values: &[f64], missing: usize| {
        let mut pods = loads(values).pods.unwrap();
        pods.extend((0..missing).map(|i| pod(&format!("missing{i}"))));
        recommend(per_replica(), seen(4).pods(pods))
    };
    assert_eq!(with_missing(&[5.0, 5.0, 5.0], 1), Some(3), "6.25 on average over four");
    assert_eq!(with_missing(&[20.0, 20.0, 20.0], 1), Some(6), "15 on average over four");
    assert_eq!(with_missing(&[20.0], 3), Some(4), "turned round: as at target");
}

#[test]
fn without_a_value_at_this_tick_nothing_changes() {
    let mut lone = Lone::with_history(per_replica(), 0.0, &[], &[]);
    lone.step(0.0, loads(&[6.0; 4]));
    for seen in [seen(4).pods(vec![pod("a"), pod("b")]), seen(4).pods(vec![]), seen(4), loads(&[f64::NAN; 4])] {
        let decision = lone.step(10.0, seen);
        assert_eq!((decision.recommendation, decision.desired), (None, 4));
    }
    let decision = lone.step(20.0, loads(&[f64::MAX; 4]));
    assert_eq!(decision.recommendation, None, "a sum beyond the numbers is no value");
}

#[test]
fn a_scale_down_waits_for_the_highest_of_its_cooldown() {
    let mut spec = per_replica();
    spec.behavior.down.stabilization = Span::secs(300);
    let mut lone = Lone::new(spec);
    for second in (0..300).step_by(10) {
        assert_eq!(lone.step(f64::from(second), loads(&[1.0; 4])).desired, 4, "at {second} s");
    }
    assert_eq!(lone.step(300.0, loads(&[1.0; 4])).desired, 2);
}

#[test]
fn a_world_that_does_not_follow_cannot_make_the_limits_run_away() {
    let mut lone = Lone::with_history(per_replica(), 0.0, &[], &[]);
    for tick in 0..20 {
        assert_eq!(lone.step(f64::from(tick) * 5.0, loads(&[100.0; 3])).desired, 6, "tick {tick}");
    }
    assert_eq!(
        lone.step(1000.0, loads(&[0.0; 3])).recommendation,
        Some(1),
        "half of what runs, not of what was wanted"
    );
}

#[test]
fn above_target_with_stuck_replicas_the_way_down_is_bounded_and_explained() {
    let mut pods = vec![pod("ready").load(16.0)];
    pods.extend((0..6).map(|index| pod(&format!("stuck-{index}")).starting(-10_000.0)));
    let decision = once(per_replica(), seen(7).pods(pods));
    assert_eq!((decision.recommendation, decision.desired), (Some(3), 3), "⌊7 / 2⌋");
    assert!(names(&decision, Stage::Recommendation, Rule::ScaleDownLimit));
    assert!(decision.reason.contains("above target"), "{}", decision.reason);
}
