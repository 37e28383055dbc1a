//! Readings of pages by normalised and own names: values, rates, means, quantiles, and the reasons for absence.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

use autoscaler_metrics::{Absent, Engine, Memory, MetricQuery, Statistic, read};
use proptest::prelude::*;

const V1: &str = "# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3.0
vllm:num_requests_running{engine=\"1\",model_name=\"m\"} 4.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 2.0
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{engine=\"0\",model_name=\"m\",reason=\"capacity\"} 90.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.2
vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"m\"} 0.6
";

fn ask(page: &str, query: &MetricQuery) -> Result<f64, Absent> {
    read(page.as_bytes(), None, std::slice::from_ref(query), &mut Memory::default(), 0.0).remove(0)
}

fn value(page: &str, name: &str) -> Result<f64, Absent> {
    ask(page, &MetricQuery::new(name))
}

/// The answer at the second of two scrapes, `seconds` apart.
fn later(first: &str, second: &str, seconds: f64, query: &MetricQuery) -> Result<f64, Absent> {
    let mut memory = Memory::default();
    let queries = std::slice::from_ref(query);
    let before = read(first.as_bytes(), None, queries, &mut memory, 100.0).remove(0);
    assert!(matches!(before, Err(Absent::NeedsSecondScrape { .. } | Absent::NoSamples { .. })), "{before:?}");
    read(second.as_bytes(), None, queries, &mut memory, 100.0 + seconds).remove(0)
}

#[test]
fn loads_of_several_engines_add_up_and_shares_are_averaged() {
    assert_eq!(value(V1, "num_requests_running"), Ok(7.0));
    assert_eq!(value(V1, "request_count"), Ok(9.0));
    assert_eq!(value(V1, "kv_cache_usage_perc"), Ok(0.4));
    assert_eq!(value(V1, "kv_cache_size"), Ok(0.4));
}

#[test]
fn aibrix_names_and_an_engines_own_are_understood() {
    assert_eq!(value(V1, "gpu_cache_usage_perc"), Ok(0.4));
    assert_eq!(value(V1, "vllm:num_requests_waiting"), Ok(2.0));
}

#[test]
fn the_old_name_of_the_cache_counts_only_where_the_new_one_is_missing() {
    let old = "vllm:gpu_cache_usage_perc{model_name=\"m\"} 0.5\n";
    assert_eq!(value(old, "kv_cache_usage_perc"), Ok(0.5));
    assert_eq!(value(&format!("{V1}{old}"), "kv_cache_usage_perc"), Ok(0.4));
}

#[test]
fn every_engine_answers_in_its_own_words() {
    let pages = [
        (
            "sglang:num_running_reqs{model_name=\"m\"} 5\nsglang:num_queue_reqs 2\nsglang:token_usage 0.25\n",
            5.0,
            2.0,
            Some(0.25),
        ),
        (
            "trtllm_num_requests_running 5\ntrtllm_num_requests_waiting 2\ntrtllm_kv_cache_utilization 0.25\n",
            5.0,
            2.0,
            Some(0.25),
        ),
        ("tgi_batch_current_size 5\ntgi_queue_size 2\n", 5.0, 2.0, None),
        ("llamacpp:requests_processing 5\nllamacpp:requests_deferred 2\n", 5.0, 2.0, None),
        (
            "nv_trt_llm_request_metrics{model=\"m\",request_type=\"scheduled\"} 5\n\
             nv_trt_llm_request_metrics{model=\"m\",request_type=\"waiting\"} 2\n\
             nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"fraction\"} 0.25\n\
             nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"max\"} 900\n",
            5.0,
            2.0,
            Some(0.25),
        ),
    ];
    for (page, running, waiting, usage) in pages {
        assert_eq!(value(page, "num_requests_running"), Ok(running), "{page}");
        assert_eq!(value(page, "num_requests_waiting"), Ok(waiting), "{page}");
        match usage {
            Some(usage) => assert_eq!(value(page, "kv_cache_usage_perc"), Ok(usage), "{page}"),
            None => assert!(matches!(value(page, "kv_cache_usage_perc"), Err(Absent::NotOffered { .. })), "{page}"),
        }
    }
}

#[test]
fn a_name_that_begins_like_another_does_not_bring_it_along() {
    assert_eq!(value(V1, "num_requests_waiting"), Ok(2.0));
}

#[test]
fn a_birth_is_never_taken_for_a_value() {
    let page = |total: u32| {
        format!(
            "# TYPE vllm:prompt_tokens_total counter\nvllm:prompt_tokens_total{{engine=\"0\"}} {total}\n\
             # TYPE vllm:prompt_tokens_created gauge\nvllm:prompt_tokens_created{{engine=\"0\"}} 1.7e9\n"
        )
    };
    assert_eq!(later(&page(100), &page(150), 10.0, &MetricQuery::new("token_in_count")), Ok(5.0));
}

#[test]
fn a_missing_family_an_empty_one_and_no_page_at_all_are_absent_and_not_zero() {
    let page = "# TYPE vllm:num_requests_waiting gauge\nvllm:other 1\n";
    assert!(matches!(value(page, "num_requests_running"), Err(Absent::FamilyMissing { .. })));
    assert!(matches!(value(page, "num_requests_waiting"), Err(Absent::NoSamples { .. })));
    assert_eq!(value("<html>nothing here</html>\n", "num_requests_running"), Err(Absent::NotAPage));
    assert_eq!(value("", "num_requests_running"), Err(Absent::NotAPage));
}

#[test]
fn two_models_on_one_page_are_told_apart_by_a_label() {
    let page = "vllm:num_requests_running{model_name=\"a\"} 3\nvllm:num_requests_running{model_name=\"b\"} 30\n";
    let mut query = MetricQuery::new("num_requests_running");
    assert_eq!(ask(page, &query), Ok(33.0));
    query.labels.insert("model_name".into(), "a".into());
    assert_eq!(ask(page, &query), Ok(3.0));
    query.labels.insert("model_name".into(), "c".into());
    assert!(matches!(ask(page, &query), Err(Absent::NoSeriesMatches { .. })));
}

#[test]
fn old_label_sets_of_adapters_do_not_add_up() {
    let page = "vllm:lora_requests_info{running_lora_adapters=\"a\"} 1700000000\n\
                vllm:lora_requests_info{running_lora_adapters=\"b,a\"} 1700000050\n";
    assert_eq!(value(page, "vllm:lora_requests_info"), Ok(1_700_000_050.0));
}

#[test]
fn a_counter_that_goes_down_is_a_restart_and_not_a_rate() {
    let page = |total: u32| format!("# TYPE vllm:prompt_tokens_total counter\nvllm:prompt_tokens_total {total}\n");
    let query = MetricQuery::new("token_in_count");
    assert!(matches!(later(&page(1000), &page(990), 1.0, &query), Err(Absent::CounterReset { .. })));
}

#[test]
fn a_reason_for_finishing_that_is_new_began_at_zero() {
    let head = "# TYPE vllm:request_success_total counter\n";
    let first = format!("{head}vllm:request_success_total{{finished_reason=\"stop\"}} 10\n");
    let second = format!("{first}vllm:request_success_total{{finished_reason=\"length\"}} 20\n");
    assert_eq!(later(&first, &second, 10.0, &MetricQuery::new("request_success_total")), Ok(2.0));
}

#[test]
fn a_usage_in_percent_becomes_a_share() {
    assert_eq!(value("vllm:kv_cache_usage_perc 45\n", "kv_cache_usage_perc"), Ok(0.45));
    assert_eq!(value("vllm:kv_cache_usage_perc 1\n", "kv_cache_usage_perc"), Ok(1.0));
}

#[test]
fn values_that_cannot_be_are_absent() {
    for bad in ["NaN", "+Inf", "-1"] {
        let page = format!("vllm:num_requests_running {bad}\n");
        assert!(matches!(value(&page, "num_requests_running"), Err(Absent::Unusable { .. })), "{bad}");
    }
}

#[test]
fn latencies_are_means_or_quantiles_of_what_came_since() {
    let page = |low: u32, high: u32, sum: f64| {
        let total = low + high;
        format!(
            "# TYPE vllm:e2e_request_latency_seconds histogram\n\
             vllm:e2e_request_latency_seconds_bucket{{le=\"1.0\"}} {low}\n\
             vllm:e2e_request_latency_seconds_bucket{{le=\"2.0\"}} {total}\n\
             vllm:e2e_request_latency_seconds_bucket{{le=\"+Inf\"}} {total}\n\
             vllm:e2e_request_latency_seconds_sum {sum}\nvllm:e2e_request_latency_seconds_count {total}\n"
        )
    };
    let (first, second) = (page(100, 0, 50.0), page(105, 5, 60.0));
    assert_eq!(later(&first, &second, 5.0, &MetricQuery::new("e2e_latency")), Ok(1.0));
    assert_eq!(later(&first, &second, 5.0, &MetricQuery::new("engine_latency_ms")), Ok(1000.0));
    let with = |statistic| MetricQuery { statistic: Some(statistic), ..MetricQuery::new("e2e_latency") };
    assert_eq!(later(&first, &second, 5.0, &with(Statistic::Percentile(90))), Ok(1.8));
    assert_eq!(later(&first, &second, 5.0, &with(Statistic::Rate)), Ok(2.0));
    assert!(matches!(later(&first, &first, 5.0, &with(Statistic::Mean)), Err(Absent::NoNewObservations { .. })));
    assert!(matches!(
        ask(&first, &with(Statistic::Value)),
        Err(Absent::Unsupported { .. } | Absent::NeedsSecondScrape { .. })
    ));
}

#[test]
fn a_histogram_named_like_a_counter_is_still_a_histogram() {
    let page = "# TYPE vllm:iteration_tokens_total histogram\nvllm:iteration_tokens_total_bucket{le=\"+Inf\"} 4\n\
                vllm:iteration_tokens_total_sum 40\nvllm:iteration_tokens_total_count 4\n";
    let more = page.replace(" 4\n", " 6\n").replace(" 40\n", " 80\n");
    assert_eq!(later(page, &more, 1.0, &MetricQuery::new("vllm:iteration_tokens_total")), Ok(20.0));
}

#[test]
fn a_page_tells_its_engine() {
    assert_eq!(Engine::detect(V1.as_bytes()), Engine::Vllm);
    assert_eq!(Engine::detect(b"dynamo_component_x 1\nvllm:x 1\n"), Engine::Vllm);
    assert_eq!(Engine::detect(b"go_goroutines 5\n"), Engine::Generic);
}

proptest! {
    #[test]
    fn no_page_makes_a_reading_panic(page in proptest::collection::vec(any::<u8>(), 0..300), second: Vec<u8>) {
        let queries: Vec<MetricQuery> =
            autoscaler_metrics::dialect::known_names().map(MetricQuery::new).collect();
        let mut memory = Memory::default();
        for (at, page) in [page, second].iter().enumerate() {
            for answer in read(page, None, &queries, &mut memory, at as f64) {
                prop_assert!(answer.is_err() || answer.is_ok_and(f64::is_finite));
            }
        }
    }
}
