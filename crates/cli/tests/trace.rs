//! `up FILE --trace`: every request of the trace is sent on schedule and answered, and the report is in trace seconds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::manifest::Group;
use common::world::World;
use std::fmt::Write;

#[test]
fn a_trace_is_sent_and_reported_in_trace_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.csv");
    let mut trace = "t,input_tokens,output_tokens\n".to_owned();
    for second in 0..20 {
        // Two at a time, at even seconds none.
        let _ = (second % 2 == 1).then(|| write!(trace, "{second},30,20\n{second}.5,60,40\n").unwrap());
    }
    std::fs::write(&file, trace).unwrap();
    let group = Group::new("APA", 1, 2);
    let ended = World::start(&group.manifest(), &["--trace", file.to_str().unwrap()]).end();
    let summary = ended.answered(20);
    let number = |field: &str| summary[field].as_f64().unwrap();
    assert!(number("seconds") >= 19.5, "the last request is due then: {summary}");
    assert!(number("ttftP50") > 0.002 && number("tpotP50") > 0.002, "an engine takes its time: {summary}");
    assert!(number("ttftP50") <= number("ttftP99") && number("tpotP50") <= number("tpotP99"), "{summary}");
}
