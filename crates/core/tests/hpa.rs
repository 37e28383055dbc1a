//! Kubernetes' rules for one metric and for several, with the figures of its own documents and tests
//! (kubernetes `pkg/controller/podautoscaler/replica_calculator.go`).

#![allow(clippy::unwrap_used, reason = "a fixture that fails is a failed test")]

mod common;

use autoscaler_core::spec::{Hpa, SourceKind, Strategy, TargetType, Tolerance};
use autoscaler_core::{Phase, Pod, Reading, Rule, Span, Spec, Stage, TargetObservation, Why};
use common::*;

fn recommend(spec: Spec, seen: TargetObservation) -> Option<u32> {
    once(spec, seen).recommendation
}

fn cpu(percent: f64) -> Spec {
    spec(hpa(), vec![cpu_utilization(percent)])
}

fn average(target: f64) -> Spec {
    spec(hpa(), vec![per_pod(target)])
}

/// Ready pods with a request of one core and these millicores.
fn busy(usages: &[i64]) -> Vec<Pod> {
    usages.iter().enumerate().map(|(i, &usage)| pod(&format!("p{i}")).cpu(usage, 1000)).collect()
}

mod utilization {
    use super::*;

    #[test]
    fn the_ratio_of_sums_multiplies_the_pods() {
        // 1500 of 3000 is 50 %; 50 / 30 × 3 = 5.
        assert_eq!(recommend(cpu(30.0), seen(3).pods(busy(&[300, 500, 700]))), Some(5));
        // Sums, not a mean of percentages: (100 + 900) of (200 + 1800) is 50 %.
        let pods = vec![pod("a").cpu(100, 200), pod("b").cpu(900, 1800)];
        assert_eq!(recommend(cpu(20.0), seen(2).pods(pods)), Some(5));
    }

    #[test]
    fn the_percentage_is_truncated_before_it_is_compared() {
        // 2009 of 3000 is 66.97 %, truncated 66; 66 / 60 = 1.1 is the end of the tolerance and holds.
        assert_eq!(recommend(cpu(60.0), seen(3).pods(busy(&[2009, 0, 0]))), Some(3));
        assert_eq!(recommend(cpu(60.0), seen(3).pods(busy(&[2010, 0, 0]))), Some(4));
    }

    #[test]
    fn a_pod_without_a_request_fails_the_metric() {
        let mut pods = busy(&[900, 900]);
        pods[1].requests.clear();
        let decision = once(cpu(50.0), seen(2).pods(pods));
        assert_eq!((decision.recommendation, decision.desired), (None, 2));
        assert!(decision.reason.contains("p1"), "{}", decision.reason);
    }

    #[test]
    fn usage_that_cannot_be_is_missing() {
        // 1000 of 1000, and one missing: at ratio 2 the missing one idles, 1000 of 2000 is the target.
        assert_eq!(recommend(cpu(50.0), seen(2).pods(busy(&[1000, -5_000_000]))), Some(2));
    }
}

mod averages {
    use super::*;

    #[test]
    fn the_average_in_thousandths_is_truncated() {
        let exact = |values: &[f64]| recommend(Spec { tolerance: Tolerance::both(0.0), ..average(1.0) }, loads(values));
        assert_eq!(exact(&[1.0, 1.0, 1.002]), Some(3), "1000.67 thousandths are 1000");
        assert_eq!(exact(&[1.0, 1.0, 1.003]), Some(4), "1001 are above target");
    }

    #[test]
    fn fractions_of_a_thousandth_are_rounded_up_and_decimals_taken_as_written() {
        let exact = |values: &[f64], target: f64| {
            recommend(Spec { tolerance: Tolerance::both(0.0), ..average(target) }, loads(values))
        };
        assert_eq!(exact(&[0.0011; 2], 0.001), Some(4), "2 thousandths each");
        assert_eq!(exact(&[0.3; 2], 0.1), Some(6), "300.00000000000006 thousandths are 300");
    }

    #[test]
    fn the_ratio_multiplies_the_pods() {
        assert_eq!(recommend(average(15.0), loads(&[20.0, 10.0, 30.0])), Some(4));
        assert_eq!(recommend(average(50.0), loads(&[10.0; 5])), Some(1));
    }

    #[test]
    fn memory_is_compared_with_its_target_in_bytes_and_knows_no_start_up_rule() {
        let source = source("memory", SourceKind::Resource("memory".to_owned()), 1024.0, TargetType::AverageValue);
        let young = |name: &str| {
            let mut pod = pod(name).starting(-1.0);
            pod.usage.insert("memory".to_owned(), 2_048_000);
            pod
        };
        let seen = seen(2).pods(vec![young("a"), young("b")]);
        assert_eq!(recommend(spec(hpa(), vec![source]), seen), Some(4));
    }

