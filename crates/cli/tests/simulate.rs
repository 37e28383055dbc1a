//! `simulate` and `compare`: what they print is relied on from outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::{in_repository, run};
use serde_json::Value;
use std::fmt::Write;

const LOAD: &str = "burst:base=2,peak=7,every=300s,for=60s,input=700,output=110";

/// The fields of a cell, in their order.
const CELL: [&str; 21] = [
    "trace",
    "engine",
    "coldStart",
    "seed",
    "policy",
    "requests",
    "attainment",
    "gpuHours",
    "oracleGpuHours",
    "oracleAttainment",
    "score",
    "lateOracleGpuHours",
    "ttftP50",
    "ttftP99",
    "tpotP50",
    "tpotP99",
    "reversalsPerHour",
    "aborted",
    "peakReplicas",
    "wallSeconds",
    "target",
];

#[test]
fn a_manifest_is_simulated_by_the_products_own_code() {
    let sample = in_repository("config/samples/apa.yaml");
    let arguments = ["simulate", sample.to_str().unwrap(), "--shape", LOAD, "--for", "20m", "--json"];
    let plain = run(&arguments).good().lines();
    assert_eq!(plain.len(), 1);
    assert!(plain[0].get("score").is_none() && plain[0]["requests"].as_u64() > Some(1000), "{plain:?}");
    let with_oracle = run(&[&arguments[..], &["--oracle"]].concat()).good().lines();
    let line = &with_oracle[0];
    for field in CELL {
        assert!(line.get(field).is_some(), "{field} is missing: {line}");
    }
    assert!(line["oracleAttainment"].as_f64() >= line["target"].as_f64(), "{line}");
    let timeless = |line: &Value| {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("wallSeconds");
        line
    };
    let again = run(&arguments).good().lines();
    assert_eq!(timeless(&plain[0]), timeless(&again[0]), "the same seed");
}

#[test]
fn a_comparison_has_a_line_a_cell_and_a_summary() {
    let arguments = [
        "compare",
        "--shape",
        LOAD,
        "--for",
        "15m",
        "--policies",
        "kpa,apa",
        "--cold-start",
        "30s,120s",
        "--seed",
        "1,2",
    ];
    let lines = run(&[&arguments[..], &["--json", "--threads", "2"]].concat()).good().lines();
    let (summary, cells) = lines.split_last().unwrap();
    // Four references and two policies, twice two times.
    assert_eq!(cells.len(), 24);
    for (cell, field) in cells.iter().flat_map(|cell| CELL.map(|field| (cell, field))) {
        assert!(cell.get(field).is_some(), "{field} is missing: {cell}");
    }
    let summary = summary["summary"].as_array().unwrap();
    assert_eq!(summary.len(), 6);
    for line in summary {
        for field in ["policy", "score", "worst", "cellsAtTarget", "cells"] {
            assert!(line.get(field).is_some(), "{field} is missing: {line}");
        }
        let policy = line["policy"].as_str().unwrap();
        let reference = !["kpa", "apa"].contains(&policy);
        assert_eq!(line.get("reference"), reference.then_some(&Value::Bool(true)), "{policy}");
    }
    let table = run(&arguments).good().stdout;
    assert!(table.contains("SUMMARY") && table.contains("late-oracle *"), "{table}");
}

#[test]
fn a_report_is_one_page_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let path = page.to_str().unwrap();
    run(&["compare", "--shape", LOAD, "--for", "10m", "--policies", "kpa", "--report", path]).good();
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains("\"lateOracleGpuHours\"") && text.contains("\"points\":[{"), "{}", text.len());
    assert!(!text.contains("http://") || !text.contains("<script src"), "it needs nothing else");
    run(&["simulate", "--policy", "apa", "--shape", LOAD, "--for", "10m", "--report", path]).good();
    assert!(std::fs::read_to_string(&page).unwrap().contains("\"changes\":[{"));
}

#[test]
fn whatever_compare_knows_by_name_simulate_knows_too() {
    let run = run(&["simulate", "--policy", "hybrid-no-forecast", "--shape", LOAD, "--for", "5m", "--json"]).good();
    assert_eq!(run.lines()[0]["policy"], "hybrid-no-forecast");
}

#[test]
fn what_cannot_be_simulated_is_said() {
    let external = in_repository("config/samples/external.yaml");
    let shape = ["--shape", "poisson:rate=2", "--for", "5m"];
    let of = |first: &[&str]| run(&[&["simulate"], first, &shape].concat());
    of(&[external.to_str().unwrap()]).refused(1, &["metricSourceType", "(allowed: pod)"]);
    of(&["--policy", "nonsense"]).refused(2, &["hpa-kv"]);
    of(&["--policy", "kpa", "--engine", "abacus"]).refused(2, &["neither a file nor a built-in engine"]);
    run(&["simulate", "--policy", "kpa", "--trace", "nowhere.csv"]).refused(1, &["nowhere.csv"]);
    let manifest = "apiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscaler\nmetadata: {name: a}\nspec:\n  scalingStrategy: APA\n  maxReplicas: 3\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}\n  metricsSources:\n    - {metricSourceType: pod, protocolType: http, port: \"80\", path: /m, targetMetric: moon_phase, targetValue: \"1\"}\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    std::fs::write(&file, manifest).unwrap();
    of(&[file.to_str().unwrap()])
        .refused(1, &["spec.metricsSources[0].targetMetric: moon_phase", "num_requests_running"]);
}

