//! The commands that print and end: their help, their output and their exit codes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::{in_repository, run, run_with_input};
use serde_json::Value;

/// A manifest with three errors.
const BROKEN: &str = "apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: { name: chat }
spec:
  scalingStrategy: XPA
  minReplicas: 1
  maxReplicas: 4
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: chat }
  metricsSources:
    - { metricSourceType: pod, protocolType: http, port: \"8000\", path: /metrics, targetMetric: x, targetValue: \"-1\" }
    - { metricSourceType: pdo, targetMetric: y, targetValue: \"1\" }
";

#[test]
fn the_help_of_every_command_has_an_example() {
    let help = run(&["--help"]).good().stdout;
    let listed = help.split_once("Commands:").unwrap().1.split_once("\n\n").unwrap().0;
    // What is said of a command may go on in the next line.
    let names = listed.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let commands: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    assert!(commands.contains(&"up") && commands.contains(&"decide"), "{commands:?}");
    for command in commands.iter().filter(|command| **command != "help") {
        let help = run(&[command, "--help"]).good().stdout;
        let example = format!("aibrix-autoscaler {command}");
        let after = help.split_once("Example").unwrap_or_else(|| panic!("{command} has no example: {help}")).1;
        assert!(after.contains(&example), "{command}: {help}");
    }
}

#[test]
fn completions_are_printed_for_each_shell() {
    for (shell, mark) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
        let script = run(&["completions", shell]).good().stdout;
        assert!(script.contains(mark) && script.contains("print-quickstart"), "{shell}");
    }
    run(&["completions", "tcsh"]).refused(2, &["tcsh", "bash"]);
}

#[test]
fn the_crd_printed_is_the_one_in_the_repository() {
    let file = std::fs::read_to_string(in_repository("config/crd/autoscaling.aibrix.ai_podautoscalers.yaml")).unwrap();
    assert!(run(&["crd"]).good().stdout == file, "run: cargo run -- crd > config/crd/…");
}

#[test]
fn check_passes_good_manifests_and_names_each_error_of_others() {
    let sample = in_repository("config/samples/apa.yaml");
    let good = run(&["check", sample.to_str().unwrap()]).good();
    assert_eq!(good.stdout, "");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.yaml");
    std::fs::write(&file, BROKEN).unwrap();
    let name = file.to_str().unwrap();
    let bad = run(&["check", name, sample.to_str().unwrap()]);
    assert_eq!(bad.code, Some(1));
    for path in ["scalingStrategy", "metricsSources[0].targetValue", "metricsSources[1].metricSourceType"] {
        let beginning = format!("{name}: spec.{path}: ");
        assert!(bad.stdout.lines().any(|line| line.starts_with(&beginning)), "{beginning} in {}", bad.stdout);
    }
    let lines = run(&["check", "--json", name]).lines();
    assert!(lines.iter().any(|line| line["path"] == "spec.scalingStrategy" && line["severity"] == "error"));
    assert!(lines.iter().all(|line| line["file"] == name && line["message"].is_string()), "{lines:?}");
}

#[test]
fn check_reads_standard_input() {
    let sample = std::fs::read_to_string(in_repository("config/samples/kpa.yaml")).unwrap();
    run_with_input(&["check", "-"], &sample).good();
    assert_eq!(run_with_input(&["check", "-"], BROKEN).code, Some(1));
}

/// A recording of one autoscaler.
fn recording(strategy: &str, more: &str, (metric, target): (&str, &str), rest: &str) -> String {
    format!(
        "autoscaler:
  apiVersion: autoscaling.aibrix.ai/v1alpha1
  kind: PodAutoscaler
  metadata:
    name: chat
    annotations: {{ autoscaling.aibrix.ai/panic-threshold: \"2\", autoscaling.aibrix.ai/max-scale-up-rate: \"2\" }}
  spec:
    scalingStrategy: {strategy}
    minReplicas: 1
    maxReplicas: 10
    {more}
    scaleTargetRef: {{ apiVersion: apps/v1, kind: Deployment, name: chat }}
    metricsSources:
      - {{ metricSourceType: pod, protocolType: http, port: \"8000\", path: /metrics, targetMetric: {metric}, targetValue: \"{target}\" }}
{rest}"
    )
}

fn decide(recording: &str) -> Vec<Value> {
    run_with_input(&["decide", "-"], recording).good().lines()
}

/// `desired`, `recommendation`, `panic` and the rules of the trail.
fn gist(line: &Value) -> (u64, Option<u64>, bool, Vec<&str>) {
    let rules = line["trail"].as_array().unwrap().iter().map(|step| step["rule"].as_str().unwrap()).collect();
    (line["desired"].as_u64().unwrap(), line["recommendation"].as_u64(), line["panic"] == true, rules)
}

#[test]
fn decide_follows_the_rules_of_an_hpa() {
    // 8.5 a pod on average, target 5: ceil(2 × 1.7).
    let ticks = "history: {}
ticks:
  - { at: 0, replicas: 2, pods: [{ name: a, metrics: { num_requests_running: 9 } }, { name: b, metrics: { num_requests_running: 8 } }] }";
    let lines = decide(&recording("HPA", "", ("num_requests_running", "5"), ticks));
    assert_eq!(gist(&lines[0]), (4, Some(4), false, vec!["above-target"]));
    assert_eq!(lines[0]["reason"], "num_requests_running above target");
    assert_eq!(lines[0]["trail"][0]["before"], 2);
    assert_eq!(lines[0]["trail"][0]["after"], 4);
}

#[test]
fn decide_follows_the_rules_of_a_kpa() {
    // 40 ÷ 16 needs 3, which is panic for one ready replica; the rate allows twice the ready ones.
    let ticks = "ticks:\n  - { at: 0, replicas: 1, pods: [{ name: a, metrics: { request_count: 40 } }] }";
    let windows = "observeWindowSeconds: 180\n    panicWindowSeconds: 60";
    let lines = decide(&recording("KPA", windows, ("request_count", "16"), ticks));
    assert_eq!(gist(&lines[0]), (2, Some(2), true, vec!["panic-started", "above-target"]));
    assert_eq!((&lines[0]["stable"], &lines[0]["panicAverage"]), (&40.0.into(), &40.0.into()));
}

#[test]
fn decide_follows_the_rules_of_an_apa() {
    // 0.75 on average, target 0.5: 2 × 1.5. Later a fifth of the target: ceil(3 × 0.2), once the cooldown is over.
    let pods = |values: &[f64]| {
        let pods = values
            .iter()
            .enumerate()
            .map(|(i, v)| format!("{{ name: p{i}, metrics: {{ kv_cache_usage_perc: {v} }} }}"));
        pods.collect::<Vec<_>>().join(", ")
    };
    let ticks = format!(
        "ticks:
  - {{ at: 0, replicas: 2, pods: [{}] }}
  - {{ at: 200, replicas: 3, pods: [{1}] }}
  - {{ at: 600, replicas: 3, pods: [{1}] }}",
        pods(&[0.8, 0.7]),
        pods(&[0.1, 0.1, 0.1])
    );
    let lines = decide(&recording("APA", "", ("kv_cache_usage_perc", "0.5"), &ticks));
    assert_eq!(gist(&lines[0]), (3, Some(3), false, vec!["above-target"]));
    assert_eq!((&lines[1]["desired"], &lines[1]["recommendation"]), (&3.into(), &1.into()), "{}", lines[1]);
    assert_eq!(gist(&lines[2]).0, 1);
}

#[test]
fn a_metric_that_was_not_read_holds() {
    let ticks = "ticks:\n  - { at: 0, replicas: 4, pods: [{ name: a }, { name: b }] }";
    for strategy in ["HPA", "KPA", "APA"] {
        let lines = decide(&recording(strategy, "", ("request_count", "16"), ticks));
        assert_eq!((&lines[0]["desired"], &lines[0]["recommendation"]), (&4.into(), &Value::Null), "{}", lines[0]);
        assert_ne!(lines[0]["reason"], "");
    }
}

#[test]
fn a_run_in_two_parts_with_a_saved_state_decides_as_one() {
    let tick = |at: u32| {
        let load = if at < 120 { 40 } else { 4 };
        format!(
            "  - {{ at: {at}, replicas: 2, pods: [{{ name: a, metrics: {{ request_count: {load} }} }}, {{ name: b, metrics: {{ request_count: {load} }} }}] }}\n"
        )
    };
    let ticks = |from: u32, to: u32| format!("ticks:\n{}", (from..to).step_by(10).map(tick).collect::<String>());
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let state = state.to_str().unwrap();
    for strategy in ["HPA", "KPA", "APA"] {
        let of = |ticks: &str| recording(strategy, "", ("request_count", "16"), ticks);
        let one = decide(&of(&ticks(0, 400)));
        let first = run_with_input(&["decide", "-", "--state-out", state], &of(&ticks(0, 200))).good().lines();
        let second = run_with_input(&["decide", "-", "--state", state], &of(&ticks(200, 400))).good().lines();
        assert_eq!([first, second].concat(), one, "{strategy}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_allowed() {
    for (arguments, said) in [
        (&["load", "foo"][..], "such as http://127.0.0.1:8080"),
        (&["load", "http://x", "--shape", "posson"], "poisson:rate=5"),
        (&["load", "http://x", "--max-in-flight", "0"], "1.."),
        (&["load", "http://x", "--fail-above", "2"], "from 0 to 1"),
        (&["load", "http://x", "--speed", "0"], "above 0"),
        (&["up", "--load", "even"], "rate= is missing"),
        (&["up", "--for", "soon"], "such as 30s"),
        (&["top", "notaurl"], "such as http://"),
        (&["engine", "--engine", "nope"], "l4-8b"),
        (&["engine", "--speed", "0"], "above 0"),
        (&["engine", "--max-num-seqs", "0"], "1.."),
        (&["engine", "--max-num-batched-tokens", "1"], "256 to"),
        (&["engine", "--fail", "hnag"], "garbage-metrics"),
        (&["decide"], "<FILE>"),
        (&["check"], "<FILES>"),
        (&["scale"], "unrecognized subcommand"),
    ] {
        run(arguments).refused(2, &[said]);
    }
}

#[test]
fn what_cannot_be_read_is_named_and_exits_with_1() {
    for command in ["check", "decide", "up"] {
        run(&[command, "/no/such/file.yaml"]).refused(1, &["/no/such/file.yaml", "cannot be read"]);
    }
    run(&["load", "http://127.0.0.1:9", "--trace", "/no/such/trace.csv"]).refused(1, &["/no/such/trace.csv"]);
    run(&["top", "http://127.0.0.1:9", "--once"]).refused(1, &["http://127.0.0.1:9"]);
    for command in ["up", "decide"] {
        run_with_input(&[command, "-"], "a: [").refused(1, &["standard input"]);
    }
}

#[test]
fn a_manifest_that_cannot_run_here_is_refused_with_field_and_line() {
    let manifest = run(&["up", "--print-quickstart"]).good().stdout;
    let portless = manifest.replacen("--port, \"{port}\", ", "", 1);
    let impatient = manifest.replacen("replicas: 1", "startTimeoutSeconds: 0", 1);
    let up = ["up", "-", "--gateway", "127.0.0.1:0", "--dashboard", "127.0.0.1:0"];
    run_with_input(&up, &portless).refused(1, &["spec.command", "port", "document 2, line"]);
    run_with_input(&up, &impatient).refused(1, &["startTimeoutSeconds", "0"]);
}

#[cfg(target_os = "linux")]
#[test]
fn standard_output_that_cannot_be_written_is_an_error() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let up = ["up", "--json", "--for", "1s", "--speed", "10", "--gateway", "127.0.0.1:0", "--dashboard", "127.0.0.1:0"];
    for arguments in [&["crd"][..], &up] {
        let output = common::command(arguments).stdout(full()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("standard output cannot be written"), "{said}");
    }
}
