//! Rates, means and quantiles over time: fast and rare scrapes, resets, outages, what is remembered and how much.

mod common;

use autoscaler_metrics::{Absent, LONGEST_SPAN_SECONDS, Statistic};
use common::{at_last, by_name, counter, histogram, labelled, over_time, with};
use proptest::prelude::*;

const TOKENS: &str = "token_in_count";
const E2E: &str = "vllm:e2e_request_latency_seconds";

#[test]
fn a_rate_falls_to_zero_after_a_burst_however_fast_the_scrapes() {
    for step in [0.1, 0.25, 0.5, 0.9, 0.93, 0.94, 1.0, 5.0] {
        let times: Vec<f64> = (0..=600_u32).map(|index| f64::from(index) * step).take_while(|at| *at <= 60.0).collect();
        let pages: Vec<String> = times.iter().map(|at| counter((at * 100.0).min(1000.0))).collect();
        let scrapes: Vec<(f64, &str)> = times.iter().copied().zip(pages.iter().map(String::as_str)).collect();
        let answers = over_time(&scrapes, &by_name(TOKENS));
        assert_eq!(answers.last(), Some(&Ok(0.0)), "every {step} s");
        let last_of_burst = times.iter().take_while(|at| **at <= 10.0).count() - 1;
        let in_burst = answers[last_of_burst].as_ref().unwrap();
        assert!((in_burst - 100.0).abs() < 0.1, "every {step} s: {in_burst}");
    }
}

#[test]
fn a_reset_is_seen_against_the_scrape_before_although_the_oldest_is_lower() {
    let (zero, high, again) = (counter(0.0), counter(10_000.0), counter(150.0));
    let answers = over_time(&[(0.0, &zero), (10.0, &high), (20.0, &again), (30.0, &counter(250.0))], &by_name(TOKENS));
    assert_eq!(answers[1], Ok(1000.0));
    assert!(matches!(answers[2], Err(Absent::CounterReset { .. })), "{answers:?}");
    assert_eq!(answers[3], Ok(10.0), "counting begins anew");
}

#[test]
fn a_reset_between_two_scrapes_that_are_too_close_to_be_kept_is_seen() {
    let (zero, high, low) = (counter(0.0), counter(500.0), counter(400.0));
    let answers = over_time(&[(0.0, &zero), (0.1, &high), (0.2, &low)], &by_name(TOKENS));
    assert!(matches!(answers[2], Err(Absent::CounterReset { .. })), "{answers:?}");
}

#[test]
fn a_series_that_is_gone_means_a_process_that_began_anew() {
    let page = |stop: u32, length: &str| {
        format!(
            "# TYPE vllm:request_success_total counter\n\
             vllm:request_success_total{{finished_reason=\"stop\"}} {stop}\n{length}"
        )
    };
    let before = page(10, "vllm:request_success_total{finished_reason=\"length\"} 3\n");
    let answer = at_last(&[(0.0, &before), (10.0, &page(12, ""))], &by_name("request_success_total"));
    assert!(matches!(answer, Err(Absent::CounterReset { .. })), "{answer:?}");
}

#[test]
fn a_histogram_whose_sum_fell_is_a_reset_and_no_negative_mean() {
    let (before, after) = (histogram(E2E, "", 0, 5, 100.0), histogram(E2E, "", 6, 6, 3.0));
    let answer = at_last(&[(0.0, &before), (10.0, &after)], &by_name("e2e_latency"));
    assert!(matches!(answer, Err(Absent::CounterReset { .. })), "{answer:?}");
}

#[test]
fn one_of_several_engines_that_began_anew_does_not_hide_behind_the_growth_of_another() {
    let page = |first: (u32, f64), second: (u32, f64)| {
        histogram(E2E, "engine=\"0\",", 0, first.0, first.1) + &histogram(E2E, "engine=\"1\",", 0, second.0, second.1)
    };
    let before = page((10, 100.0), (10, 10.0));
    let answers = over_time(
        &[(0.0, &before), (10.0, &page((0, 0.0), (30, 110.0))), (20.0, &page((2, 4.0), (32, 114.0)))],
        &by_name("e2e_latency"),
    );
    assert!(matches!(answers[1], Err(Absent::CounterReset { .. })), "{answers:?}");
    assert_eq!(answers[2], Ok(2.0));
}

#[test]
fn a_rate_does_not_reach_back_over_a_long_outage() {
    let (before, after) = (counter(0.0), counter(3600.0));
    let answers = over_time(&[(0.0, &before), (3600.0, &after), (3610.0, &counter(3700.0))], &by_name(TOKENS));
    assert!(matches!(answers[1], Err(Absent::NeedsSecondScrape { .. })), "{answers:?}");
    assert_eq!(answers[2], Ok(10.0));
    let rare = at_last(&[(0.0, &before), (LONGEST_SPAN_SECONDS, &counter(1200.0))], &by_name(TOKENS));
    assert_eq!(rare, Ok(10.0), "rare scrapes still give a rate");
}

