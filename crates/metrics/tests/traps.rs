//! What engines' pages do that a reader must survive: the fourteen traps that running engines showed, by number, and
//! SGLang's ranks and priorities. Each test states its own page.

mod common;

use autoscaler_metrics::{Absent, Engine, MetricQuery, Statistic};
use common::{at_last, by_name, histogram, labelled, over_time, value, with};

#[test]
fn trap_1_births_typed_gauge_are_no_values_and_a_page_of_several_processes_does_without_them() {
    let counters = |tokens: u32| {
        format!(
            "# TYPE vllm:prompt_tokens_total counter\nvllm:prompt_tokens_total{{engine=\"0\",model_name=\"m\"}} {tokens}\n"
        )
    };
    let births = "# TYPE vllm:prompt_tokens_created gauge\nvllm:prompt_tokens_created{engine=\"0\",model_name=\"m\"} 1.7e9\n\
                  # TYPE python_info gauge\npython_info{implementation=\"CPython\"} 1\n\
                  # TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 12\n";
    for around in [births, ""] {
        let (before, after) = (counters(100) + around, around.to_owned() + &counters(150));
        assert_eq!(at_last(&[(0.0, &before), (10.0, &after)], &by_name("token_in_count")), Ok(5.0), "{around}");
    }
}

#[test]
fn trap_2_a_counter_is_declared_without_total_and_a_histogram_may_end_with_it() {
    let page = |tokens: u32| {
        format!("# TYPE vllm:prompt_tokens counter\nvllm:prompt_tokens_total {tokens}\n")
            + &histogram("vllm:iteration_tokens_total", "", 0, tokens, f64::from(tokens * 20))
    };
    let scrapes = [(0.0, page(4)), (1.0, page(6))];
    let scrapes = scrapes.each_ref().map(|(at, page)| (*at, page.as_str()));
    assert_eq!(at_last(&scrapes, &by_name("vllm:prompt_tokens")), Ok(2.0));
    assert_eq!(at_last(&scrapes, &by_name("token_in_count")), Ok(2.0));
    assert_eq!(at_last(&scrapes, &by_name("vllm:iteration_tokens_total")), Ok(20.0));
}

#[test]
fn trap_3_reasons_of_waiting_are_not_added_to_waiting() {
    let page = "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 5\n\
                vllm:num_requests_waiting_by_reason{engine=\"0\",model_name=\"m\",reason=\"capacity\"} 3\n\
                vllm:num_requests_waiting_by_reason{engine=\"0\",model_name=\"m\",reason=\"deferred\"} 2\n";
    assert_eq!(value(page, "num_requests_waiting"), Ok(5.0));
    assert_eq!(value(page, "vllm:num_requests_waiting_by_reason"), Ok(5.0));
}

#[test]
fn trap_4_families_differ_in_their_labels_and_a_selection_that_one_has_not_is_absent_there() {
    let page = "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3\n\
                vllm:admission_rejections{model_name=\"m\"} 7\n\
                vllm:cache_config_info{engine=\"0\",num_gpu_blocks=\"99\"} 1\n";
    let old = "vllm:num_requests_running{model_name=\"m\"} 3\n";
    for page in [page, old] {
        assert_eq!(at_last(&[(0.0, page)], &labelled("num_requests_running", &[("model_name", "m")])), Ok(3.0));
    }
    let without_engine = labelled("vllm:admission_rejections", &[("engine", "0")]);
    assert!(matches!(at_last(&[(0.0, page)], &without_engine), Err(Absent::NoSeriesMatches { .. })));
    let without_model = labelled("vllm:cache_config_info", &[("model_name", "m")]);
    assert!(matches!(at_last(&[(0.0, page)], &without_model), Err(Absent::NoSeriesMatches { .. })));
    let no_engine = labelled("vllm:admission_rejections", &[("engine", "")]);
    assert_eq!(at_last(&[(0.0, page)], &no_engine), Ok(7.0), "an empty value asks for its absence");
}

