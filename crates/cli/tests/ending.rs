//! The end of a run, in peace and by force: no request is cut, and no process stays.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::eventually;
use common::http::Batch;
use common::manifest::Group;
use common::world::{World, is, processes, signal, told};
use serde_json::Value;

/// A group whose replicas each leave a process in a session of its own. Such a process is found by the marker given back.
fn with_grandchildren(mut group: Group) -> (Group, String) {
    let marker = format!("grandchild-of-{}", group.name);
    group.before = Some(format!(r#"setsid sh -c "while :; do sleep 1; done # {marker}" &"#));
    (group, marker)
}

/// Grandchildren proper; the replica's own command line names the marker too.
fn grandchildren(marker: &str) -> usize {
    processes(marker).iter().filter(|line| line.starts_with("sh -c while")).count()
}

#[test]
fn sigterm_lets_running_requests_end_and_leaves_no_process() {
    let (group, marker) = with_grandchildren(Group::new("APA", 2, 2));
    let mut world = World::start(&group.manifest(), &[]);
    world.wait_for_ready(&group.name, 2);
    let batch = Batch::start(&world.gateway, &group.name, 6, 400);
    let all = |line: &Value| is(line, "state", &group.name) && line["running"].as_f64() == Some(6.0);
    world.wait_for("six running requests", all);
    let ended = world.terminate();
    batch.end(400);
    ended.answered(6);
    assert_eq!(processes(&group.name), [""; 0]);
    assert_eq!(processes(&marker), [""; 0]);
}

#[test]
fn a_terminal_that_goes_away_ends_a_world_without_a_file_in_peace() {
    let mut world = World::quickstart();
    world.wait_for_ready("chat", 1);
    world.signal("HUP");
    let ended = world.end();
    assert_eq!((&ended.summary()["failed"], &ended.summary()["aborted"]), (&Value::from(0), &Value::from(0)));
}

#[test]
fn sigkill_leaves_no_process_not_even_a_grandchild() {
    let (group, marker) = with_grandchildren(Group::new("APA", 2, 2));
    let mut world = World::start(&group.manifest(), &[]);
    world.wait_for_ready(&group.name, 2);
    eventually("two grandchildren", || grandchildren(&marker) == 2);
    world.signal("KILL");
    eventually("the end of all", || processes(&group.name).is_empty() && processes(&marker).is_empty());
}

#[test]
fn what_escapes_from_a_killed_guard_is_ended_and_the_replica_replaced() {
    let (group, marker) = with_grandchildren(Group::new("APA", 1, 1));
    let mut world = World::start(&group.manifest(), &[]);
    let id = format!("{}-0", group.name);
    let started = world.wait_for("the start", |line| told(line, &id, "started"));
    world.wait_for_ready(&group.name, 1);
    eventually("one grandchild", || grandchildren(&marker) == 1);
    let process: u32 = started["event"].as_str().unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    signal("KILL", stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap());
    world.wait_for("the end", |line| told(line, &id, "ended by signal 9"));
    assert_eq!(grandchildren(&marker), 0, "the end is told when all have ended");
    world.wait_for("the replacement", |line| told(line, &id, "ready"));
    world.terminate().answered(0);
    assert_eq!(processes(&marker), [""; 0]);
}

#[test]
fn a_run_ends_by_itself_after_its_length() {
    let group = Group::new("APA", 1, 1);
    let ended = World::start(&group.manifest(), &["--for", "5s"]).end();
    let summary = ended.answered(0);
    assert!(summary["seconds"].as_f64().unwrap() >= 5.0, "{summary}");
    assert_eq!(processes(&group.name), [""; 0]);
}