    #[test]
    fn a_raw_cpu_target_is_in_millicores() {
        let source = source("cpu", SourceKind::Resource("cpu".to_owned()), 250.0, TargetType::AverageValue);
        assert_eq!(recommend(spec(hpa(), vec![source]), seen(2).pods(busy(&[500, 500]))), Some(4));
    }
}

mod fleet_wide {
    use super::*;

    #[test]
    fn a_value_multiplies_the_running_and_ready_pods() {
        let by_value = || spec(hpa(), vec![external_value(15.0)]);
        let pods = |ready: usize| {
            let mut pods: Vec<Pod> = (0..ready).map(|i| pod(&format!("p{i}"))).collect();
            pods.push(pod("unready").unready());
            pods.push(pod("pending").phase(Phase::Pending).unready());
            pods
        };
        assert_eq!(recommend(by_value(), seen(5).pods(pods(3)).total(20.0)), Some(4), "4/3 × 3");
        assert_eq!(recommend(by_value(), seen(5).pods(pods(3)).total(16.0)), Some(5), "inside tolerance: current");
        assert_eq!(recommend(by_value(), seen(5).pods(pods(3)).external(LOAD, &[20.0, 10.0])), Some(6), "summed");
    }

    #[test]
    fn an_object_is_decided_like_an_external_metric() {
        let object = source(LOAD, SourceKind::Object, 15.0, TargetType::Value);
        assert_eq!(recommend(spec(hpa(), vec![object]), seen(3).total(20.0)), Some(4));
    }

    #[test]
    fn an_average_value_divides_the_total_and_ignores_readiness() {
        let by_average = || spec(hpa(), vec![external(10.0)]);
        let unready = vec![pod("a").unready(), pod("b").unready(), pod("c").unready()];
        assert_eq!(recommend(by_average(), seen(3).pods(unready).total(40.0)), Some(4));
        assert_eq!(recommend(by_average(), seen(3).total(33.0)), Some(3), "1.1 holds");
        assert_eq!(recommend(by_average(), seen(3).total(33.1)), Some(4));
    }

    #[test]
    fn the_tolerance_of_an_average_value_is_about_the_replicas_that_exist() {
        let by_average = || spec(hpa(), vec![external(10.0)]);
        assert_eq!(recommend(by_average(), seen(3).status(5).total(50.0)), Some(5));
        assert_eq!(recommend(by_average(), seen(5).status(3).total(50.0)), Some(5), "50 / 10");
    }

    #[test]
    fn from_zero_there_is_no_tolerance() {
        let from_zero = |source, total| recommend(spec(hpa(), vec![source]), seen(0).pods(vec![]).total(total));
        assert_eq!(from_zero(external_value(10.0), 25.0), Some(3));
        assert_eq!(from_zero(external_value(10.0), 10.5), Some(2));
        assert_eq!(from_zero(external(10.0), 25.0), Some(3));
        assert_eq!(from_zero(external(10.0), 0.0), Some(0));
    }

    #[test]
    fn a_count_beyond_the_integers_saturates() {
        assert_eq!(recommend(spec(hpa(), vec![external(0.001)]), seen(1).total(1e300)), Some(2_147_483_647));
    }
}

mod tolerance {
    use super::*;

    #[test]
    fn its_ends_hold() {
        assert_eq!(recommend(average(10.0), loads(&[11.0; 4])), Some(4));
        assert_eq!(recommend(average(10.0), loads(&[9.0; 4])), Some(4));
        assert_eq!(recommend(average(10.0), loads(&[11.1; 4])), Some(5));
        assert_eq!(recommend(average(10.0), loads(&[7.4; 4])), Some(3));
    }

    #[test]
    fn each_direction_has_its_own() {
        let uneven = || Spec { tolerance: Tolerance { up: 0.0, down: 0.5 }, ..average(10.0) };
        assert_eq!(recommend(uneven(), loads(&[10.001; 4])), Some(5));
        assert_eq!(recommend(uneven(), loads(&[5.0; 4])), Some(4));
        assert_eq!(recommend(uneven(), loads(&[4.9; 4])), Some(2));
    }
}

mod grouping {
    use super::*;

    #[test]
    fn the_pods_with_a_sample_are_multiplied_and_not_the_wanted_replicas() {
        let four = loads(&[15.0; 4]);
        assert_eq!(recommend(average(10.0), TargetObservation { replicas: 10, ..four }), Some(6));
    }

    #[test]
    fn an_unready_pod_counts_as_ready_but_for_cpu() {
        let pods = vec![pod("a").load(15.0), pod("b").load(15.0).unready()];
        assert_eq!(recommend(average(10.0), seen(2).pods(pods)), Some(3));
    }

