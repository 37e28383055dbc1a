//! Laws that hold for every workload: jumps change nothing, nothing is lost, limits hold.

#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use engine_model::{Engine, EngineSpec, Event, EventKind, Gauges, Request, Sink, Ticket, Time};
use proptest::prelude::*;

/// A small engine, so that queues, full caches and preemptions are common.
fn small() -> EngineSpec {
    EngineSpec {
        max_num_seqs: 8,
        max_num_batched_tokens: 64,
        kv_capacity_tokens: 640,
        max_model_len: 600,
        max_waiting: 1000,
        ..EngineSpec::builtin("a100-8b").unwrap()
    }
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Submit(Request),
    /// Cancels the n-th ticket given out, modulo their number.
    Cancel(usize),
    Look,
}

#[derive(Debug, Clone)]
struct Script {
    steps: Vec<(Time, Action)>,
}

fn script() -> impl Strategy<Value = Script> {
    let submit = (1_u32..300, 1_u32..200, 0_u32..100).prop_map(|(input, output, prefix)| {
        Action::Submit(Request {
            id: 0,
            input_tokens: input,
            output_tokens: output,
            prefix_hit_tokens: if prefix < 50 { 0 } else { prefix },
        })
    });
    let action = prop_oneof![6 => submit, 1 => (0_usize..100).prop_map(Action::Cancel), 2 => Just(Action::Look)];
    proptest::collection::vec((0_u64..400_000_000, action), 1..60).prop_map(|steps| {
        let mut now = 0;
        let steps = steps.into_iter().enumerate().map(|(index, (gap, action))| {
            now += gap;
            let action = match action {
                Action::Submit(request) => Action::Submit(Request { id: index as u64, ..request }),
                other => other,
            };
            (Time::from_nanos(now), action)
        });
        Script { steps: steps.collect() }
    })
}

struct Jumping(Vec<Event>);
impl Sink for Jumping {
    fn event(&mut self, event: Event) {
        self.0.push(event);
    }
}

struct Stepping(Vec<Event>);
impl Sink for Stepping {
    const EACH_ITERATION: bool = true;
    fn event(&mut self, event: Event) {
        self.0.push(event);
    }
}

struct Played {
    engine: Engine,
    accepted: u64,
    /// Gauges after each action, and at the end.
    seen: Vec<Gauges>,
}

fn play<S: Sink>(script: &Script, sink: &mut S, by_events: bool) -> Played {
    let mut engine = Engine::new(&small()).unwrap();
    let mut tickets: Vec<Ticket> = Vec::new();
    let mut seen = Vec::new();
    for &(at, action) in &script.steps {
        advance(&mut engine, at, sink, by_events);
        match action {
            Action::Submit(request) => tickets.extend(engine.submit(at, request).ok()),
            Action::Cancel(which) => {
                if let Some(&ticket) = tickets.get(which % tickets.len().max(1)) {
                    engine.cancel(ticket);
                }
            }
            Action::Look => {}
        }
        seen.push(engine.gauges());
    }
    advance(&mut engine, Time::from_secs_f64(36_000.0), sink, by_events);
    seen.push(engine.gauges());
    Played { engine, accepted: tickets.len() as u64, seen }
}

fn advance<S: Sink>(engine: &mut Engine, to: Time, sink: &mut S, by_events: bool) {
    while let Some(next) = engine.next_event().filter(|next| by_events && *next <= to) {
        engine.advance(next, sink);
    }
    engine.advance(to, sink);
}

fn without_tokens(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|event| !matches!(event.kind, EventKind::Tokens(_))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_jump_over_iterations_equals_the_iterations_one_by_one(script in script()) {
        let (mut jumping, mut stepping, mut events) = (Jumping(Vec::new()), Stepping(Vec::new()), Jumping(Vec::new()));
        let jumped = play(&script, &mut jumping, false);
        let stepped = play(&script, &mut stepping, false);
        let by_events = play(&script, &mut events, true);
        prop_assert_eq!(&jumping.0, &without_tokens(stepping.0));
        prop_assert_eq!(&jumping.0, &events.0);
        prop_assert_eq!(jumped.seen, stepped.seen);
        prop_assert_eq!(jumped.engine.counters(), stepped.engine.counters());
        prop_assert_eq!(jumped.engine.counters(), by_events.engine.counters());
    }

    #[test]
    fn every_request_finishes_or_is_cancelled_and_gives_back_its_memory(script in script()) {
        let mut sink = Stepping(Vec::new());
        let played = play(&script, &mut sink, false);
        let counters = played.engine.counters();
        prop_assert!(played.engine.is_idle());
        prop_assert_eq!(counters.finished + counters.cancelled, played.accepted);
        prop_assert_eq!(played.engine.gauges().kv_blocks_used, 0);
        let firsts = sink.0.iter().filter(|e| e.kind == EventKind::FirstToken).count() as u64;
        let tokens: u64 = sink.0.iter().map(|e| if let EventKind::Tokens(n) = e.kind { u64::from(n) } else { 0 }).sum();
        prop_assert_eq!(counters.generation_tokens, firsts + tokens);
    }

    #[test]
    fn limits_hold_and_time_runs_forward(script in script()) {
        let mut sink = Jumping(Vec::new());
        let played = play(&script, &mut sink, true);
        for gauges in played.seen {
            prop_assert!(gauges.running <= 8);
            prop_assert!(gauges.kv_blocks_used <= gauges.kv_blocks);
            prop_assert!((0.0..=1.0).contains(&gauges.kv_usage));
        }
        prop_assert!(sink.0.windows(2).all(|pair| pair[0].at <= pair[1].at));
        for event in sink.0 {
            if let EventKind::Finished(done) = event.kind {
                prop_assert!(done.arrival <= done.admitted && done.admitted < done.first_token);
                prop_assert!(done.first_token <= done.finished);
            }
        }
    }
}

#[test]
fn the_scripts_reach_queues_and_preemptions() {
    // Guards the generator above: laws about preemption are empty if none happens.
    let requests = (0..30).map(|id| Request { id, input_tokens: 60, output_tokens: 150, prefix_hit_tokens: 0 });
    let steps = requests.map(|request| (Time::ZERO, Action::Submit(request))).collect();
    let mut sink = Jumping(Vec::new());
    let played = play(&Script { steps }, &mut sink, false);
    assert!(played.engine.counters().preemptions > 0);
    assert_eq!(played.engine.counters().finished, 30);
}
