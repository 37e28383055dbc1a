//! AIBrix's traces, version by version, as golden text.

#![allow(clippy::unwrap_used, clippy::type_complexity, reason = "helpers and tables of tests")]

mod common;

use common::{Stream, cost, demand};
use proptest::prelude::*;
use request_monitor::aibrix::{
    Check, Merge, Rounding, TRUNCATED, Trace, Warning, index, key, key_of_writer, parse_key, parse_key_with_writer,
    prefix, tokens,
};
use request_monitor::{Monitor, Settings, Size};

/// Text, arrivals, pending, queued, and sizes as (input, output, count) in the order of their indexes.
const VERSIONS: [(&str, Option<f64>, Option<f64>, Option<f64>, &[(f64, f64, f64)]); 4] = [
    (r#"{"8:7": 3, "10:0": 1}"#, None, None, None, &[(256.0, 128.0, 3.0), (1024.0, 1.0, 1.0)]),
    (
        r#"{"meta_v": 2, "meta_interval_sec": 10, "meta_precision": 10, "100:50": 2, "90:70": 5}"#,
        None,
        None,
        None,
        // 90 is where AIBrix counts 91 too; 100, 50 and 70 are what they say.
        &[(530.055, 128.0, 5.0), (1024.0, 32.0, 2.0)],
    ),
    (
        r#"{"80:70": 4, "81:70": 1, "meta_total_reqs": 9, "meta_pending_reqs": 4, "meta_v": 3, "meta_precision": 10,
            "meta_interval_sec": 10, "meta_queueing_reqs": 8}"#,
        Some(9.0),
        Some(4.0),
        None,
        // A writer that knows 81 does not cut off, so that 80 is 80.
        &[(256.0, 128.0, 4.0), (274.374, 128.0, 1.0)],
    ),
    (
        r#"{"meta_v": 4, "meta_interval_sec": 10, "meta_precision": 10, "meta_total_reqs": 100, "meta_pending_reqs": 12,
            "meta_queueing_reqs": 5, "meta_of_the_future": {"a": [1]}, "80:70": 70, "105:45": 30, "99:99": 0}"#,
        Some(100.0),
        Some(12.0),
        Some(5.0),
        &[(265.028, 128.0, 70.0), (1448.155, 22.627, 30.0)],
    ),
];

#[test]
fn each_version_tells_what_it_can() {
    for (number, (text, arrivals, pending, queued, sizes)) in VERSIONS.into_iter().enumerate() {
        let trace = Trace::parse(text).unwrap();
        assert_eq!(trace.version as usize, number + 1);
        let batch = trace.batch(1_700_000_010.0);
        assert_eq!((batch.from, batch.to), (1_700_000_000.0, 1_700_000_010.0));
        assert_eq!(
            (batch.arrivals, batch.pending, batch.queued),
            (arrivals, pending, queued),
            "version {}",
            number + 1
        );
        assert_eq!(batch.sizes.len(), sizes.len(), "version {}", number + 1);
        for ((size, count), (input, output, expected)) in batch.sizes.iter().zip(sizes) {
            assert!((size.input - input).abs() < 1e-3, "{} is not {input}", size.input);
            assert!((size.output - output).abs() < 1e-3, "{} is not {output}", size.output);
            assert_eq!(count, expected);
        }
    }
}