#[test]
fn tuning_prints_a_manifest_that_is_valid_and_no_worse() {
    let arguments = ["compare", "--tune", "kpa", "--shape", LOAD, "--for", "30m", "--cold-start", "30s"];
    let tuned = run(&[&arguments[..], &["--json"]].concat()).good().lines().remove(0);
    let number = |field: &str| tuned[field].as_f64().unwrap();
    assert!(number("score") <= number("beganWith") && number("tried") > 10.0, "{tuned}");
    assert!(tuned.get("heldBack").is_some() && tuned.get("heldBackBeganWith").is_some(), "{tuned}");
    let manifest = run(&arguments).good().stdout;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tuned.yaml");
    std::fs::write(&file, manifest).unwrap();
    run(&["check", file.to_str().unwrap()]).good();
    let plan = run(&[&arguments[..2], &["hybrid", "--json"], &arguments[3..]].concat()).good().lines().remove(0);
    let score = |field: &str| plan[field].as_f64().unwrap();
    assert!(
        score("score") <= score("beganWith") && score("beganWith") < number("score"),
        "a plan is not blind: {plan}"
    );
    run(&["compare", "--tune", "wva"]).refused(2, &["allowed: hybrid, optimizer, hpa-kv, hpa-waiting, kpa, apa"]);
}

/// Two autoscalers in one manifest.
fn two(folder: &std::path::Path) -> String {
    let one = |name: &str| {
        format!(
            "apiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscaler\nmetadata: {{name: {name}}}\nspec:\n  scalingStrategy: APA\n  \
             maxReplicas: 8\n  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}\n  metricsSources:\n    - \
             {{metricSourceType: pod, protocolType: http, port: \"80\", path: /m, targetMetric: request_count, targetValue: \"12\"}}\n"
        )
    };
    let file = folder.join("two.yaml");
    std::fs::write(&file, format!("{}---\n{}", one("cheap"), one("fast"))).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn several_groups_serve_one_model_or_several_and_share_a_pool() {
    let folder = tempfile::tempdir().unwrap();
    let file = two(folder.path());
    let mixed = ["--engine", "cheap=l4-8b,fast=a100-8b", "--price", "cheap=0.5,fast=3"];
    let shape = ["--shape", LOAD, "--for", "15m", "--json"];
    let line = run(&[&["simulate", &file], &mixed[..], &shape].concat()).good().lines().remove(0);
    let groups = line["groups"].as_array().unwrap();
    let hours = |at: usize| groups[at]["gpuHours"].as_f64().unwrap();
    assert_eq!((groups.len(), line["policy"].as_str()), (2, Some("cheap+fast")));
    let cost = 0.5 * hours(0) + 3.0 * hours(1);
    assert!((line["cost"].as_f64().unwrap() - cost).abs() < 1e-9 && hours(0) > 0.0 && hours(1) > 0.0, "{line}");

    // Two models, each with a trace of its own, and six GPUs for both.
    let trace = folder.path().join("trace.csv");
    let mut requests = "t,input_tokens,output_tokens\n".to_owned();
    for at in 0..2400 {
        writeln!(requests, "{},700,100", f64::from(at) * 0.25).unwrap();
    }
    std::fs::write(&trace, requests).unwrap();
    let timeline = folder.path().join("timeline.json");
    let traces = format!("cheap={0},fast={0}", trace.display());
    let arguments =
        ["simulate", &file, "--trace", &traces, "--gpus", "6", "--timeline", timeline.to_str().unwrap(), "--json"];
    let line = run(&arguments).good().lines().remove(0);
    assert_eq!(line["attainmentByModel"].as_array().map(Vec::len), Some(2), "{line}");
    let timelines: Value = serde_json::from_str(&std::fs::read_to_string(&timeline).unwrap()).unwrap();
    let points = |name: &str| timelines[name]["points"].as_array().unwrap().clone();
    let count = |point: &Value| point["ready"].as_u64().unwrap() + point["starting"].as_u64().unwrap();
    let most = points("cheap").iter().zip(&points("fast")).map(|(a, b)| count(a) + count(b)).max();
    assert_eq!(most, Some(6), "both want more than there is");

    run(&[&["simulate", &file, "--engine", "slow=l4-8b"], &shape[..]].concat()).refused(2, &["no PodAutoscaler slow"]);
    run(&[&["simulate", &file, "--oracle"], &shape[..]].concat()).refused(2, &["one group only"]);
}
