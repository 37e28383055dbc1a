//! A manifest that changes under a running world.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::manifest::Group;
use common::run_with_input;
use common::world::World;
use serde_json::Value;

fn warns(line: &Value, of: &str) -> bool {
    line["type"] == "warning" && line["message"].as_str().unwrap().contains(of)
}

#[test]
fn changed_bounds_are_taken_and_a_broken_manifest_is_not() {
    let mut group = Group::new("APA", 1, 3);
    let mut world = World::start(&group.manifest(), &[]);
    world.wait_for_ready(&group.name, 1);
    group.min = 2;
    common::write(&world.file(), &group.manifest());
    world.wait_for("word of the change", |line| warns(line, "was read again"));
    world.wait_for_ready(&group.name, 2);
    for (broken, problem) in [("spec: [", "world.yaml"), (&*group.manifest().replace("max", "mxa"), "maxReplicas")] {
        common::write(&world.file(), broken);
        let told = world.wait_for("word of the problem", |line| warns(line, "is not used"));
        assert!(warns(&told, "the one before goes on") && warns(&told, problem), "{told}");
        assert!(world.state()["problems"][0].as_str().unwrap().contains("is not used"));
    }
    assert_eq!(world.client.complete(&world.gateway, &group.name, 3).unwrap().status, 200);
    world.wait_for_ready(&group.name, 2);
    group.min = 3;
    common::write(&world.file(), &group.manifest());
    world.wait_for_ready(&group.name, 3);
    world.terminate().answered(1);
}

#[test]
fn sighup_reads_the_manifest_again_though_it_has_not_changed() {
    let group = Group::new("KPA", 1, 1);
    let mut world = World::start(&group.manifest(), &[]);
    world.wait_for_ready(&group.name, 1);
    world.signal("HUP");
    world.wait_for("word of it", |line| warns(line, "was read again"));
    world.wait_for_ready(&group.name, 1);
    world.terminate().answered(0);
}

#[test]
fn a_manifest_from_standard_input_runs_and_is_not_watched() {
    let manifest = Group::new("APA", 1, 1).manifest();
    let places = ["--gateway", "127.0.0.1:0", "--dashboard", "127.0.0.1:0"];
    let run: Vec<&str> = ["up", "-", "--json", "--for", "20s", "--speed", "10"].into_iter().chain(places).collect();
    let lines = run_with_input(&run, &manifest).good().lines();
    assert_eq!((&lines[0]["type"], &lines.last().unwrap()["type"]), (&"start".into(), &"summary".into()));
    assert!(!lines.iter().any(|line| warns(line, "read again") || warns(line, "not used")), "{lines:#?}");
}