#[test]
fn trap_5_adapters_leave_old_label_sets_behind_may_be_declared_only_and_show_up_without_any() {
    let info = "vllm:lora_requests_info";
    let burst = "vllm:lora_requests_info{max_lora=\"2\",running_lora_adapters=\"ad2,ad1\",waiting_lora_adapters=\"\"} 1700000050\n\
                 vllm:lora_requests_info{max_lora=\"2\",running_lora_adapters=\"ad1\",waiting_lora_adapters=\"\"} 1700000000\n";
    assert_eq!(value(burst, info), Ok(1_700_000_050.0), "the newest time, not their sum");
    let declared =
        "# HELP vllm:lora_requests_info Running stats on lora requests.\n# TYPE vllm:lora_requests_info gauge\n";
    assert!(matches!(value(declared, info), Err(Absent::NoSamples { .. })), "of a page that only declares");
    let v0 = "vllm:lora_requests_info{max_lora=\"0\",running_lora_adapters=\"\",waiting_lora_adapters=\"\"} 1700000000\n\
              vllm:num_requests_running{model_name=\"m\"} 2\n";
    assert_eq!(value(v0, info), Ok(1_700_000_000.0));
    assert_eq!(value(v0, "num_requests_running"), Ok(2.0));
    assert!(matches!(value(v0, "num_requests_waiting"), Err(Absent::FamilyMissing { .. })));
}

#[test]
fn trap_6_on_a_fresh_page_of_v0_declared_families_are_absent_and_their_first_samples_began_at_zero() {
    let head = "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"m\"} 0.0\n";
    let e2e = "vllm:e2e_request_latency_seconds";
    let fresh = format!("{head}# TYPE {e2e} histogram\n# TYPE vllm:request_success_total counter\n");
    let after = format!(
        "{head}{}# TYPE vllm:request_success_total counter\n\
         vllm:request_success_total{{finished_reason=\"length\",model_name=\"m\"}} 50.0\n",
        histogram(e2e, "model_name=\"m\",", 0, 50, 75.0)
    );
    let scrapes = [(0.0, fresh.as_str()), (10.0, after.as_str()), (20.0, after.as_str())];
    let latency = over_time(&scrapes, &by_name("e2e_latency"));
    assert!(matches!(latency[0], Err(Absent::NoSamples { .. })), "{latency:?}");
    assert_eq!(latency[1], Ok(1.5), "the first burst counts");
    let success = over_time(&scrapes, &by_name("request_success_total"));
    assert!(matches!(success[0], Err(Absent::NoSamples { .. })), "{success:?}");
    assert_eq!(success[1..], [Ok(5.0), Ok(2.5)]);
    assert_eq!(value(&fresh, "num_requests_running"), Ok(0.0), "what is printed as zero is zero");
    let restarted = over_time(&[(0.0, &after), (10.0, &fresh), (20.0, &after)], &by_name("request_success_total"));
    assert_eq!(restarted[2], Ok(5.0), "after a restart, too");
}

#[test]
fn trap_6_a_gauge_that_is_only_declared_stays_absent() {
    let page = "# TYPE vllm:num_requests_waiting gauge\n# TYPE vllm:num_requests_running gauge\n";
    let answers = over_time(&[(0.0, page), (1.0, page)], &by_name("request_count"));
    assert!(answers.iter().all(|answer| matches!(answer, Err(Absent::NoSamples { .. }))), "{answers:?}");
}

#[test]
fn trap_7_kv_usage_is_a_share_although_its_name_says_percent() {
    assert_eq!(value("vllm:kv_cache_usage_perc{engine=\"0\"} 0.97\n", "kv_cache_usage_perc"), Ok(0.97));
    assert_eq!(value("vllm:kv_cache_usage_perc{engine=\"0\"} 1.0\n", "kv_cache_usage_perc"), Ok(1.0));
}

#[test]
fn trap_8_a_gauge_that_is_back_at_zero_is_a_fresh_zero() {
    let page = |running: u32| format!("vllm:num_requests_running{{engine=\"0\"}} {running}.0\n");
    let (busy, idle) = (page(4), page(0));
    let answers = over_time(&[(0.0, &busy), (1.0, &idle), (2.0, &busy)], &by_name("num_requests_running"));
    assert_eq!(answers, [Ok(4.0), Ok(0.0), Ok(4.0)]);
}

#[test]
fn trap_9_reasons_for_finishing_add_up_whether_printed_at_zero_or_on_first_use() {
    let v1 = |stop: u32, length: u32| {
        let reasons = [("stop", stop), ("length", length), ("abort", 0), ("error", 0), ("repetition", 0)];
        let line = |(reason, count)| {
            format!("vllm:request_success_total{{engine=\"0\",finished_reason=\"{reason}\"}} {count}\n")
        };
        "# TYPE vllm:request_success_total counter\n".to_owned() + &reasons.map(line).concat()
    };
    let v0 = |lines: &str| format!("# TYPE vllm:request_success_total counter\n{lines}");
    let stop = "vllm:request_success_total{finished_reason=\"stop\"} 30\n";
    let pages = [
        (v1(0, 0), v1(30, 20)),
        (
            v0("vllm:request_success_total{finished_reason=\"stop\"} 0\n"),
            v0(&format!("{stop}vllm:request_success_total{{finished_reason=\"length\"}} 20\n")),
        ),
    ];
    for (before, after) in &pages {
        assert_eq!(at_last(&[(0.0, before), (10.0, after)], &by_name("request_success_total")), Ok(5.0));
    }
}