#[test]
fn a_clock_that_is_set_back_begins_anew_and_one_that_stands_still_adds_nothing() {
    let (low, high) = (counter(100.0), counter(200.0));
    let answers = over_time(&[(50.0, &low), (40.0, &high), (50.0, &counter(300.0))], &by_name(TOKENS));
    assert!(matches!(answers[1], Err(Absent::NeedsSecondScrape { .. })), "{answers:?}");
    assert_eq!(answers[2], Ok(10.0));
    assert!(at_last(&[(50.0, &low), (50.0, &high)], &by_name(TOKENS)).is_err());
    assert!(at_last(&[(50.0, &low), (f64::NAN, &high)], &by_name(TOKENS)).is_err());
}

#[test]
fn a_page_with_a_broken_line_gives_nothing_and_is_not_remembered() {
    let page = |first: &str, second: &str| {
        format!(
            "# TYPE vllm:prompt_tokens_total counter\nvllm:prompt_tokens_total{{engine=\"0\"}} {first}\n\
             vllm:prompt_tokens_total{{engine=\"1\"}} {second}\n"
        )
    };
    let broken = page("105", "9e8 oops");
    let (before, after) = (page("100", "9e8"), page("150", "9e8"));
    let answers = over_time(&[(0.0, &before), (5.0, &broken), (10.0, &after)], &by_name(TOKENS));
    assert!(matches!(answers[1], Err(Absent::Unreadable { .. })), "{answers:?}");
    assert_eq!(answers[2], Ok(5.0));
    let first_broken = over_time(&[(0.0, &broken), (10.0, &after)], &by_name(TOKENS));
    assert!(matches!(first_broken[1], Err(Absent::NeedsSecondScrape { .. })), "{first_broken:?}");
}

#[test]
fn a_series_that_is_printed_twice_counts_once_also_in_rates() {
    let page = |second: u32| format!("# TYPE c counter\nc_total 1\nc_total {second}\n");
    assert_eq!(at_last(&[(0.0, &page(100)), (10.0, &page(200))], &by_name("c")), Ok(10.0));
}

#[test]
fn terms_that_select_labels_of_one_family_are_remembered_apart() {
    let page = |scheduled: u32, waiting: u32| {
        format!(
            "nv_trt_llm_request_metrics{{request_type=\"scheduled\"}} {scheduled}\n\
             nv_trt_llm_request_metrics{{request_type=\"waiting\"}} {waiting}\n"
        )
    };
    let query = with("request_count", Statistic::Rate);
    assert_eq!(at_last(&[(0.0, &page(10, 1000)), (10.0, &page(20, 1030))], &query), Ok(4.0));
}

#[test]
fn the_sum_and_count_of_a_histogram_are_counters_where_they_are_asked_for_by_name() {
    let (before, after) = (histogram(E2E, "", 0, 5, 100.0), histogram(E2E, "", 0, 15, 110.0));
    for (part, rate) in [("_count", 1.0), ("_sum", 1.0)] {
        let query = by_name(&format!("{E2E}{part}"));
        assert_eq!(at_last(&[(0.0, &before), (10.0, &after)], &query), Ok(rate), "{part}");
    }
    let query = with(&format!("{E2E}_count"), Statistic::Value);
    assert_eq!(at_last(&[(0.0, &after)], &query), Ok(15.0));
}

#[test]
fn observations_a_second_have_no_unit() {
    let (before, after) = (histogram(E2E, "", 0, 5, 100.0), histogram(E2E, "", 0, 15, 110.0));
    let scrapes = [(0.0, before.as_str()), (10.0, after.as_str())];
    assert_eq!(at_last(&scrapes, &with("engine_latency_ms", Statistic::Rate)), Ok(1.0));
    assert_eq!(at_last(&scrapes, &by_name("engine_latency_ms")), Ok(1000.0));
    let usage = [(0.0, "vllm:kv_cache_usage_perc 0.1\n"), (10.0, "vllm:kv_cache_usage_perc 45.1\n")];
    assert_eq!(at_last(&usage, &with("kv_cache_usage_perc", Statistic::Rate)), Ok(4.5), "a rate is not guessed at");
}

