//! What a user of the model relies on, by example.

use engine_model::{Completion, Engine, EngineSpec, Event, EventKind, Rejected, Request, Time};

fn request(id: u64, input_tokens: u32, output_tokens: u32) -> Request {
    Request { id, input_tokens, output_tokens, prefix_hit_tokens: 0 }
}

fn run_to_end(engine: &mut Engine) -> Vec<(u64, Completion)> {
    let mut done = Vec::new();
    engine.advance(Time::from_secs_f64(100_000.0), &mut |event: Event| {
        if let EventKind::Finished(completion) = event.kind {
            done.push((event.id, completion));
        }
    });
    done
}

#[test]
fn every_builtin_is_valid_and_serves_a_request() {
    for name in EngineSpec::builtin_names() {
        let mut engine = Engine::new(&EngineSpec::builtin(name).unwrap()).unwrap();
        engine.submit(Time::ZERO, request(1, 1000, 100)).unwrap();
        assert_eq!(run_to_end(&mut engine).len(), 1, "{name}");
    }
}

#[test]
fn an_idle_l4_answers_a_short_prompt_in_the_time_of_one_iteration() {
    let mut engine = Engine::new(&EngineSpec::builtin("l4-8b").unwrap()).unwrap();
    engine.submit(Time::ZERO, request(1, 128, 11)).unwrap();
    let (_, done) = run_to_end(&mut engine)[0];
    // sqrt(69² + (0.177·128)²) + 1.5 ms and attention for half of 128² token pairs
    assert!((0.073..0.076).contains(&done.ttft().as_secs_f64()), "{:?}", done.ttft());
    assert!((0.0704..0.0708).contains(&done.tpot().as_secs_f64()), "{:?}", done.tpot());
}

#[test]
fn a_long_prompt_is_chunked_and_decodes_go_on_between_the_chunks() {
    let mut engine = Engine::new(&EngineSpec::builtin("a100-8b").unwrap()).unwrap();
    engine.submit(Time::ZERO, request(1, 16, 200)).unwrap();
    let mut sink = |_: Event| {};
    engine.advance(Time::from_secs_f64(0.5), &mut sink);
    let before = engine.counters();
    engine.submit(Time::from_secs_f64(0.5), request(2, 20_000, 1)).unwrap();
    let mut first = None;
    engine.advance(Time::from_secs_f64(100.0), &mut |event: Event| {
        if event.id == 2 && event.kind == EventKind::FirstToken {
            first = Some(event.at);
        }
    });
    let chunks = (20_000_f64 / 2047.0).ceil();
    let wait = first.unwrap().since(Time::from_secs_f64(0.5)).as_secs_f64();
    assert!(wait > chunks * 0.145, "each chunk of 2047 tokens takes 0.145 s of compute, waited {wait}");
    assert!(engine.counters().generation_tokens > before.generation_tokens);
}

#[test]
fn requests_beyond_max_num_seqs_wait_and_enter_in_order() {
    let spec = EngineSpec { max_num_seqs: 2, ..EngineSpec::builtin("a100-8b").unwrap() };
    let mut engine = Engine::new(&spec).unwrap();
    for id in 0..5 {
        engine.submit(Time::ZERO, request(id, 100, 50)).unwrap();
    }
    let mut order = Vec::new();
    engine.advance(Time::from_nanos(1), &mut |_: Event| {});
    let gauges = engine.gauges();
    assert_eq!((gauges.running, gauges.waiting), (2, 3));
    engine.advance(Time::from_secs_f64(100.0), &mut |event: Event| {
        if event.kind == EventKind::Admitted {
            order.push(event.id);
        }
    });
    assert_eq!(order, [2, 3, 4]);
}

#[test]
fn requests_that_arrive_together_share_an_iteration() {
    let mut engine = Engine::new(&EngineSpec::builtin("h100-8b").unwrap()).unwrap();
    engine.submit(Time::from_nanos(500), request(1, 100, 1)).unwrap();
    engine.submit(Time::from_nanos(500), request(2, 100, 1)).unwrap();
    assert_eq!(engine.next_event(), Some(Time::from_nanos(500)));
    let done = run_to_end(&mut engine);
    assert_eq!(done[0].1.finished, done[1].1.finished);
    assert_eq!(engine.counters().iterations, 1);
}

#[test]
fn a_prefix_hit_shortens_the_prefill_but_never_skips_the_last_token() {
    let ttft = |hit| {
        let mut engine = Engine::new(&EngineSpec::builtin("a100-8b").unwrap()).unwrap();
        engine.submit(Time::ZERO, Request { prefix_hit_tokens: hit, ..request(1, 1600, 1) }).unwrap();
        let (_, done) = run_to_end(&mut engine)[0];
        (done.ttft(), done.prefix_hit_tokens, engine.counters().prefix_hits)
    };
    assert!(ttft(1000).0 < ttft(0).0);
    assert_eq!(ttft(1000).1, 992, "whole blocks of 16");
    assert_eq!(ttft(9999).2, 1584, "the last block is computed");
}