#[test]
fn trap_11_llama_cpp_has_no_labels_prints_integers_and_calls_a_high_water_mark_a_counter() {
    let page = |tokens: u32, most: u32| {
        format!(
            "# TYPE llamacpp:prompt_tokens_total counter\nllamacpp:prompt_tokens_total {tokens}\n\
             # TYPE llamacpp:tokens_predicted_total counter\nllamacpp:tokens_predicted_total {tokens}\n\
             # TYPE llamacpp:requests_processing gauge\nllamacpp:requests_processing 2\n\
             # TYPE llamacpp:requests_deferred gauge\nllamacpp:requests_deferred 1\n\
             # TYPE llamacpp:n_tokens_max counter\nllamacpp:n_tokens_max {most}\n"
        )
    };
    let (before, after) = (page(100, 311), page(200, 311));
    let scrapes = [(0.0, before.as_str()), (10.0, after.as_str())];
    assert_eq!(at_last(&scrapes, &by_name("request_count")), Ok(3.0));
    assert_eq!(at_last(&scrapes, &by_name("token_in_count")), Ok(10.0));
    assert_eq!(at_last(&scrapes, &by_name("token_out_count")), Ok(10.0));
    assert_eq!(at_last(&scrapes, &by_name("llamacpp:n_tokens_max")), Ok(311.0));
    assert!(matches!(at_last(&scrapes, &by_name("ttft")), Err(Absent::NotOffered { engine: Engine::LlamaCpp })));
    assert!(matches!(at_last(&scrapes, &by_name("kv_cache_usage_perc")), Err(Absent::NotOffered { .. })));
}

#[test]
fn trap_12_a_dynamo_frontend_grows_by_model_and_prints_integers() {
    let page = |requests: u32, more: &str| {
        format!(
            "# TYPE dynamo_frontend_inflight_requests gauge\ndynamo_frontend_inflight_requests{{model=\"a\"}} 4\n{more}\
             # TYPE dynamo_frontend_queued_requests gauge\ndynamo_frontend_queued_requests{{model=\"a\"}} 1\n\
             # TYPE dynamo_frontend_requests_total counter\n\
             dynamo_frontend_requests_total{{model=\"a\",status=\"success\"}} {requests}\n\
             dynamo_frontend_requests_total{{model=\"a\",status=\"error\"}} 900\n\
             # TYPE dynamo_frontend_output_tokens_total counter\n\
             dynamo_frontend_output_tokens_total{{model=\"a\"}} {requests}\n"
        ) + &histogram("dynamo_frontend_input_sequence_tokens", "model=\"a\",", 0, requests, f64::from(requests) * 50.0)
            + &histogram(
                "dynamo_frontend_inter_token_latency_seconds",
                "model=\"a\",",
                0,
                requests,
                f64::from(requests),
            )
    };
    let (before, after) = (page(10, ""), page(20, "dynamo_frontend_inflight_requests{model=\"b\"} 2\n"));
    assert_eq!(Engine::detect(before.as_bytes()), Engine::Dynamo);
    let scrapes = [(0.0, before.as_str()), (10.0, after.as_str())];
    let last = |name: &str| at_last(&scrapes, &by_name(name));
    assert_eq!((last("num_requests_running"), last("num_requests_waiting")), (Ok(6.0), Ok(1.0)));
    assert_eq!(last("request_count"), Ok(6.0), "what is in flight includes what queues");
    assert_eq!((last("token_in_count"), last("token_out_count")), (Ok(50.0), Ok(1.0)));
    assert_eq!(last("request_success_total"), Ok(1.0), "errors are no success");
    assert_eq!(last("tpot"), Ok(1.0));
}

