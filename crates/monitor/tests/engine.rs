//! Batches from engines' pages: arrivals, sizes, and what engines do to counters.

#![allow(clippy::unwrap_used, clippy::panic, clippy::type_complexity, reason = "helpers and tables of tests")]

mod common;

use common::{BIMODAL, Stream, cost, demand};
use promtext::{Bucket, Histogram};
use proptest::prelude::*;
use request_monitor::engine::{PageError, Reading, Replicas, lengths};
use request_monitor::{Batch, Monitor, Settings, Size};
use std::fmt::Write;

const BOUNDS: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0];

/// A vLLM engine's counts, and its page.
#[derive(Default, Clone)]
struct Engine {
    started: Option<f64>,
    done: Vec<Size>,
    running: u32,
    waiting: u32,
}

impl Engine {
    fn page(&self) -> String {
        let mut page = String::new();
        let mut line = |text: String| writeln!(page, "{text}").unwrap();
        let labels = "engine=\"0\",model_name=\"m\"";
        if let Some(started) = self.started {
            line(format!("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {started}"));
        }
        line(format!("# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{{{labels}}} {}", self.running));
        line(format!("# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{{{labels}}} {}", self.waiting));
        line("# TYPE vllm:request_success_total counter".to_owned());
        for reason in ["stop", "length", "abort"] {
            let count = if reason == "length" { self.done.len() } else { 0 };
            line(format!("vllm:request_success_total{{finished_reason=\"{reason}\",{labels}}} {count}"));
        }
        let of: [(&str, fn(&Size) -> f64); 2] =
            [("request_prompt_tokens", |size| size.input), ("request_generation_tokens", |size| size.output)];
        for (name, of) in of {
            line(format!("# TYPE vllm:{name} histogram"));
            for bound in BOUNDS.into_iter().chain([f64::INFINITY]) {
                let count = self.done.iter().filter(|size| of(size) <= bound).count();
                let le = if bound.is_finite() { format!("{bound:?}") } else { "+Inf".to_owned() };
                line(format!("vllm:{name}_bucket{{le=\"{le}\",{labels}}} {count}"));
            }
            line(format!("vllm:{name}_count{{{labels}}} {}", self.done.len()));
            line(format!("vllm:{name}_sum{{{labels}}} {}", self.done.iter().map(of).sum::<f64>()));
        }
        page
    }

    fn finish(&mut self, count: u32) {
        for _ in 0..count {
            self.done.push(Size { input: 300.0, output: 40.0 });
        }
    }
}

fn see(replicas: &mut Replicas, name: &str, engine: &Engine, at: f64) {
    replicas.page(name, None, engine.page().as_bytes(), at).unwrap();
}

fn told(replicas: &mut Replicas, to: f64) -> Batch {
    replicas.batch(to).unwrap_or_else(|| panic!("a batch until {to}"))
}

/// One replica that has been told of until 0.
fn started() -> (Replicas, Engine) {
    let (mut replicas, mut engine) = (Replicas::default(), Engine::default());
    engine.finish(100);
    see(&mut replicas, "a", &engine, 0.0);
    assert_eq!(replicas.batch(0.0), None);
    (replicas, engine)
}

#[test]
fn arrivals_are_completions_and_what_is_unfinished_more_than_before() {
    let (mut replicas, mut engine) = started();
    (engine.running, engine.waiting) = (8, 12);
    engine.finish(3);
    see(&mut replicas, "a", &engine, 10.0);
    let batch = told(&mut replicas, 10.0);
    assert_eq!((batch.from, batch.to, batch.arrivals), (0.0, 10.0, Some(23.0)));
    assert_eq!((batch.pending, batch.queued), (Some(20.0), Some(12.0)));
    assert!((batch.completions() - 3.0).abs() < 1e-9);
    (engine.running, engine.waiting) = (0, 0);
    engine.finish(20);
    see(&mut replicas, "a", &engine, 20.0);
    let batch = told(&mut replicas, 20.0);
    assert_eq!(batch.arrivals, Some(0.0));
    assert!((batch.completions() - 20.0).abs() < 1e-9);
}

