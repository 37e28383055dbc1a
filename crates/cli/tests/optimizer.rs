//! The command `optimizer`: what it refuses, that it follows the requests of a local world's gateway, and that it ends as it is told to.

#![allow(clippy::unwrap_used, reason = "all of it is test code")]

mod common;

use common::http::Batch;
use common::manifest::Group;
use common::world::World;
use common::{command, http, run};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Child;

#[test]
fn nothing_to_plan_for_is_wrong_usage_and_a_bad_file_names_its_field() {
    run(&["optimizer"]).refused(2, &["nothing to plan for", "--kubernetes"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.yaml");
    std::fs::write(&file, "models: [{name: m, deployments: [{name: a, min: 4, max: 2}]}]").unwrap();
    let path = file.to_str().unwrap();
    run(&["optimizer", "--config", path])
        .refused(1, &["optimizer.yaml", "models[0].deployments[0].max: is 2", "at least min"]);
    std::fs::write(&file, "models: [{name: m}]").unwrap();
    run(&["optimizer", "--config", path, "--headroom", "0.5"]).refused(1, &["settings.headroom: is 0.5"]);
    run(&["optimizer", "--config", path, "--redis", "host:6379"]).refused(1, &["redis.url"]);
}

/// Starts the optimizer at a free port, and says where.
fn start(config: &Path, more: &[&str]) -> (Child, String) {
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let arguments = ["optimizer", "--config", config.to_str().unwrap(), "--listen", &listen];
    let arguments: Vec<&str> = arguments.into_iter().chain(more.iter().copied()).collect();
    (command(&arguments).spawn().unwrap(), listen)
}

#[test]
fn it_serves_what_is_configured_and_ends_well_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.yaml");
    std::fs::write(&file, "models: [{name: m, deployments: [{name: a, current: 3}]}]").unwrap();
    let state = folder.path().join("state.json");
    let (mut child, listen) = start(&file, &["--state", state.to_str().unwrap()]);
    let client = http::Client::new();
    let url = format!("http://{listen}/metrics/default/a");
    common::eventually("an answer", || {
        client.get(&url).is_ok_and(|answer| answer.body.ends_with("{model_name=\"m\"} 300\n"))
    });
    common::world::signal("TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(std::fs::read_to_string(state).unwrap().contains("\"version\":1"), "saved at the end");
}

#[test]
fn the_requests_of_a_local_world_become_a_plan() {
    let folder = tempfile::tempdir().unwrap();
    let (file, requests) = (folder.path().join("optimizer.json"), folder.path().join("requests.jsonl"));
    let group = Group::new("APA", 2, 2);
    let profile = json!({"gpu": "a40", "cost": 0.5, "tputs": [[0.01]], "indexes": [[64], [64]], "created": 1});
    std::fs::write(folder.path().join("a40.json"), profile.to_string()).unwrap();
    let config = json!({
        "settings": {"intervalSeconds": 1, "delaySeconds": 0},
        "models": [{"name": group.name, "records": "requests.jsonl", "profiles": ["a40.json"],
            "deployments": [{"namespace": "local", "name": "a40", "current": 1}]}],
    });
    std::fs::write(&file, config.to_string()).unwrap();
    let (mut optimizer, listen) = start(&file, &[]);
    let client = http::Client::new();
    let model = || -> Option<Value> {
        let answer = client.get(&format!("http://{listen}/api/v1/models/{}", group.name)).ok()?;
        (answer.status == 200).then(|| answer.json())
    };
    common::eventually("that there are no records yet is said", || {
        model().is_some_and(|model| model["troubles"]["records"]["message"].as_str().is_some())
    });

    let mut world = World::start(&group.manifest(), &["--requests", requests.to_str().unwrap()]);
    world.wait_for_ready(&group.name, 2);
    Batch::start(&world.gateway, &group.name, 12, 20).end(20);
    common::eventually("a plan for what was seen", || {
        model().is_some_and(|model| model["state"] == "planned" && model["load"]["samples"].as_f64() > Some(11.0))
    });
    let model = model().unwrap();
    assert_eq!(model["load"]["sizes"][0]["output"], 20.0, "{model}");
    assert!(model["deployments"][0]["recommended"].as_u64() > Some(1), "{model}");
    assert_eq!(model["troubles"], json!({}));

    world.terminate().answered(12);
    let lines = std::fs::read_to_string(&requests).unwrap();
    assert_eq!(lines.lines().filter(|line| line.contains("\"outcome\":\"ok\"")).count(), 12, "{lines}");
    common::world::signal("TERM", optimizer.id());
    assert_eq!(optimizer.wait().unwrap().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_world_whose_disk_for_requests_is_full_says_so_and_answers_all_the_same() {
    let group = Group::new("APA", 1, 1);
    let mut world = World::start(&group.manifest(), &["--requests", "/dev/full"]);
    world.wait_for_ready(&group.name, 1);
    Batch::start(&world.gateway, &group.name, 3, 5).end(5);
    world.wait_for("a warning", |line| {
        line["type"] == "warning" && line["message"].as_str().is_some_and(|text| text.contains("/dev/full"))
    });
    world.terminate().answered(3);
}