#[test]
fn trap_13_bucket_sets_may_differ_between_replicas_and_after_a_restart() {
    let page = |bounds: &[(&str, u32)], sum: u32| {
        let line = |(le, count): &(&str, u32)| format!("vllm:request_prompt_tokens_bucket{{le=\"{le}\"}} {count}\n");
        let count = bounds.last().map_or(0, |(_, count)| *count);
        "# TYPE vllm:request_prompt_tokens histogram\n".to_owned()
            + &bounds.iter().map(line).collect::<Vec<_>>().concat()
            + &format!("vllm:request_prompt_tokens_sum {sum}\nvllm:request_prompt_tokens_count {count}\n")
    };
    let short = page(&[("1.0", 0), ("10.0", 10), ("+Inf", 10)], 50);
    let long = page(&[("1.0", 0), ("10.0", 10), ("100.0", 20), ("+Inf", 20)], 550);
    let p90 = with("vllm:request_prompt_tokens", Statistic::Percentile(90));
    assert_eq!(at_last(&[(0.0, &short), (10.0, &long)], &p90), Ok(10.0), "over the bounds that both have");
    assert_eq!(at_last(&[(0.0, &short), (10.0, &long)], &by_name("vllm:request_prompt_tokens")), Ok(50.0));
    let labelled = |page: &str, engine: &str| {
        page.replace("le=", &format!("engine=\"{engine}\",le="))
            .replace("_sum ", &format!("_sum{{engine=\"{engine}\"}} "))
            .replace("_count ", &format!("_count{{engine=\"{engine}\"}} "))
    };
    let zero_short = page(&[("1.0", 0), ("10.0", 0), ("+Inf", 0)], 0);
    let zero_long = page(&[("1.0", 0), ("10.0", 0), ("100.0", 0), ("+Inf", 0)], 0);
    let both = |a: &str, b: &str| labelled(a, "0") + &labelled(b, "1");
    let mean = at_last(
        &[(0.0, &both(&zero_short, &zero_long)), (10.0, &both(&short, &long))],
        &by_name("vllm:request_prompt_tokens"),
    );
    assert_eq!(mean, Ok(20.0), "engines with different bounds together");
}

#[test]
fn trap_14_test_doubles_count_down_double_by_adapter_and_print_percent_and_infos_of_one() {
    let doubled =
        "vllm:num_requests_running{model_name=\"base\"} 3\nvllm:num_requests_running{model_name=\"adapter\"} 3\n";
    assert_eq!(at_last(&[(0.0, doubled)], &labelled("num_requests_running", &[("model_name", "base")])), Ok(3.0));
    let info = "vllm:lora_requests_info{running_lora_adapters=\"a\"} 1\nvllm:lora_requests_info{running_lora_adapters=\"b\"} 1\n";
    assert_eq!(value(info, "vllm:lora_requests_info"), Ok(1.0));
    let usage = |value: f64| format!("vllm:gpu_cache_usage_perc{{model_name=\"m\"}} {value}\n");
    let pages = [usage(45.0), usage(1.25), usage(0.5), usage(100.0)];
    let scrapes: Vec<(f64, &str)> = pages.iter().enumerate().map(|(at, page)| (at as f64, page.as_str())).collect();
    let answers = over_time(&scrapes, &by_name("kv_cache_usage_perc"));
    assert_eq!(answers, [Ok(0.45), Ok(0.0125), Ok(0.005), Ok(1.0)], "once in percent, always in percent");
}

#[test]
fn trap_14_percent_is_judged_by_each_series_since_a_mean_hides_it() {
    let page = "vllm:kv_cache_usage_perc{engine=\"0\"} 0\nvllm:kv_cache_usage_perc{engine=\"1\"} 2.5\n";
    assert_eq!(value(page, "kv_cache_usage_perc"), Ok(0.0125));
}

#[test]
fn the_utilisation_of_gpus_is_always_in_percent_at_dcgm_and_never_guessed() {
    let page = |first: u32, second: u32| {
        format!(
            "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\nDCGM_FI_DEV_GPU_UTIL{{gpu=\"0\"}} {first}\nDCGM_FI_DEV_GPU_UTIL{{gpu=\"1\"}} {second}\n"
        )
    };
    assert_eq!(value(&page(1, 1), "engine_gpu_utilization"), Ok(0.01));
    assert_eq!(value(&page(100, 50), "engine_gpu_utilization"), Ok(0.75));
    assert_eq!(value(&page(80, 60), "DCGM_FI_DEV_GPU_UTIL"), Ok(70.0), "by its own name it is as printed, averaged");
    assert_eq!(value("nvidia_smi_utilization_gpu_ratio 0.5\n", "engine_gpu_utilization"), Ok(0.5));
}