#[test]
fn a_restarted_engine_gives_neither_negative_nor_huge_arrivals() {
    let (mut replicas, mut engine) = started();
    engine.finish(50);
    engine.running = 10;
    see(&mut replicas, "a", &engine, 10.0);
    assert_eq!(told(&mut replicas, 10.0).arrivals, Some(60.0));
    // Without a word on when it began, the traffic is taken to have gone on.
    let mut again = Engine { running: 2, ..Engine::default() };
    again.finish(7);
    see(&mut replicas, "a", &again, 20.0);
    let batch = told(&mut replicas, 20.0);
    assert_eq!((batch.arrivals, batch.completions()), (Some(60.0), 0.0));
    // From then on it counts as any other.
    again.finish(5);
    see(&mut replicas, "a", &again, 30.0);
    assert_eq!(told(&mut replicas, 30.0).arrivals, Some(5.0));
}

#[test]
fn a_restart_that_is_told_counts_what_came_since() {
    let mut replicas = Replicas::default();
    let mut engine = Engine { started: Some(500.0), running: 4, ..Engine::default() };
    engine.finish(30);
    see(&mut replicas, "a", &engine, 1000.0);
    replicas.batch(1000.0);
    // More than before: only the time of its start tells.
    let mut again = Engine { started: Some(1004.0), running: 3, ..Engine::default() };
    again.finish(31);
    see(&mut replicas, "a", &again, 1010.0);
    let batch = told(&mut replicas, 1010.0);
    assert_eq!(batch.arrivals, Some(34.0));
    assert!((batch.completions() - 31.0).abs() < 1e-9);
}

#[test]
fn counters_that_waver_are_no_load() {
    let (mut replicas, mut engine) = started();
    engine.finish(1_000);
    see(&mut replicas, "a", &engine, 1.0);
    told(&mut replicas, 1.0);
    see(&mut replicas, "a", &engine, 2.0);
    assert_eq!(told(&mut replicas, 2.0).arrivals, Some(0.0));
    engine.done.truncate(1_090);
    see(&mut replicas, "a", &engine, 3.0);
    assert_eq!(told(&mut replicas, 3.0).arrivals, Some(0.0));
}

#[test]
fn new_replicas_bring_only_what_is_new_and_those_that_go_take_only_their_own() {
    let (mut replicas, mut engine) = started();
    engine.finish(10);
    see(&mut replicas, "a", &engine, 10.0);
    // One that has long run and is seen for the first time: what it counted is not of this span.
    let mut old = Engine { running: 5, ..Engine::default() };
    old.finish(500);
    see(&mut replicas, "old", &old, 10.0);
    // One that has finished nothing yet has just begun.
    see(&mut replicas, "new", &Engine { running: 6, ..Engine::default() }, 10.0);
    let batch = told(&mut replicas, 10.0);
    assert_eq!((batch.arrivals, batch.pending), (Some(16.0), Some(11.0)));
    replicas.keep(|name| name == "a");
    engine.finish(10);
    see(&mut replicas, "a", &engine, 20.0);
    let batch = told(&mut replicas, 20.0);
    assert_eq!((batch.arrivals, batch.pending), (Some(10.0), Some(0.0)));
}

#[test]
fn a_scrape_that_fails_is_bridged_and_nothing_is_counted_twice() {
    let (mut replicas, mut a) = started();
    let mut b = Engine::default();
    b.finish(100);
    see(&mut replicas, "b", &b, 0.5);
    let mut arrivals = 0.0;
    for (at, b_answers) in [(10.0, true), (20.0, false), (30.0, false), (40.0, true), (50.0, true)] {
        a.finish(20);
        b.finish(20);
        see(&mut replicas, "a", &a, at);
        if b_answers {
            see(&mut replicas, "b", &b, at);
        }
        let batch = told(&mut replicas, at);
        let told = batch.arrivals.unwrap();
        assert!((37.0..=43.0).contains(&told), "{told} until {at}");
        arrivals += told;
    }
    assert!((arrivals - 200.0).abs() < 1e-6, "{arrivals}");
}

#[test]
fn when_no_page_comes_the_next_batch_covers_the_time() {
    let (mut replicas, mut engine) = started();
    for at in [10.0, 20.0, 30.0] {
        assert_eq!(replicas.batch(at), None);
    }
    engine.finish(40);
    see(&mut replicas, "a", &engine, 40.0);
    let batch = told(&mut replicas, 40.0);
    assert_eq!((batch.from, batch.arrivals), (0.0, Some(40.0)));
    // After minutes it is another beginning, not one batch of all that was counted.
    assert_eq!(replicas.batch(400.0), None);
    engine.finish(10_000);
    see(&mut replicas, "a", &engine, 400.0);
    assert_eq!(told(&mut replicas, 400.0).arrivals, Some(0.0));
}

