//! Faults: what a replica does wrong must not become the clients' loss, nor a metric's absence a scale-down.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::http::Crowd;
use common::manifest::Group;
use common::world::{World, is, signal, told};
use serde_json::{Value, json};

/// A field of a replica, as the page shows it.
fn replica(world: &World, id: &str, field: &str) -> u64 {
    let state = world.state();
    let found = state["replicas"].as_array().unwrap().iter().find(|replica| replica["id"] == id).cloned();
    found.and_then(|replica| replica[field].as_u64()).unwrap_or_else(|| panic!("{field} of {id}: {state}"))
}

#[test]
fn a_killed_replica_is_replaced_and_its_requests_are_answered_by_others() {
    let group = Group::new("APA", 2, 2);
    let mut world = World::start(&group.manifest(), &[]);
    world.wait_for_ready(&group.name, 2);
    let crowd = Crowd::start(&world.gateway, &group.name, 6, 100);
    for index in [0, 1] {
        let id = format!("{}-{index}", group.name);
        let busy = |line: &Value| is(line, "state", &group.name) && line["running"].as_f64() >= Some(4.0);
        world.wait_for("requests on both replicas", busy);
        let process = replica(&world, &id, "pid");
        signal("KILL", process.try_into().unwrap());
        world.wait_for("the crash", |line| told(line, &id, "ended by signal 9"));
        world.wait_for("the replacement", |line| told(line, &id, "ready"));
        world.wait_for_ready(&group.name, 2);
    }
    let requests = crowd.end();
    let ended = world.terminate();
    ended.answered(requests);
}

/// Starts with three idle replicas whose metrics fail. Nothing may change until they are healed; then two must go.
fn holds_while_metrics_fail(strategy: &'static str, fault: &'static str) {
    let mut group = Group::new(strategy, 1, 3);
    group.replicas = Some(3);
    group.arguments = fault;
    let mut world = World::start(&group.manifest(), &[]);
    let ready = world.wait_for_ready(&group.name, 3)["at"].as_f64().unwrap();
    // Several times the longest window.
    let later = |line: &Value| is(line, "decision", &group.name) && line["at"].as_f64().unwrap() > ready + 30.0;
    world.wait_for("decisions without metrics", later);
    for line in world.seen.iter().filter(|line| is(line, "decision", &group.name)) {
        assert_eq!(line["desired"], 3, "{line}");
    }
    for index in 0..3 {
        let port = replica(&world, &format!("{}-{index}", group.name), "port");
        let healed = world.client.post(&format!("http://127.0.0.1:{port}/standin/faults"), &json!({ "fail": [] }));
        assert_eq!(healed.unwrap().status, 200);
    }
    world.wait_for_ready(&group.name, 1);
    world.terminate().answered(0);
}

#[test]
fn apa_does_not_scale_down_on_metrics_that_are_garbage() {
    holds_while_metrics_fail("APA", "--fail garbage-metrics");
}

#[test]
fn kpa_does_not_scale_down_on_metrics_that_are_garbage() {
    holds_while_metrics_fail("KPA", "--fail garbage-metrics");
}

#[test]
fn apa_does_not_scale_down_on_metrics_that_hang() {
    holds_while_metrics_fail("APA", "--fail slow-metrics=1h");
}

#[test]
fn kpa_does_not_scale_down_on_metrics_that_hang() {
    holds_while_metrics_fail("KPA", "--fail slow-metrics=1h");
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let group = Group::new("APA", 1, 1);
    let manifest = group.manifest().replace("[aibrix-autoscaler,", "[no-such-engine,");
    let mut world = World::start(&manifest, &[]);
    let id = format!("{}-0", group.name);
    let failed = world.wait_for("the failure", |line| told(line, &id, "could not be started"));
    assert!(failed["event"].as_str().unwrap().contains("no-such-engine: no such program"), "{failed}");
    world.wait_for("the back-off", |line| told(line, &id, "starts again in"));
    world.terminate().answered(0);
}