#[test]
fn sglang_of_a_total_and_its_priorities_only_the_total_counts() {
    let page = "# TYPE sglang:num_queue_reqs gauge\nsglang:num_queue_reqs{model_name=\"m\",priority=\"\"} 3\n\
                sglang:num_queue_reqs{model_name=\"m\",priority=\"1\"} 2\nsglang:num_queue_reqs{model_name=\"m\",priority=\"5\"} 1\n";
    assert_eq!(value(page, "num_requests_waiting"), Ok(3.0));
    assert_eq!(at_last(&[(0.0, page)], &labelled("num_requests_waiting", &[("priority", "1")])), Ok(2.0));
    let parts = "sglang:num_queue_reqs{priority=\"1\"} 2\nsglang:num_queue_reqs{priority=\"5\"} 1\n";
    assert_eq!(value(parts, "num_requests_waiting"), Ok(3.0), "parts add up where there is no total");
}

#[test]
fn sglang_of_ranks_that_share_requests_one_counts_and_data_parallel_ones_add_up() {
    let page = "sglang:num_running_reqs{dp_rank=\"0\",tp_rank=\"0\"} 5\nsglang:num_running_reqs{dp_rank=\"0\",tp_rank=\"1\"} 6\n\
                sglang:num_running_reqs{dp_rank=\"1\",tp_rank=\"0\"} 2\nsglang:num_running_reqs{dp_rank=\"1\",tp_rank=\"1\"} 2\n\
                sglang:token_usage{dp_rank=\"0\",tp_rank=\"0\"} 0.4\nsglang:token_usage{dp_rank=\"0\",tp_rank=\"1\"} 0.2\n\
                sglang:token_usage{dp_rank=\"1\",tp_rank=\"0\"} 0.8\n";
    assert_eq!(value(page, "num_requests_running"), Ok(8.0));
    assert!((value(page, "kv_cache_usage_perc").unwrap() - 0.6).abs() < 1e-9);
    let tokens = |first: u32, second: u32| {
        format!(
            "# TYPE sglang:prompt_tokens_total counter\nsglang:prompt_tokens_total{{tp_rank=\"0\"}} {first}\nsglang:prompt_tokens_total{{tp_rank=\"1\"}} {second}\n"
        )
    };
    assert_eq!(at_last(&[(0.0, &tokens(0, 50)), (10.0, &tokens(100, 150))], &by_name("token_in_count")), Ok(10.0));
    let other = "vllm:num_requests_running{tp_rank=\"0\"} 5\nvllm:num_requests_running{tp_rank=\"1\"} 6\n";
    assert_eq!(value(other, "num_requests_running"), Ok(11.0), "these labels mean nothing at other engines");
}

#[test]
fn a_broken_line_makes_its_family_absent_and_no_other() {
    let page = "vllm:num_requests_running{engine=\"0\"} 3\nvllm:num_requests_running{engine=\"1\"} 4x\n\
                vllm:num_requests_waiting{engine=\"0\"} 2\n";
    assert!(matches!(value(page, "num_requests_running"), Err(Absent::Unreadable { .. })));
    assert!(matches!(value(page, "request_count"), Err(Absent::Unreadable { .. })));
    assert_eq!(value(page, "num_requests_waiting"), Ok(2.0));
    let reason = value(page, "num_requests_running").unwrap_err().to_string();
    assert_eq!(reason, "vllm:num_requests_running cannot be read whole: line 2: the value is not a number");
    let old_name = "vllm:kv_cache_usage_perc 0.x\nvllm:gpu_cache_usage_perc 0.5\n";
    assert!(value(old_name, "kv_cache_usage_perc").is_err(), "an older name does not stand in for a broken line");
}

#[test]
fn a_series_that_is_printed_twice_counts_once_and_the_last_one_does() {
    assert_eq!(value("x{a=\"1\",b=\"2\"} 3\nx{b=\"2\",a=\"1\"} 4\n", "x"), Ok(4.0));
}

#[test]
fn a_byte_order_mark_does_not_cost_the_first_series() {
    let page = "\u{feff}vllm:num_requests_running{engine=\"0\"} 3\nvllm:num_requests_running{engine=\"1\"} 4\n";
    assert_eq!(value(page, "num_requests_running"), Ok(7.0));
}