#[test]
fn pages_that_are_not_newer_or_no_pages_are_refused() {
    let (mut replicas, engine) = started();
    let page = engine.page();
    assert_eq!(replicas.page("a", None, page.as_bytes(), 0.0), Err(PageError::NotNewer));
    assert_eq!(replicas.page("a", None, page.as_bytes(), f64::NAN), Err(PageError::NotNewer));
    let error = replicas.page("a", None, b"<html>502</html>", 1.0).unwrap_err();
    assert!(error.to_string().contains("no metrics page"), "{error}");
    let llama = b"llamacpp:requests_processing 1\nllamacpp:prompt_tokens_total 5\n";
    let error = replicas.page("a", None, llama, 1.0).unwrap_err();
    assert_eq!(error.to_string(), "the page of llama.cpp counts no requests");
}

#[test]
fn the_names_of_other_engines_and_of_old_versions_are_read() {
    let none = std::collections::BTreeMap::new();
    let read = |page: &str| Reading::of(page.as_bytes(), None, &none).unwrap();
    let v0 = "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"m\"} 0.0\n\
        # TYPE vllm:request_prompt_tokens histogram\n# TYPE vllm:request_generation_tokens histogram\n\
        # TYPE vllm:request_success_total counter\n";
    let fresh = read(v0);
    assert_eq!((fresh.completed, fresh.running), (Some(0.0), Some(0.0)));
    let sglang = read(
        "sglang:num_running_reqs{model_name=\"m\",tp_rank=\"0\"} 4\nsglang:num_running_reqs{model_name=\"m\",tp_rank=\"1\"} 4\n\
         sglang:num_queue_reqs{model_name=\"m\",tp_rank=\"0\"} 2\nsglang:num_requests_total{model_name=\"m\"} 9\n\
         # TYPE sglang:prompt_tokens_histogram histogram\nsglang:prompt_tokens_histogram_bucket{le=\"100\"} 9\n\
         sglang:prompt_tokens_histogram_bucket{le=\"+Inf\"} 9\nsglang:prompt_tokens_histogram_sum 450\n\
         sglang:prompt_tokens_histogram_count 9\n",
    );
    assert_eq!((sglang.completed, sglang.unfinished()), (Some(9.0), Some(6.0)));
    assert_eq!(sglang.inputs.and_then(|inputs| inputs.mean()), Some(50.0));
    let tgi = read(
        "# TYPE tgi_request_count counter\ntgi_request_count 12\n# TYPE tgi_request_success counter\n\
         tgi_request_success{method=\"batch\"} 7\n# TYPE tgi_queue_size gauge\ntgi_queue_size 3\n\
         # TYPE tgi_batch_current_size gauge\ntgi_batch_current_size 2\n",
    );
    assert_eq!((tgi.arrived, tgi.completed, tgi.unfinished()), (Some(12.0), Some(7.0), Some(5.0)));
    let trt = read(
        "trtllm_request_success_total{finished_reason=\"stop\"} 5\ntrtllm_prompt_tokens_total 500\n\
         trtllm_generation_tokens_total 50\ntrtllm_num_requests_running 1\ntrtllm_num_requests_waiting 0\n",
    );
    assert_eq!((trt.completed, trt.input_tokens, trt.output_tokens), (Some(5.0), Some(500.0), Some(50.0)));
}

#[test]
fn of_several_models_on_a_page_one_is_read() {
    let page = "vllm:request_success_total{model_name=\"m\"} 3\nvllm:request_success_total{model_name=\"n\"} 4\n";
    let labels = [("model_name".to_owned(), "m".to_owned())].into();
    assert_eq!(Reading::of(page.as_bytes(), None, &labels).unwrap().completed, Some(3.0));
    let other = [("model_name".to_owned(), "x".to_owned())].into();
    assert!(Reading::of(page.as_bytes(), None, &other).is_err(), "no such model is not zero load");
}

