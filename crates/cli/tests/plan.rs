//! `plan`: what it prints is relied on from outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::run_with_input;
use serde_json::json;

#[test]
fn a_plan_names_every_type_and_who_serves_what() {
    let problem = json!({
        "gpus": {"A10G": {"cost": 1.01, "min": 0, "max": 8, "current": 2}, "L4": {"cost": 9.0}},
        "load": [{"input": 128, "output": 64, "rate": 9.0, "capacity": {"A10G": 2.0}}],
        "split": "fractional", "changeCost": 0.0, "deadlineSeconds": 10,
    });
    let answer = run_with_input(&["plan", "-"], &problem.to_string()).good().lines().remove(0);
    assert_eq!((&answer["status"], &answer["replicas"]), (&json!("optimal"), &json!({"A10G": 5, "L4": 0})));
    assert_eq!(answer["routing"], json!([{"load": 0, "gpu": "A10G", "share": 1.0}]));
    for field in ["cost", "bound", "unserved", "seconds"] {
        assert!(answer.get(field).is_some(), "{field}: {answer}");
    }
}

#[test]
fn an_infeasible_problem_is_an_answer_and_a_wrong_one_an_error() {
    let tight = json!({"gpus": {"a": {"cost": 1, "max": 1}}, "load": [{"rate": 9, "capacity": {"a": 2}}]});
    let answer = run_with_input(&["plan", "-"], &tight.to_string()).good().lines().remove(0);
    assert_eq!(answer["status"], "infeasible");
    assert_eq!(answer["unserved"][0]["load"], 0);
    let wrong = json!({"gpus": {"a": {"cost": 1}}, "load": [{"rate": "fast", "capacity": {}}]});
    run_with_input(&["plan", "-"], &wrong.to_string()).refused(1, &["standard input", "load[0].rate"]);
}

#[test]
fn profiles_say_what_types_cost_and_carry() {
    let folder = tempfile::tempdir().unwrap();
    let profile = |name: &str, cost: f64, rate: f64| {
        let grid = json!([[rate, rate / 2.0], [rate / 2.0, rate / 4.0]]);
        let text =
            json!({"gpu": name, "cost": cost, "tputs": grid, "indexes": [[64, 128], [256, 512]], "created": 1.0});
        let file = folder.path().join(format!("{name}.json"));
        std::fs::write(&file, text.to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let profiles = format!("{},{}", profile("cheap", 1.0, 4.0), profile("dear", 5.0, 16.0));
    let problem = json!({"load": [{"input": 512, "output": 128, "rate": 3.0}]});
    let answer = run_with_input(&["plan", "-", "--profile", &profiles], &problem.to_string()).good().lines().remove(0);
    assert_eq!(answer["replicas"], json!({"cheap": 3, "dear": 0}), "three at 1 a second each");
    let folder = folder.path().to_str().unwrap();
    let same = run_with_input(&["plan", "-", "--profile", folder], &problem.to_string()).good().lines().remove(0);
    assert_eq!(same["replicas"], answer["replicas"]);
    run_with_input(&["plan", "-", "--profile", "nowhere.json"], &problem.to_string()).refused(1, &["nowhere.json"]);
}

#[test]
fn reasons_are_given_where_they_are_asked_for() {
    let problem =
        json!({"gpus": {"a": {"cost": 1}, "b": {"cost": 4}}, "load": [{"rate": 3, "capacity": {"a": 2, "b": 4}}]});
    let plain = run_with_input(&["plan", "-"], &problem.to_string()).good().lines().remove(0);
    assert!(plain.get("reasons").is_none());
    let answer = run_with_input(&["plan", "-", "--explain"], &problem.to_string()).good().lines().remove(0);
    let mut reasons = answer["reasons"].clone();
    let room = reasons[0]["room"].take().as_f64().unwrap();
    assert!((room - 1.0).abs() < 1e-6, "two replicas carry four: {room}");
    let reason = json!({
        "load": 0, "gpus": ["a"], "why": "cheapest", "room": null, "cheapest": "a", "marginalCost": 0.5,
        "next": {"gpu": "b", "marginalCost": 1.0, "tipsAtCost": 2.0, "tipsAtCapacity": 8.0},
    });
    assert_eq!(reasons, json!([reason]));
}