#[test]
fn intervals_between_tokens_and_times_per_output_token_are_told_apart() {
    let page = |itl: u32, tpot: u32| {
        histogram("vllm:inter_token_latency_seconds", "", 0, itl, f64::from(itl) * 0.01)
            + &histogram("vllm:request_time_per_output_token_seconds", "", 0, tpot, f64::from(tpot) * 5.0)
    };
    let (before, after) = (page(0, 0), page(100, 1));
    let answer = |name: &str| at_last(&[(0.0, &before), (10.0, &after)], &by_name(name));
    assert_eq!(answer("inter_token_latency_seconds"), Ok(0.01));
    assert_eq!((answer("time_per_output_token_seconds"), answer("tpot")), (Ok(5.0), Ok(5.0)));
    let only = |count: u32| histogram("vllm:time_per_output_token_seconds", "", 0, count, f64::from(count) * 2.0);
    let (before, after) = (only(0), only(3));
    for name in ["inter_token_latency_seconds", "tpot"] {
        assert_eq!(at_last(&[(0.0, &before), (10.0, &after)], &by_name(name)), Ok(2.0), "{name} of an older page");
    }
}

#[test]
fn an_engine_that_is_awake_is_one_and_one_that_sleeps_is_zero() {
    let page = |awake: u32, offloaded: u32| {
        format!(
            "# TYPE vllm:engine_sleep_state gauge\nvllm:engine_sleep_state{{engine=\"0\",sleep_state=\"awake\"}} {awake}\n\
             vllm:engine_sleep_state{{engine=\"0\",sleep_state=\"weights_offloaded\"}} {offloaded}\n\
             vllm:engine_sleep_state{{engine=\"0\",sleep_state=\"discard_all\"}} 0\n"
        )
    };
    assert_eq!(value(&page(1, 0), "engine_sleep_state"), Ok(1.0));
    assert_eq!(value(&page(0, 1), "engine_sleep_state"), Ok(0.0));
}

#[test]
fn tritons_sums_of_microseconds_become_means_in_seconds() {
    let page = |count: u32| {
        let series =
            |name: &str, value: u32| format!("# TYPE {name} counter\n{name}{{model=\"m\",version=\"1\"}} {value}\n");
        series("nv_inference_request_duration_us", count * 2_000_000)
            + &series("nv_inference_queue_duration_us", count * 500_000)
            + &series("nv_inference_request_success", count)
            + "nv_trt_llm_request_metrics{request_type=\"waiting\"} 0\n"
    };
    let (before, after) = (page(5), page(25));
    let last = |query: &MetricQuery| at_last(&[(0.0, &before), (10.0, &after)], query);
    assert_eq!(last(&by_name("e2e_latency")), Ok(2.0));
    assert_eq!(last(&by_name("engine_latency_ms")), Ok(2000.0));
    assert_eq!(last(&by_name("queue_time")), Ok(0.5));
    assert_eq!(last(&with("e2e_latency", Statistic::Rate)), Ok(2.0));
    assert_eq!(last(&by_name("request_success_total")), Ok(2.0));
    assert!(matches!(last(&with("e2e_latency", Statistic::Percentile(95))), Err(Absent::Unsupported { .. })));
    let idle = at_last(&[(0.0, &before), (10.0, &before)], &by_name("e2e_latency"));
    assert!(matches!(idle, Err(Absent::NoNewObservations { .. })));
}

#[test]
fn every_engines_token_counters_become_rates_by_their_usual_names() {
    let tgi = |tokens: u32| {
        histogram("tgi_request_input_length", "", 0, 3, f64::from(tokens))
            + &histogram("tgi_request_generated_tokens", "", 0, 3, f64::from(tokens))
    };
    let mocker = |tokens: u32| {
        format!(
            "# TYPE trtllm:prompt_tokens counter\ntrtllm:prompt_tokens_total {tokens}\n\
             # TYPE trtllm:generation_tokens counter\ntrtllm:generation_tokens_total {tokens}\n"
        )
    };
    for (before, after) in [(tgi(1000), tgi(1100)), (mocker(1000), mocker(1100))] {
        for name in ["prompt_tokens_total", "token_in_count", "generation_tokens_total", "token_out_count"] {
            assert_eq!(at_last(&[(0.0, &before), (10.0, &after)], &by_name(name)), Ok(10.0), "{name} of {before}");
        }
    }
    let retracted = |count: u32| {
        format!("# TYPE sglang:num_retracted_requests_total counter\nsglang:num_retracted_requests_total {count}\n")
    };
    let scrapes = [(0.0, retracted(3)), (10.0, retracted(23))];
    let scrapes = scrapes.each_ref().map(|(at, page)| (*at, page.as_str()));
    assert_eq!(at_last(&scrapes, &by_name("num_preemptions_total")), Ok(2.0));
}