#[test]
fn an_engine_without_histograms_gives_mean_sizes() {
    let mut replicas = Replicas::default();
    let mut reading = Reading {
        completed: Some(10.0),
        running: Some(0.0),
        input_tokens: Some(1000.0),
        output_tokens: Some(300.0),
        ..Reading::default()
    };
    replicas.reading("a", reading.clone(), 0.0).unwrap();
    replicas.batch(0.0);
    (reading.completed, reading.input_tokens, reading.output_tokens) = (Some(20.0), Some(3000.0), Some(700.0));
    replicas.reading("a", reading, 10.0).unwrap();
    assert_eq!(told(&mut replicas, 10.0).sizes, [(Size { input: 200.0, output: 40.0 }, 10.0)]);
}

#[test]
fn lengths_of_a_histogram_add_up_to_its_sum_and_lie_in_its_buckets() {
    let buckets = |counts: &[(f64, f64)]| {
        counts.iter().map(|&(upper, cumulative)| Bucket { upper, cumulative }).collect::<Vec<_>>()
    };
    // Counts by bound, sum, and the lengths that are read.
    let table: [(&[(f64, f64)], Option<f64>, &[(f64, f64)]); 7] = [
        (&[(100.0, 4.0), (200.0, 10.0), (f64::INFINITY, 10.0)], Some(1100.0), &[(49.698, 4.0), (150.201, 6.0)]),
        (&[(100.0, 1.0), (f64::INFINITY, 2.0)], Some(5050.0), &[(50.0, 1.0), (5000.0, 1.0)]),
        // The unbounded bucket cannot hold less than its bound; then the others hold less.
        (&[(100.0, 1.0), (f64::INFINITY, 2.0)], Some(111.0), &[(10.0, 1.0), (101.0, 1.0)]),
        (&[(1.0, 3.0), (f64::INFINITY, 3.0)], Some(3.0), &[(1.0, 3.0)]),
        (&[(100.0, 2.0), (f64::INFINITY, 2.0)], None, &[(50.0, 2.0)]),
        // Buckets and sum contradict each other: the sum counts.
        (&[(100.0, 2.0), (f64::INFINITY, 2.0)], Some(800.0), &[(400.0, 2.0)]),
        (&[], Some(70.0), &[(35.0, 2.0)]),
    ];
    for (counts, sum, expected) in table {
        let count = counts.last().map_or(2.0, |last| last.1);
        let found = lengths(&Histogram::new(buckets(counts), sum, Some(count)));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found.0 - expected.0).abs() < 1e-2 && found.1 == expected.1, "{found:?} {expected:?}");
        }
        if let Some(sum) = sum {
            assert!((found.iter().map(|(length, count)| length * count).sum::<f64>() - sum).abs() < 1e-6);
        }
    }
}

/// Four replicas, each request taking 5 s, with their pages every 10 s.
#[test]
fn engines_pages_alone_tell_rate_and_tokens_and_nearly_the_demand() {
    let (mut stream, mut monitor, mut replicas) =
        (Stream::new(5), Monitor::new(Settings::default()), Replicas::default());
    let mut engines = vec![Engine::default(); 4];
    let mut running: Vec<(f64, usize, Size)> = Vec::new();
    let mut tokens = (0.0, 0.0);
    for tick in 0..60_u32 {
        let now = f64::from(tick) * 10.0;
        let arrived = stream.batch(10.0, 10.0, &BIMODAL);
        for (number, (size, _)) in arrived.sizes.iter().enumerate() {
            running.push((arrived.from + 10.0 * stream.uniform() + 5.0, number % 4, *size));
            tokens = (tokens.0 + size.input, tokens.1 + size.output);
        }
        let done: Vec<_> = running.extract_if(.., |(end, ..)| *end <= now + 10.0).collect();
        for (_, at, size) in &done {
            engines[*at].done.push(*size);
        }
        for (number, engine) in engines.iter_mut().enumerate() {
            engine.running = u32::try_from(running.iter().filter(|(_, at, _)| *at == number).count()).unwrap();
            see(&mut replicas, &number.to_string(), engine, now + 10.0);
        }
        if let Some(batch) = replicas.batch(now + 10.0) {
            monitor.add(&batch);
        }
    }
    let load = monitor.load(600.0);
    assert!((load.rate - 10.0).abs() < 0.6, "{}", load.rate);
    let sum = |of: fn(&request_monitor::SizeRate) -> f64| load.sizes.iter().map(of).sum::<f64>();
    for (read, sent) in
        [(sum(|size| size.rate * size.input), tokens.0), (sum(|size| size.rate * size.output), tokens.1)]
    {
        assert!((read / (sent / 600.0) - 1.0).abs() < 0.1, "{read} {sent}");
    }
    let truth = 10.0 * BIMODAL.iter().map(|(share, size)| share * cost(size.input, size.output)).sum::<f64>();
    let off = demand(&load) / truth - 1.0;
    assert!(off.abs() < 0.1, "{off}");
}