#[test]
fn another_interval_and_precision_are_taken_from_the_trace() {
    let trace = Trace::parse(r#"{"meta_v": 2, "meta_interval_sec": 30, "meta_precision": 4, "32:26": 1}"#).unwrap();
    let batch = trace.batch(60.0);
    assert_eq!((batch.from, batch.sizes[0].0.input), (30.0, 256.0));
}

#[test]
fn what_is_no_trace_is_an_error_that_names_the_key() {
    let table = [
        ("", "the trace is not a JSON object: EOF while parsing a value at line 1 column 0"),
        ("[]", "the trace is not a JSON object: invalid type: sequence, expected a map at line 1 column 0"),
        (r#"{"80-70": 1}"#, r#"key "80-70": must be input:output, two whole numbers, or begin with meta_"#),
        (r#"{"80:": 1}"#, r#"key "80:": must be input:output, two whole numbers, or begin with meta_"#),
        (r#"{"+8:7": 1}"#, r#"key "+8:7": must be input:output, two whole numbers, or begin with meta_"#),
        (r#"{"8:7:6": 1}"#, r#"key "8:7:6": must be input:output, two whole numbers, or begin with meta_"#),
        (
            r#"{"8:99999999999": 1}"#,
            r#"key "8:99999999999": must be input:output, two whole numbers, or begin with meta_"#,
        ),
        (r#"{"8:7": -1}"#, r#"key "8:7": -1 is not a whole number from 0 to 4503599627370496"#),
        (r#"{"8:7": 1.5}"#, r#"key "8:7": 1.5 is not a whole number from 0 to 4503599627370496"#),
        (r#"{"8:7": "1"}"#, r#"key "8:7": "1" is not a whole number from 0 to 4503599627370496"#),
        (r#"{"8:7": 1e300}"#, r#"key "8:7": 1e+300 is not a whole number from 0 to 4503599627370496"#),
        (r#"{"meta_v": 0}"#, r#"key "meta_v": 0 is not a whole number from 1 to 1000"#),
        (r#"{"meta_interval_sec": 0}"#, r#"key "meta_interval_sec": 0 is not a whole number from 1 to 86400"#),
        (r#"{"meta_precision": 0}"#, r#"key "meta_precision": 0 is not a whole number from 1 to 1000"#),
        (r#"{"meta_v": 3, "meta_pending_reqs": 1}"#, r#"key "meta_total_reqs" is missing, which version 3 must have"#),
        (
            r#"{"meta_v": 4, "meta_total_reqs": 1, "meta_pending_reqs": 1}"#,
            r#"key "meta_queueing_reqs" is missing, which version 4 must have"#,
        ),
    ];
    for (text, message) in table {
        assert_eq!(Trace::parse(text).unwrap_err().to_string(), message, "{text}");
    }
    let long = format!("{{{}}}", " ".repeat(5 << 20));
    assert!(Trace::parse(&long).unwrap_err().to_string().contains("more than the 4194304 allowed"));
}

#[test]
fn the_writer_of_aibrix_never_writes_ten_indexes() {
    let missed: Vec<u32> = (0..240)
        .filter(|meant| {
            let at = (f64::from(*meant) / 10.0).exp2();
            index(at, 10, Rounding::Nearest) == *meant && index(at, 10, Rounding::Truncated) != *meant
        })
        .collect();
    assert_eq!(missed, TRUNCATED);
    // The example of the format: 274 tokens.
    assert_eq!((index(274.0, 10, Rounding::Nearest), index(274.0, 10, Rounding::Truncated)), (81, 80));
    assert_eq!((index(0.0, 10, Rounding::Nearest), index(1.0, 10, Rounding::Truncated)), (0, 0));
    assert_eq!((tokens(0, 10, true), tokens(10, 10, true)), (1.0, 2.0));
    assert_eq!(tokens(u32::MAX, 10, true), 16_777_216.0);
}

#[test]
fn what_either_writer_counts_is_read_without_bias() {
    for rounding in [Rounding::Nearest, Rounding::Truncated] {
        let (mut sum, mut read) = (0.0, 0.0);
        let mut trace = Trace::new();
        for length in 200..400 {
            let length = f64::from(length);
            sum += length;
            *trace.buckets.entry((index(length, 10, rounding), 60)).or_default() += 1;
        }
        for (size, count) in trace.batch(10.0).sizes {
            read += size.input * count;
        }
        assert!((read / sum - 1.0_f64).abs() < 0.01, "{rounding:?}: {}", read / sum);
    }
}

#[test]
fn a_trace_is_written_with_the_keys_of_its_version() {
    let mut trace = Trace { total: Some(3), pending: Some(2), queued: Some(1), ..Trace::new() };
    trace.count(Size { input: 256.0, output: 128.0 });
    trace.count(Size { input: 274.0, output: 0.0 });
    trace.count(Size { input: 274.0, output: 0.0 });
    assert_eq!(
        trace.write(),
        r#"{"80:70":1,"81:0":2,"meta_interval_sec":10,"meta_pending_reqs":2,"meta_precision":10,"meta_queueing_reqs":1,"meta_total_reqs":3,"meta_v":4}"#
    );
    assert_eq!(Trace::parse(&trace.write()), Ok(trace.clone()));
    let third = Trace { version: 3, queued: None, ..trace.clone() };
    assert!(!third.write().contains("queueing"));
    assert_eq!(Trace::parse(&third.write()), Ok(third));
    let first = Trace { version: 1, precision: 1, total: None, pending: None, queued: None, ..trace };
    assert_eq!(first.write(), r#"{"80:70":1,"81:0":2}"#);
}

#[test]
fn keys_are_told_apart_whatever_the_model_is_called() {
    assert_eq!(key("llama-7b", 1_700_000_010), "aibrix:llama-7b_request_trace_1700000010");
    assert!(key("m", 10).starts_with(&prefix("m")));
    for model in ["m", "a_request_trace_5", "x:y", "", "a_request_trace_5.w", "模型"] {
        assert_eq!(parse_key(&key(model, 20)), Some((model, 20)));
        let written = key_of_writer(model, 20, "gateway-0").unwrap();
        assert_eq!(parse_key(&written), None);
        let parsed = parse_key_with_writer(&written).unwrap();
        assert_eq!((parsed.model, parsed.at, parsed.writer), (model, 20, Some("gateway-0")));
    }
    for writer in ["", "a_b", "a.b", "1_2", &"x".repeat(64)] {
        assert_eq!(key_of_writer("m", 20, writer), None, "{writer:?}");
    }
    for none in [
        "aibrix:m_request_trace_",
        "aibrix:m_request_trace_1x",
        "aibrix:profile_m_d",
        "m_request_trace_10",
        "aibrix:m_request_trace_-10",
        "aibrix:m_request_trace_99999999999999999999",
        "aibrix:m_request_trace_10.",
    ] {
        assert_eq!(parse_key_with_writer(none), None, "{none}");
    }
}

fn trace(total: u64, pending: u64, completed: u64) -> Trace {
    let buckets = [((80, 70), completed)].into();
    Trace { total: Some(total), pending: Some(pending), buckets, ..Trace::new() }
}

#[test]
fn values_of_several_writers_at_one_key_add_up() {
    let mut merge = Merge::default();
    assert_eq!(merge.trace(), None);
    assert!(merge.see(&trace(90, 10, 85)));
    assert!(!merge.see(&trace(90, 10, 85)), "the same value again is the same writer's");
    assert!(merge.see(&trace(30, 4, 28)));
    assert!(!merge.see(&Trace { interval: 30, ..trace(1, 1, 1) }));
    assert_eq!(merge.writers(), 2);
    assert_eq!(merge.trace(), Some(trace(120, 14, 113)));
}

#[test]
fn traces_of_one_writer_add_up_and_those_of_several_are_warned_of() {
    let (mut check, mut pending) = (Check::default(), 0);
    for at in 1..50_u64 {
        let (total, completed) = (90 + at % 7, if at == 1 { 60 } else { 88 + at % 5 });
        pending = pending + total - completed;
        assert_eq!(check.see(at * 10, &trace(total, pending, completed)), None, "at {at}");
    }
    // Two gateways, one with three times the traffic of the other, and now this one wins and now that.
    let (mut check, mut warnings) = (Check::default(), 0);
    for at in 1..50_u64 {
        let value = if at % 3 == 0 { trace(90, 60, 90) } else { trace(30, 20, 30) };
        warnings += u32::from(matches!(check.see(at * 10, &value), Some(Warning::NotConserved { .. })));
    }
    assert!(warnings > 20, "{warnings}");
}

#[test]
fn completions_far_from_what_can_be_are_warned_of() {
    let mut check = Check::default();
    check.see(10, &trace(10, 0, 10));
    let warning = check.see(20, &trace(10, 0, 400)).unwrap();
    assert_eq!(warning, Warning::TooManyCompletions { completed: 400.0, possible: 10.0 });
    let mut check = Check::default();
    let last = (1..=8_u64).filter_map(|at| check.see(at * 10, &trace(100, 0, 0))).last();
    assert!(matches!(last, Some(Warning::NoCompletions { arrived }) if arrived >= 600.0), "{last:?}");
    // A gap is no contradiction.
    let mut check = Check::default();
    for at in [10, 30, 50, 70, 90] {
        assert_eq!(check.see(at, &trace(10, at, 10)), None);
    }
}

#[test]
fn traces_of_either_writer_give_the_demand_within_a_few_per_cent() {
    for rounding in [Rounding::Nearest, Rounding::Truncated] {
        let (mut stream, mut monitor) = (Stream::new(11), Monitor::new(Settings::default()));
        // 274 tokens are at an index that AIBrix's writer never writes.
        let mix = [(0.7, Size { input: 274.0, output: 128.0 }), (0.3, Size { input: 1448.0, output: 23.0 })];
        let truth = 10.0 * mix.iter().map(|(share, size)| share * cost(size.input, size.output)).sum::<f64>();
        let mut off = Vec::new();
        for tick in 1..=180_u32 {
            let sent = stream.batch(10.0, 10.0, &mix);
            let mut trace = Trace { total: Some(sent.sizes.len() as u64), ..Trace::new() };
            for (size, _) in &sent.sizes {
                let place = (index(size.input, 10, rounding), index(size.output, 10, rounding));
                *trace.buckets.entry(place).or_default() += 1;
            }
            let read = Trace::parse(&trace.write()).unwrap();
            monitor.add(&read.batch(f64::from(tick) * 10.0));
            if tick > 12 {
                off.push(demand(&monitor.load(f64::from(tick) * 10.0)) / truth - 1.0);
            }
        }
        let mean = off.iter().sum::<f64>() / off.len() as f64;
        assert!(mean.abs() < 0.04, "{rounding:?}: {mean}");
        assert!(off.iter().all(|off| (off - mean).abs() < 0.08), "{rounding:?}: {off:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_trace_or_an_error(text in ".*") {
        let _ = Trace::parse(&text);
    }

    #[test]
    fn any_bytes_are_a_trace_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Trace::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_object_is_an_error_or_a_batch_of_sound_numbers(
        entries in prop::collection::btree_map(
            prop_oneof![
                "[0-9]{1,6}:[0-9]{1,6}",
                "meta_(v|interval_sec|precision|total_reqs|pending_reqs|queueing_reqs|x)",
                "[0-9:+ -]{0,8}",
            ],
            prop_oneof![
                any::<u64>().prop_map(|n| n.to_string()),
                (0..100_u32).prop_map(|n| n.to_string()),
                any::<f64>().prop_map(|n| if n.is_finite() { n.to_string() } else { "null".to_owned() }),
                Just("[[{}]]".to_owned()),
            ],
            0..20,
        ),
        at in any::<f64>(),
    ) {
        let text: Vec<String> = entries.iter().map(|(key, value)| format!("{}:{value}", serde_json::to_string(key).unwrap())).collect();
        if let Ok(trace) = Trace::parse(&format!("{{{}}}", text.join(","))) {
            let batch = trace.batch(at);
            for (size, count) in &batch.sizes {
                prop_assert!(size.input >= 1.0 && size.input <= 16_777_216.0 && size.output >= 1.0 && count.is_finite());
            }
            prop_assert_eq!(batch.sizes.len(), trace.buckets.len());
            Check::default().see(10, &trace);
            let mut merge = Merge::default();
            merge.see(&trace);
            prop_assert_eq!(merge.trace(), Some(trace));
        }
    }

    #[test]
    fn what_is_written_is_read(
        version in 2..=4_u32, total in 0..1_u64 << 52, pending in 0..1_u64 << 52, queued in 0..1_u64 << 52,
        buckets in prop::collection::btree_map((0..240_u32, 0..240_u32), 1..1000_u64, 0..30),
    ) {
        let from = |first: u32, value: u64| (version >= first).then_some(value);
        let trace = Trace { version, total: from(3, total), pending: from(3, pending), queued: from(4, queued), buckets, ..Trace::new() };
        prop_assert_eq!(Trace::parse(&trace.write()), Ok(trace));
    }
}
