//! `--record`: what a world writes down is decided again in the same way, is a trace for the simulator, and shows where a changed
//! manifest would have decided otherwise.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::manifest::Group;
use common::world::World;
use common::{Output, run};
use serde_json::Value;

const LOAD: &str = "burst:base=2,peak=30,every=20s,for=8s,input=60,output=60";

fn recorded(strategy: &'static str, folder: &std::path::Path) -> (String, Vec<Value>) {
    let file = folder.join(format!("{strategy}.jsonl"));
    let path = file.to_str().unwrap().to_owned();
    let group = Group::new(strategy, 1, 4);
    let more = ["--load", LOAD, "--for", "40s", "--record", &path];
    let ended = World::start(&group.manifest(), &more).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let text = std::fs::read_to_string(&file).unwrap();
    (path, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Each decision of a recording, as it was made then.
fn then(lines: &[Value]) -> Vec<(f64, u64)> {
    let decided = |line: &Value| Some((line["at"].as_f64()?, line["decided"].as_object()?.values().next()?.as_u64()?));
    lines.iter().filter_map(decided).collect()
}

#[test]
fn a_recorded_run_is_decided_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for strategy in ["APA", "KPA"] {
        let (path, lines) = recorded(strategy, folder.path());
        let made = then(&lines);
        assert!(made.iter().any(|(_, desired)| *desired > 1) && made.len() >= 6, "{strategy}: {made:?}");
        let again: Vec<(f64, u64)> = run(&["decide", &path])
            .good()
            .lines()
            .iter()
            .map(|line| (line["at"].as_f64().unwrap(), line["desired"].as_u64().unwrap()))
            .collect();
        assert_eq!(again, made, "{strategy}");
    }
}

#[test]
fn a_recording_carries_its_plans_and_gives_the_same_lines_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hybrid.jsonl");
    let path = file.to_str().unwrap();
    let group = Group { target: 1000, ..Group::new("Hybrid", 1, 4) };
    let ended = World::start(&group.manifest(), &["--load", LOAD, "--for", "40s", "--record", path]).end();
    let decided = ended.lines.iter().filter(|line| line["type"] == "decision").map(|line| {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("type");
        line
    });
    let decided: Vec<Value> = decided.collect();
    assert!(decided.iter().any(|line| line.to_string().contains("expected to miss")), "{decided:?}");
    assert_eq!(run(&["decide", path]).good().lines(), decided);
}

#[test]
fn a_changed_manifest_is_told_where_it_decides_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let (path, lines) = recorded("APA", folder.path());
    let mut object = lines.iter().find_map(|line| line.get("autoscaler")).unwrap().clone();
    let manifest = folder.path().join("changed.json");
    let against = |object: &Value| -> Output {
        std::fs::write(&manifest, object.to_string()).unwrap();
        run(&["decide", manifest.to_str().unwrap(), "--against", &path]).good()
    };
    let same = against(&object).lines();
    assert_eq!((same.len(), &same[0]["summary"]["different"]), (1, &Value::from(0)), "{same:?}");
    object["spec"]["maxReplicas"] = 1.into();
    let other = against(&object).lines();
    let (summary, different) = other.split_last().unwrap();
    assert!(!different.is_empty() && different.iter().all(|line| line["desired"] == 1), "{other:?}");
    assert!(different.iter().all(|line| line["recorded"].as_u64() > Some(1) && line["trail"].is_array()));
    let hours = |field: &str| summary["summary"][field].as_f64().unwrap();
    assert!(hours("replicaHours") < hours("recordedReplicaHours"), "{summary}");
    object["metadata"]["name"] = "nobody".into();
    std::fs::write(&manifest, object.to_string()).unwrap();
    run(&["decide", manifest.to_str().unwrap(), "--against", &path]).refused(1, &["nobody is not in"]);
}

#[test]
fn a_recording_is_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (path, lines) = recorded("APA", folder.path());
    let ended: usize = lines.iter().filter_map(|line| Some(line.get("arrivals")?.as_array()?.len())).sum();
    assert!(ended > 50, "{ended}");
    let simulated = run(&["simulate", "--policy", "kpa", "--trace", &path, "--warmup", "0s", "--json"]).good();
    assert_eq!(simulated.lines()[0]["requests"], ended);
}
