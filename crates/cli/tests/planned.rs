//! Plans in the local world: `Hybrid` on real processes, with and without anything known of the engine, and two GPU types in the
//! simulator.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::http::Crowd;
use common::manifest::Group;
use common::world::{World, is};
use common::{in_repository, run};
use serde_json::Value;
use std::fmt::Write;

/// Two minutes of few requests, a minute and a half of many, and none afterwards. The stand-in carries about two of them a
/// second.
fn load() -> String {
    let few = (0..60).map(|at| f64::from(at) * 2.0);
    let many = (0..540).map(|at| 120.0 + f64::from(at) / 6.0);
    let mut trace = "t,input_tokens,output_tokens\n".to_owned();
    for at in few.chain(many) {
        writeln!(trace, "{at:.3},1000,100").unwrap();
    }
    trace
}

/// A group whose own metric never asks for a second replica.
fn planned() -> Group {
    Group { target: 1000, arguments: "--startup-delay 5s", ..Group::new("Hybrid", 1, 4) }
}

fn details(line: &Value) -> impl Iterator<Item = &str> {
    line["trail"].as_array().into_iter().flatten().filter_map(|step| step["detail"].as_str())
}

#[track_caller]
fn replicas(line: &Value) -> (u64, u64) {
    (line["replicas"].as_u64().unwrap(), line["desired"].as_u64().unwrap())
}

#[test]
fn a_plan_grows_a_group_under_a_burst_and_shrinks_it_afterwards() {
    let group = planned();
    let name = group.name.clone();
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("load.csv");
    std::fs::write(&trace, load()).unwrap();
    // An SLO that a busy machine keeps, too: what it cannot keep would be learnt, and planned for.
    let slo = "  slo: { objectives: [{ metric: ttft, seconds: 20 }, { metric: tpot, seconds: 1 }] }\n  scaleTargetRef";
    let manifest = group.manifest().replace("  scaleTargetRef", slo);
    let mut world = World::start(&manifest, &["--trace", trace.to_str().unwrap(), "--for", "3600s"]);
    world.wait_for("what the plan rests on", |line| {
        line["type"] == "warning" && line["message"].as_str().is_some_and(|text| text.contains("stand-in, l4-8b"))
    });
    let up = world.wait_for("growth", |line| is(line, "decision", &name) && replicas(line).1 > replicas(line).0);
    assert!(details(&up).any(|text| text.contains("expected to miss") && text.contains("allowed")), "{up}");
    world.wait_for("shrinkage", |line| is(line, "decision", &name) && replicas(line).1 < replicas(line).0);
    let state = world.state();
    let plan = &state["autoscalers"][0]["plan"];
    assert!(plan["replicas"].as_u64() >= Some(1) && plan["costPerHour"].as_f64() > Some(0.0), "{state}");
    assert!(plan["madeAt"].as_f64() > Some(0.0), "{state}");
    let ended = world.terminate();
    assert_eq!(ended.summary()["failed"], 0);
}

#[test]
fn without_anything_known_of_the_engine_it_says_so_and_the_metrics_decide() {
    let group = Group { before: Some(String::new()), ..Group::new("Hybrid", 1, 3) };
    let name = group.name.clone();
    let mut world = World::start(&group.manifest(), &[]);
    world.wait_for("the reason", |line| {
        line["type"] == "warning"
            && line["message"].as_str().is_some_and(|text| text.contains("only its metrics decide"))
    });
    world.wait_for_ready(&name, 1);
    let crowd = Crowd::start(&world.gateway, &name, 10, 100);
    world.wait_for_ready(&name, 3);
    let requests = crowd.end();
    world.wait_for_ready(&name, 1);
    let ended = world.terminate();
    ended.answered(requests);
    let decisions: Vec<&Value> = ended.lines.iter().filter(|line| is(line, "decision", &name)).collect();
    assert!(!decisions.is_empty() && decisions.iter().all(|line| details(line).any(|text| text == "reactive only")));
}

#[test]
fn an_advisor_tells_what_it_would_have_used() {
    let group = Group { replicas: Some(3), ..Group::new("APA", 3, 3) };
    let name = &group.name;
    let advisor = group.manifest();
    let (_, advisor) = advisor.rsplit_once("---\n").unwrap();
    let advisor = advisor
        .replacen(&format!("  name: {name}\n"), "  name: advisor\n", 1)
        .replace("minReplicas: 3", "minReplicas: 1\n  mode: Recommend")
        .replace("strategy: APA", "strategy: Hybrid");
    let mut world = World::start(&format!("{}---\n{advisor}", group.manifest()), &[]);
    for _ in 0..4 {
        world.wait_for("advice", |line| is(line, "decision", "advisor") && line["desired"] == 1);
    }
    let ended = world.terminate();
    let advice = &ended.summary()["advice"]["advisor"];
    let (would, used) = (advice["replicaSeconds"].as_f64(), advice["usedReplicaSeconds"].as_f64());
    assert!(would > Some(0.0) && used > would, "{advice}");
}

#[test]
fn check_tells_what_plans_rest_on_and_reads_the_files_that_are_named() {
    let group = planned().manifest();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("world.yaml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        run(&["check", file.to_str().unwrap()])
    };
    assert!(check(&group).good().stdout.contains("stand-in, l4-8b"));
    let named = group.replace("  scaleTargetRef", "  profiles: [{ gpuType: own, file: own.json }]\n  scaleTargetRef");
    let missing = check(&named);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stdout.contains("spec.profiles[0].file: own.json: "), "{missing:?}");
    std::fs::write(folder.path().join("own.json"), "{\"weightsMs\": -1}").unwrap();
    assert!(check(&named).stdout.contains("spec.profiles[0].file: own.json: "));
    let world = run(&["up", file.to_str().unwrap(), "--json", "--for", "1s"]);
    assert_eq!(world.code, Some(1), "{world:?}");
    assert!(world.stderr.contains("spec.profiles[0].file: own.json"), "{world:?}");
}

#[test]
fn two_gpu_types_of_one_model_are_planned_together() {
    let sample = in_repository("config/samples/two-gpu-types.yaml");
    let engines = "chat-l4=l4-8b,chat-a100=a100-8b";
    // More than the minimum of the large type carries, so that there is a choice.
    let shape = "burst:base=16,peak=24,every=600s,for=300s,input=700,output=110";
    let timeline = tempfile::NamedTempFile::new().unwrap();
    let arguments = [
        "simulate",
        sample.to_str().unwrap(),
        "--engine",
        engines,
        "--shape",
        shape,
        "--for",
        "40m",
        "--json",
        "--timeline",
        timeline.path().to_str().unwrap(),
    ];
    let line = run(&arguments).good().lines().remove(0);
    assert!(line["attainment"].as_f64() > Some(0.9), "{line}");
    let text = std::fs::read_to_string(timeline.path()).unwrap();
    assert!(text.contains("expected to miss"), "the plan is in no reason");
    // Prices are the manifest's where none is given; the dearer a type, the less of it runs.
    let dear = run(&[&arguments[..], &["--price", "chat-l4=0.8,chat-a100=40"]].concat()).good().lines().remove(0);
    let hours = |line: &Value, at: usize| line["groups"][at]["gpuHours"].as_f64().unwrap();
    assert!(hours(&dear, 1) <= hours(&line, 1) && hours(&dear, 0) >= hours(&line, 0), "{line} {dear}");
}