fn reading() -> impl Strategy<Value = Reading> {
    let value = || {
        prop_oneof![
            2 => Just(None),
            6 => (0.0..1e5_f64).prop_map(Some),
            1 => any::<f64>().prop_map(Some),
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -1.0, 1e300]).prop_map(Some),
        ]
    };
    let histogram = || {
        let buckets = prop::collection::vec((-10.0..1e6_f64, 0.0..1e5_f64), 0..80);
        prop::option::of((buckets, value(), value())).prop_map(|parts| {
            parts.map(|(buckets, sum, count)| {
                let bucket = |(upper, cumulative)| Bucket { upper, cumulative };
                let infinite = Bucket { upper: f64::INFINITY, cumulative: 2e5 };
                Histogram::new(buckets.into_iter().map(bucket).chain([infinite]).collect(), sum, count)
            })
        })
    };
    let counts = (value(), value(), value(), value(), value(), value(), value());
    (counts, histogram(), histogram()).prop_map(|(counts, inputs, outputs)| {
        let (arrived, completed, running, waiting, input_tokens, output_tokens, started) = counts;
        Reading { arrived, completed, running, waiting, inputs, outputs, input_tokens, output_tokens, started }
    })
}

proptest! {
    #[test]
    fn any_readings_give_sound_batches(readings in prop::collection::vec((0..4_usize, reading(), 0.1..20.0_f64), 1..40)) {
        let (mut replicas, mut monitor, mut now) = (Replicas::default(), Monitor::new(Settings::default()), 0.0);
        for (replica, reading, seconds) in readings {
            now += seconds;
            replicas.reading(["a", "b", "c", "d"][replica], reading, now).unwrap();
            if let Some(batch) = replicas.batch(now) {
                prop_assert!(batch.arrivals.is_some_and(|arrivals| arrivals.is_finite() && arrivals >= 0.0), "{batch:?}");
                for (size, count) in &batch.sizes {
                    prop_assert!(size.input >= 0.0 && size.input.is_finite(), "{size:?}");
                    prop_assert!(size.output >= 0.0 && size.output.is_finite(), "{size:?}");
                    prop_assert!(count.is_finite() && *count >= 0.0);
                }
                monitor.add(&batch);
            }
        }
        prop_assert!(monitor.load(now).rate.is_finite());
    }

    #[test]
    fn any_page_is_read_or_refused(page in prop::collection::vec(any::<u8>(), 0..400), lines in "(vllm:request_success_total [0-9eE.-]{0,6}\n|vllm:request_prompt_tokens_(bucket|sum|count)(\\{le=\"[0-9In+f.]{1,4}\"\\})? [0-9e.-]{1,5}\n){0,12}") {
        let _ = Reading::of(&page, None, &std::collections::BTreeMap::new());
        let _ = Reading::of(lines.as_bytes(), None, &std::collections::BTreeMap::new());
    }

    #[test]
    fn lengths_keep_the_sum_of_any_histogram(
        values in prop::collection::vec(0..5000_u32, 1..60), bounds in prop::collection::btree_set(1..6000_u32, 1..15),
    ) {
        let upper = bounds.into_iter().map(f64::from).chain([f64::INFINITY]);
        let count = |upper: f64| values.iter().filter(|value| f64::from(**value) <= upper).count() as f64;
        let buckets = upper.map(|upper| Bucket { upper, cumulative: count(upper) }).collect();
        let sum: f64 = values.iter().copied().map(f64::from).sum();
        let found = lengths(&Histogram::new(buckets, Some(sum), Some(values.len() as f64)));
        let read: f64 = found.iter().map(|(length, count)| length * count).sum();
        prop_assert!((read - sum).abs() <= 1e-6 * sum.max(1.0), "{read} is not {sum}");
        prop_assert!((found.iter().map(|(_, count)| count).sum::<f64>() - values.len() as f64).abs() < 1e-9);
    }
}