    #[test]
    fn deleted_and_failed_pods_are_ignored_with_their_samples() {
        let pods = vec![
            pod("a").load(10.0),
            pod("b").load(10.0),
            pod("going").load(1000.0).deleting(),
            pod("failed").load(1000.0).phase(Phase::Failed),
        ];
        assert_eq!(recommend(average(10.0), seen(4).pods(pods)), Some(4), "at target: current");
    }

    #[test]
    fn a_pending_pods_sample_does_not_count() {
        let pods = vec![pod("a").load(10.0), pod("b").load(1000.0).phase(Phase::Pending)];
        assert_eq!(recommend(average(10.0), seen(2).pods(pods)), Some(2));
    }

    #[test]
    fn without_pods_or_samples_there_is_no_answer() {
        for pods in [vec![], vec![pod("a")], vec![pod("a").phase(Phase::Pending).load(99.0)]] {
            let decision = once(average(10.0), seen(3).pods(pods));
            assert_eq!((decision.recommendation, decision.desired), (None, 3));
        }
    }
}

mod fill_in {
    use super::*;

    fn with_missing(values: &[f64], missing: usize) -> TargetObservation {
        let mut pods = loads(values).pods.unwrap();
        pods.extend((0..missing).map(|i| pod(&format!("missing{i}"))));
        seen(u32::try_from(pods.len()).unwrap()).pods(pods)
    }

    fn with_idle(usages: &[i64], missing: usize) -> TargetObservation {
        let mut pods = busy(usages);
        pods.extend((0..missing).map(|i| pod(&format!("missing{i}")).request(1000)));
        seen(u32::try_from(pods.len()).unwrap()).pods(pods)
    }

    #[test]
    fn below_target_a_missing_pod_uses_its_whole_request() {
        // (400 + 95 + 1000 + 1000) of 4000 is 62 %.
        assert_eq!(recommend(cpu(100.0), with_idle(&[400, 95], 2)), Some(3));
    }

    #[test]
    fn below_a_target_above_the_request_a_missing_pod_is_at_target() {
        // (495 + 2 × 1500) of 4000 is 87 %; 87 / 150 × 4 = 2.32. At the request alone it would be 2.
        assert_eq!(recommend(cpu(150.0), with_idle(&[400, 95], 2)), Some(3));
    }

    #[test]
    fn above_target_a_missing_pod_idles() {
        assert_eq!(recommend(cpu(100.0), with_idle(&[1900], 1)), Some(2), "95 % holds");
        assert_eq!(recommend(average(10.0), with_missing(&[20.0, 20.0], 2)), Some(4), "at target holds");
        assert_eq!(recommend(average(10.0), with_missing(&[30.0, 30.0], 2)), Some(6), "15 on average");
    }

    #[test]
    fn below_target_a_missing_pod_is_at_the_average_target() {
        assert_eq!(recommend(average(10.0), with_missing(&[5.0, 5.0], 2)), Some(3), "7.5 on average");
    }

    #[test]
    fn exactly_at_target_a_missing_pod_changes_nothing() {
        assert_eq!(recommend(average(10.0), with_missing(&[10.0], 3)), Some(4));
        assert_eq!(recommend(cpu(100.0), with_idle(&[1000], 1)), Some(2));
    }

    #[test]
    fn above_target_unready_pods_idle() {
        // 1200 of 2000 is 60 %, twice the target; with the unready one 1200 of 3000 is 40 %: 4/3 × 3.
        let mut pods = busy(&[300, 500, 700]);
        pods[0] = pods[0].clone().starting(-10.0);
        assert_eq!(recommend(cpu(30.0), seen(3).pods(pods)), Some(4));
    }

    #[test]
    fn below_target_unready_pods_do_not_count() {
        let mut pods = busy(&[100, 100, 0, 0]);
        for pod in &mut pods[2..] {
            *pod = pod.clone().starting(-10.0);
        }
        // 10 % of a target of 50 %, times two ready pods.
        assert_eq!(recommend(cpu(50.0), seen(4).pods(pods)), Some(1));
    }

    #[test]
    fn a_fill_in_that_turns_the_direction_holds() {
        // 40 % is below 50 %; with three whole requests it is 85 %.
        let decision = once(cpu(50.0), with_idle(&[400], 3));
        assert_eq!(decision.recommendation, Some(4));
        assert!(names(&decision, Stage::Metric, Rule::DirectionFlip));
    }

    #[test]
    fn a_fill_in_never_moves_the_count_against_its_ratio() {
        // 8.4 on average over five pods asks for 5, which is no shrinkage of 2.
        let more = TargetObservation { replicas: 2, ..with_missing(&[8.0; 4], 1) };
        assert_eq!(recommend(average(10.0), more), Some(2));
        // 13.3 over three pods asks for 4, which is no growth of 10.
        let fewer = TargetObservation { replicas: 10, ..with_missing(&[20.0, 20.0], 1) };
        assert_eq!(recommend(average(10.0), fewer), Some(10));
    }
}

