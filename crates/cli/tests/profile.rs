//! `profile`: derived from engine models, and measured at a stand-in engine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::world::signal;
use common::{command, run};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Child;

/// A running stand-in.
struct Engine {
    child: Child,
    url: String,
}

impl Engine {
    fn start() -> Self {
        let mut child = command(&["engine", "--port", "0", "--model", "m", "--speed", "40"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.split_once("m is served at ")?.1.to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_derived_profile_a_picture_and_a_fitted_engine_are_written_and_read_by_the_other_commands() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (profile, page, engine) = (file("a100.json"), file("a100.html"), file("engine.json"));
    let said =
        run(&["profile", "--engine", "a100-8b", "-o", &profile, "--plot", &page, "--fit", &engine]).good().stdout;
    assert!(said.contains("requests/s within P90 TTFT < 2 s, TPOT < 0.1 s") && said.contains("mean error"), "{said}");
    let written = json(Path::new(&profile));
    assert_eq!(written["source"], "derived from engine model a100-8b");
    assert!(written["created"].as_f64().is_some_and(|created| created > 1.7e9));
    assert!(std::fs::read_to_string(&page).unwrap().contains("<svg "));
    let load = file("load.json");
    let problem = r#"{"gpus": {}, "load": [{"input": 128, "output": 64, "rate": 9, "capacity": {}}]}"#;
    std::fs::write(&load, problem).unwrap();
    let plan = run(&["plan", &load, "--profile", &profile]).good().stdout;
    assert!(plan.contains("a100-8b"), "{plan}");
    let again = run(&["profile", "--engine", &engine, "-o", "-"]).good().stdout;
    let again: Value = serde_json::from_str(&again).unwrap();
    let ratio = again["tputs"][1][0].as_f64().unwrap() / written["tputs"][1][0].as_f64().unwrap();
    assert!((0.7..1.4).contains(&ratio), "the fitted engine carries {ratio} times as much");
}

#[test]
fn wrong_usage_is_refused_with_what_is_allowed() {
    for (arguments, part) in [
        (&["profile"][..], "an endpoint's address, or --engine"),
        (&["profile", "--engine", "nope"], "l4-8b, a10g-8b"),
        (&["profile", "nope"], "such as http://127.0.0.1:8080"),
        (&["profile", "--engine", "l4-8b", "--slo", "ttft"], "ttft=2s,tpot=100ms,e2e=20s"),
        (&["profile", "--engine", "l4-8b", "--percentile", "95"], "0, 50, 90, 99"),
        (&["profile", "--engine", "l4-8b", "--inputs", "512,128"], "ascending"),
        (&["profile", "--engine", "l4-8b", "--tolerance", "0"], "0.001 to 1"),
        (&["profile", "--engine", "l4-8b", "--speed", "3"], "cannot be used with"),
    ] {
        run(arguments).refused(2, &[part]);
    }
}

#[test]
fn an_slo_that_no_size_keeps_is_said_and_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.json");
    let ended = run(&["profile", "--engine", "l4-8b", "--slo", "tpot=10ms", "-o", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("one request at a time misses the SLO: P50 TPOT is 0.07"), "{ended:?}");
    assert!(json(&file)["tpot"][0][0].as_f64().unwrap() > 0.07, "the best there is stands in the file");
}

#[test]
fn an_interrupted_measurement_says_how_to_go_on_and_does() {
    let (engine, folder) = (Engine::start(), tempfile::tempdir().unwrap());
    let output = folder.path().join("p.json").to_str().unwrap().to_owned();
    let runs = format!("{output}.runs.jsonl");
    let base = ["profile", &engine.url, "--speed", "40", "--inputs", "64", "--outputs", "32", "--repeats", "1"];
    let with = |more: &[&str]| -> Vec<String> {
        base.iter()
            .chain(&["--tolerance", "0.2", "-o", &output, "--json"])
            .chain(more)
            .map(ToString::to_string)
            .collect()
    };
    let arguments = with(&[]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut child = command(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&first["verdict"], &first["reused"]), (&"alone".into(), &false.into()));
    signal("INT", child.id());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(said.contains(&format!("interrupted; finished runs are in {runs}; --resume {runs}")), "{said}");
    assert!(!said.contains('\r'), "no bar in a pipe: {said}");
    run(&arguments).refused(1, &["holds 1 finished runs"]);
    let arguments = with(&["--resume", &runs]);
    let lines = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).good().lines();
    assert_eq!(lines[0]["reused"], true);
    assert!(lines.len() > 2 && lines[1..].iter().all(|line| line["reused"] == false), "{lines:?}");
    assert!(json(Path::new(&output))["tputs"][0][0].as_f64().unwrap() > 0.0);
}
