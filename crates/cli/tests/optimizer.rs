//! The command `optimizer`: what it refuses, and that it ends as it is told to.

mod common;

use common::{command, http, run};

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

#[test]
fn it_serves_what_is_configured_and_ends_well_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.yaml");
    std::fs::write(&file, "models: [{name: m, deployments: [{name: a, current: 3}]}]").unwrap();
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let state = folder.path().join("state.json");
    let arguments =
        ["optimizer", "--config", file.to_str().unwrap(), "--listen", &listen, "--state", state.to_str().unwrap()];
    let mut child = command(&arguments).spawn().unwrap();
    let client = http::Client::new();
    let url = format!("http://{listen}/metrics/default/a");
    common::eventually("an answer", || {
        client.get(&url).is_ok_and(|answer| answer.body.ends_with("{model_name=\"m\"} 300\n"))
    });
    common::world::signal("TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(std::fs::read_to_string(state).unwrap().contains("\"version\":1"), "saved at the end");
}