/// One pod is at target; the other doubles the load where its sample counts, and is unready where it does not.
mod cpu_start_up {
    use super::*;

    const NOW: f64 = 10_000.0;

    fn counts(young: Pod) -> bool {
        let steady = pod("steady").cpu(500, 1000).measured(NOW, 60.0);
        let spec = cpu(50.0);
        let mut lone = Lone::with_history(spec, NOW, &[], &[]);
        let answer = lone.step(NOW, seen(2).pods(vec![steady, young.cpu(1000, 1000)])).recommendation;
        assert!(answer == Some(2) || answer == Some(3), "{answer:?}");
        answer == Some(3)
    }

    fn aged(age: f64) -> Pod {
        pod("young").started(NOW - age).changed(NOW - age).measured(NOW, 60.0)
    }

    #[test]
    fn without_readiness_or_a_start_it_does_not_count() {
        assert!(!counts(Pod { ready: None, ..aged(1000.0) }));
        assert!(!counts(Pod { started_at: None, ..aged(1000.0) }));
    }

    #[test]
    fn a_condition_without_a_time_changed_before_everything() {
        assert!(counts(Pod { ready_at: None, ..aged(10.0) }));
        assert!(!counts(Pod { ready_at: None, ..aged(10.0).unready() }));
        assert!(!counts(Pod { ready_at: None, ..aged(1000.0).unready() }));
    }

    #[test]
    fn young_and_unready_it_does_not_count() {
        assert!(!counts(aged(299.0).unready().changed(NOW - 250.0)));
    }

    #[test]
    fn young_it_counts_once_a_whole_window_was_measured_since_it_became_ready() {
        assert!(!counts(aged(200.0).changed(NOW - 60.0).measured(NOW - 1.0, 60.0)));
        assert!(counts(aged(200.0).changed(NOW - 60.0).measured(NOW, 60.0)));
    }

    #[test]
    fn the_initialization_period_ends_exactly_at_its_length() {
        let barely_measured = |age: f64| aged(age).changed(NOW - 10.0);
        assert!(!counts(barely_measured(299.9)));
        assert!(counts(barely_measured(300.0)));
    }

    #[test]
    fn older_and_never_ready_it_does_not_count() {
        assert!(!counts(aged(400.0).unready().changed(NOW - 400.0 + 29.9)));
        assert!(counts(aged(400.0).unready().changed(NOW - 400.0 + 30.0)), "it was ready once");
        assert!(counts(aged(400.0)));
    }

    #[test]
    fn the_periods_are_settings() {
        let strategy =
            Strategy::Hpa(Hpa { cpu_initialization: Span::ZERO, initial_readiness: Span::ZERO, older_rule: None });
        let young = vec![pod("a").cpu(500, 1000), pod("b").cpu(1000, 1000).starting(-1.0)];
        let seen = seen(2).pods(young);
        assert_eq!(recommend(Spec { strategy, ..cpu(50.0) }, seen), Some(3));
    }
}

mod several_metrics {
    use super::*;

    fn two() -> Spec {
        let other = source("other", SourceKind::External, 10.0, TargetType::AverageValue);
        spec(hpa(), vec![external(10.0), other])
    }

    #[test]
    fn the_highest_wins() {
        let decision = once(two(), seen(3).total(20.0).external("other", &[50.0]));
        assert_eq!(decision.recommendation, Some(5));
        assert!(decision.reason.starts_with("other above target"), "{}", decision.reason);
    }

    #[test]
    fn a_failed_one_forbids_fewer_and_allows_more() {
        let down = once(two(), seen(3).total(20.0).absent("other"));
        assert_eq!((down.recommendation, down.desired), (None, 3));
        assert!(names(&down, Stage::Recommendation, Rule::PartialMetrics));
        assert_eq!(once(two(), seen(3).total(30.0).absent("other")).desired, 3);
        assert_eq!(once(two(), seen(3).total(50.0).absent("other")).recommendation, Some(5));
    }

    #[test]
    fn all_failed_give_no_answer() {
        let decision = once(two(), seen(3).absent(LOAD).absent("other"));
        assert_eq!((decision.recommendation, decision.desired), (None, 3));
        assert!(decision.reason.contains(LOAD) && decision.reason.contains("other"), "{}", decision.reason);
    }

    #[test]
    fn a_stale_or_impossible_value_is_a_failed_one() {
        for reading in [
            Reading::Stale { value: 1.0, age: Span::secs(60) },
            Reading::Absent(Why::NotRead),
            Reading::Fresh(f64::NAN),
            Reading::Fresh(f64::INFINITY),
            Reading::Fresh(-1.0),
        ] {
            let mut seen = seen(3).total(1.0);
            seen.external.insert("other".to_owned(), vec![reading]);
            assert_eq!(once(two(), seen).recommendation, None);
        }
    }
}
