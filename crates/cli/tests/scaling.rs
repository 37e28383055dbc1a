//! Scaling by load: up under a crowd, down when it has left, and nobody loses a request.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::http::Crowd;
use common::manifest::Group;
use common::world::{World, is};
use serde_json::Value;

/// A crowd comes, the group grows to its maximum; it leaves, the group shrinks to its minimum. Answers with every line.
fn rise_and_fall(group: &Group) -> Vec<Value> {
    let mut world = World::start(&group.manifest(), &[]);
    world.wait_for_ready(&group.name, 1);
    let crowd = Crowd::start(&world.gateway, &group.name, 10, 100);
    world.wait_for_ready(&group.name, 3);
    let requests = crowd.end();
    world.wait_for_ready(&group.name, 1);
    let ended = world.terminate();
    let summary = ended.answered(requests);
    assert_eq!(summary["peakReplicas"], 3, "{summary}");
    assert!(summary["replicaSeconds"].as_f64().unwrap() > 0.0, "{summary}");
    ended.lines
}

#[test]
fn apa_grows_under_a_crowd_and_shrinks_when_it_has_left() {
    let group = Group::new("APA", 1, 3);
    let lines = rise_and_fall(&group);
    check_decisions(&lines, &group.name);
    check_states(&lines, &group.name);
}

#[test]
fn kpa_grows_under_a_crowd_and_shrinks_when_it_has_left() {
    let group = Group::new("KPA", 1, 3);
    let lines = rise_and_fall(&group);
    let decisions = check_decisions(&lines, &group.name);
    for field in ["stable", "panicAverage", "excessBurstCapacity"] {
        assert!(decisions.iter().any(|line| line[field].is_number()), "no decision has {field}");
    }
}

/// Each decision has the contract's fields; each change has a reason and a trail that leads to it.
#[track_caller]
fn check_decisions(lines: &[Value], name: &str) -> Vec<Value> {
    let decisions: Vec<Value> = lines.iter().filter(|line| is(line, "decision", name)).cloned().collect();
    for line in &decisions {
        for field in ["at", "replicas", "desired", "recommendation", "panic", "reason", "trail"] {
            assert!(line.get(field).is_some(), "{field} is missing in {line}");
        }
        for step in line["trail"].as_array().unwrap() {
            for field in ["stage", "rule", "before", "after", "detail"] {
                assert!(step.get(field).is_some(), "{field} is missing in {step}");
            }
        }
        if line["desired"] != line["replicas"] {
            assert!(!line["trail"].as_array().unwrap().is_empty() && line["reason"] != "", "{line}");
        }
    }
    let count = |line: &Value, field: &str| line[field].as_u64().unwrap();
    assert!(decisions.iter().any(|line| count(line, "desired") > count(line, "replicas")), "nothing grew");
    assert!(decisions.iter().any(|line| count(line, "desired") < count(line, "replicas")), "nothing shrank");
    assert!(decisions.iter().all(|line| (1..=3).contains(&count(line, "desired"))), "beyond the bounds");
    decisions
}

#[track_caller]
fn check_states(lines: &[Value], name: &str) {
    let states: Vec<&Value> = lines.iter().filter(|line| is(line, "state", name)).collect();
    assert!(!states.is_empty());
    for line in states {
        for field in ["at", "ready", "pending", "desired", "running", "waiting"] {
            assert!(line.get(field).is_some(), "{field} is missing in {line}");
        }
    }
}