#[test]
fn summaries_give_means_and_their_own_quantiles_and_never_a_sum_of_quantiles() {
    let page = |sum: u32, count: u32, rest: &str| {
        format!(
            "# TYPE s summary\ns{{quantile=\"0.5\"}} 0.2\ns{{quantile=\"0.99\"}} 3\ns_sum {sum}\ns_count {count}\n{rest}"
        )
    };
    let (before, after) = (page(12, 60, ""), page(22, 65, ""));
    let scrapes = [(0.0, before.as_str()), (10.0, after.as_str())];
    assert_eq!(at_last(&scrapes, &by_name("s")), Ok(2.0));
    assert_eq!(at_last(&scrapes, &with("s", Statistic::Rate)), Ok(0.5));
    assert_eq!(at_last(&scrapes, &with("s", Statistic::Percentile(99))), Ok(3.0));
    assert!(matches!(at_last(&scrapes, &with("s", Statistic::Percentile(95))), Err(Absent::NoSuchQuantile { .. })));
    assert!(matches!(at_last(&scrapes, &with("s", Statistic::Value)), Err(Absent::Unsupported { .. })));
    let two = page(1, 1, "s{m=\"b\",quantile=\"0.5\"} 9\n");
    let median = with("s", Statistic::Percentile(50));
    assert!(matches!(at_last(&[(0.0, &two)], &median), Err(Absent::SeveralQuantiles { .. })));
    let one = autoscaler_metrics::MetricQuery { statistic: median.statistic, ..labelled("s", &[("m", "b")]) };
    assert_eq!(at_last(&[(0.0, &two)], &one), Ok(9.0));
    let idle = "# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum 0\ns_count 0\n";
    assert!(matches!(at_last(&[(0.0, idle)], &median), Err(Absent::NoNewObservations { .. })));
}

#[test]
fn without_the_infinite_bucket_there_is_a_mean_and_no_quantile_and_the_reason_says_so() {
    let page = |count: u32| format!("x_bucket{{le=\"1\"}} {count}\nx_sum {count}\nx_count {count}\n");
    let (before, after) = (page(1), page(5));
    let scrapes = [(0.0, before.as_str()), (10.0, after.as_str())];
    assert!(matches!(at_last(&scrapes, &with("x", Statistic::Percentile(95))), Err(Absent::NoInfiniteBucket { .. })));
    assert_eq!(at_last(&scrapes, &with("x", Statistic::Mean)), Ok(1.0));
}

#[test]
fn what_would_cost_too_much_memory_is_refused_and_said() {
    let long = "x".repeat(100_000);
    let label = format!("# TYPE c counter\nc_total{{a=\"{long}\"}} 1\n");
    let series: String = (0..2_000).map(|at| format!("c_total{{a=\"{at}\"}} 1\n")).collect::<Vec<_>>().concat();
    let mut buckets: String = (0..5_000).map(|at| format!("c_bucket{{le=\"{at}\"}} 1\n")).collect::<Vec<_>>().concat();
    buckets.push_str("c_bucket{le=\"+Inf\"} 1\nc_sum 1\nc_count 1\n");
    for page in [label, format!("# TYPE c counter\n{series}"), format!("# TYPE c histogram\n{buckets}")] {
        for answer in over_time(&[(0.0, &page), (1.0, &page)], &by_name("c")) {
            assert!(matches!(answer, Err(Absent::TooManySeries { .. })), "{answer:?}");
        }
    }
}

#[test]
fn a_sum_beyond_all_numbers_is_absent() {
    let page = "x{e=\"1\"} 1.7e308\nx{e=\"2\"} 1.7e308\n";
    assert!(matches!(common::value(page, "x"), Err(Absent::Unusable { .. })));
}

proptest! {
    #[test]
    fn whatever_counters_and_clocks_do_a_rate_is_finite_and_never_negative(
        steps in proptest::collection::vec((-1.0..20.0_f64, 0..5_u32, any::<bool>()), 1..60),
    ) {
        let (mut now, mut value) = (0.0, 0.0);
        let pages = steps.into_iter().map(|(step, grown, restarts)| {
            now += step;
            value = if restarts && grown == 0 { 0.0 } else { value + f64::from(grown) };
            (now, counter(value) + &histogram(E2E, "", 0, grown, f64::from(grown)))
        });
        let pages: Vec<(f64, String)> = pages.collect();
        let scrapes: Vec<(f64, &str)> = pages.iter().map(|(at, page)| (*at, page.as_str())).collect();
        for query in [by_name(TOKENS), by_name("e2e_latency"), with("e2e_latency", Statistic::Percentile(95))] {
            for answer in over_time(&scrapes, &query) {
                prop_assert!(answer.is_err() || answer.is_ok_and(|value| value.is_finite() && value >= 0.0));
            }
        }
    }

    #[test]
    fn a_steady_counter_has_its_rate_at_any_interval(interval in 0.05..100.0_f64, rate in 1..1000_u32) {
        let times: Vec<f64> = (0..40_u32).map(|index| f64::from(index) * interval).collect();
        let pages: Vec<String> = times.iter().map(|at| counter(at * f64::from(rate))).collect();
        let scrapes: Vec<(f64, &str)> = times.iter().copied().zip(pages.iter().map(String::as_str)).collect();
        for answer in &over_time(&scrapes, &by_name(TOKENS))[1..] {
            let found = answer.as_ref().unwrap();
            prop_assert!((found / f64::from(rate) - 1.0).abs() < 1e-6, "{found}");
        }
    }
}