#[test]
fn a_full_cache_preempts_the_latest_arrival_which_starts_over_and_still_finishes() {
    let spec = EngineSpec { kv_capacity_tokens: 480, max_model_len: 480, ..EngineSpec::builtin("l4-8b").unwrap() };
    let mut engine = Engine::new(&spec).unwrap();
    engine.submit(Time::ZERO, request(1, 100, 300)).unwrap();
    engine.submit(Time::ZERO, request(2, 100, 300)).unwrap();
    let done = run_to_end(&mut engine);
    assert_eq!(done.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(done[0].1.preemptions, 0);
    assert!(done[1].1.preemptions > 0);
    assert_eq!(engine.counters().generation_tokens, 600, "no token is emitted twice");
}

#[test]
fn what_can_never_run_is_refused_with_the_reason() {
    let spec = EngineSpec {
        kv_capacity_tokens: 1600,
        max_model_len: 2000,
        max_waiting: 1,
        ..EngineSpec::builtin("l4-8b").unwrap()
    };
    let mut engine = Engine::new(&spec).unwrap();
    let refused = |tokens| Rejected::ContextTooLong { tokens, limit: 2000 };
    assert_eq!(engine.submit(Time::ZERO, request(1, 1900, 101)), Err(refused(2001)));
    assert_eq!(engine.submit(Time::ZERO, request(1, u32::MAX, u32::MAX)), Err(refused(2 * u64::from(u32::MAX))));
    let small = Rejected::KvTooSmall { tokens: 1700, limit: 99 * 16 };
    assert_eq!(engine.submit(Time::ZERO, request(1, 1600, 100)), Err(small));
    assert!(engine.submit(Time::ZERO, request(1, 100, 100)).is_ok());
    assert_eq!(engine.submit(Time::ZERO, request(2, 100, 100)), Err(Rejected::QueueFull { limit: 1 }));
    assert_eq!(run_to_end(&mut engine).len(), 1);
}

#[test]
fn a_cancelled_request_frees_its_place_and_its_ticket_is_worthless() {
    let spec = EngineSpec { max_num_seqs: 1, ..EngineSpec::builtin("a100-8b").unwrap() };
    let mut engine = Engine::new(&spec).unwrap();
    let first = engine.submit(Time::ZERO, request(1, 100, 1000)).unwrap();
    engine.submit(Time::ZERO, request(2, 100, 10)).unwrap();
    engine.advance(Time::from_secs_f64(1.0), &mut |_: Event| {});
    assert!(engine.cancel(first));
    assert!(!engine.cancel(first));
    let done = run_to_end(&mut engine);
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].0, 2);
    assert!(done[0].1.e2e().as_secs_f64() < 2.0);
    let third = engine.submit(engine.now(), request(3, 1, 1)).unwrap();
    assert!(!engine.cancel(first), "its slot may have been given to another");
    assert!(engine.cancel(third));
}

#[test]
fn a_spec_is_read_from_a_file_with_defaults_and_names_the_field_that_is_wrong() {
    let text = r#"{"name":"mine","overheadMs":1,"weightsMs":10,"computeMsPerToken":0.05,"kvNsPerToken":80,
                   "kvCapacityTokens":100000}"#;
    let spec: EngineSpec = serde_json::from_str(text).unwrap();
    assert_eq!((spec.max_num_seqs, spec.max_num_batched_tokens, spec.block_size), (256, 2048, 16));
    Engine::new(&spec).unwrap();
    let wrong = EngineSpec { max_num_batched_tokens: 100, ..spec.clone() };
    let error = Engine::new(&wrong).unwrap_err().to_string();
    assert_eq!(error, "maxNumBatchedTokens: is 100; 256 to 131072 is allowed");
    assert!(Engine::new(&EngineSpec { weights_ms: 0.0, overhead_ms: 0.0, ..spec.clone() }).is_err());
    assert!(Engine::new(&EngineSpec { kv_ns_per_token: f64::NAN, ..spec }).is_err());
    assert!(serde_json::from_str::<EngineSpec>(&text.replace("name", "nmae")).is_err());
}

#[test]
fn a_replica_shares_nothing_but_the_spec() {
    let mut engine = Engine::new(&EngineSpec::builtin("a100-8b").unwrap()).unwrap();
    engine.submit(Time::ZERO, request(1, 100, 10)).unwrap();
    engine.advance(Time::from_secs_f64(0.05), &mut |_: Event| {});
    let replica = engine.replica();
    assert!(replica.is_idle() && !engine.is_idle());
    assert_eq!(replica.counters(), engine_model::Counters::default());
}
