//! What a manifest means for a run, beyond its own validity.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use autoscaler_up::manifest;
use autoscaler_up::setup::Setup;
use std::collections::BTreeMap;
use std::time::Duration;

fn group(name: &str, spec: &str) -> String {
    let head = "---\napiVersion: local.autoscaling.aibrix.ai/v1alpha1\nkind: LocalDeployment\n";
    format!("{head}metadata: {{ name: {name} }}\nspec: {{ command: [engine, '{{port}}'], {spec} }}\n")
}

fn autoscaler(meta: &str, target: &str, more: &str) -> String {
    format!(
        "---
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {{ {meta} }}
spec:
  scalingStrategy: APA
  minReplicas: 1
  maxReplicas: 2
  scaleTargetRef: {{ apiVersion: local.autoscaling.aibrix.ai/v1alpha1, kind: LocalDeployment, name: {target} }}
  metricsSources:
    - {{ metricSourceType: pod, protocolType: http, port: http, path: /metrics, targetMetric: num_requests_running, targetValue: '1' }}
{more}
"
    )
}

fn read(documents: &[String]) -> Setup {
    manifest::setup("f", &documents.concat(), 1.0).unwrap()
}

fn names(setup: &Setup) -> Vec<&str> {
    setup.autoscalers.iter().map(|one| one.spec.name.as_str()).collect()
}

#[test]
fn of_two_autoscalers_on_one_group_the_first_in_the_file_scales() {
    let setup = read(&[group("g", ""), autoscaler("name: x", "g", ""), autoscaler("name: y", "g", "")]);
    assert_eq!(names(&setup), ["x"]);
    let note = "f: warning: PodAutoscaler y: conflicts with x, which is older and scales g; not used";
    assert!(setup.notes.iter().any(|one| one == note), "{:?}", setup.notes);
}

#[test]
fn an_autoscaler_that_only_recommends_conflicts_with_nobody() {
    let documents = [group("g", ""), autoscaler("name: x", "g", "  mode: Recommend"), autoscaler("name: y", "g", "")];
    let setup = read(&documents);
    assert_eq!(names(&setup), ["x", "y"]);
    assert!(setup.scales("g"));
}

#[test]
fn no_more_replicas_are_started_than_the_autoscaler_allows() {
    let setup = read(&[group("g", "replicas: 12"), autoscaler("name: x", "g", "")]);
    assert_eq!(setup.groups[0].replicas, 2);
    assert!(setup.notes[0].contains("spec.replicas: 12 is above"), "{:?}", setup.notes);
}

#[test]
fn each_group_has_its_own_deadline_in_the_machines_time() {
    let documents = [group("g", "requestTimeoutSeconds: 40"), group("h", "requestTimeoutSeconds: 2")].concat();
    let setup = manifest::setup("f", &documents, 4.0).unwrap();
    let timeouts: Vec<_> = setup.groups.iter().map(|group| group.route.request_timeout).collect();
    assert_eq!(timeouts, [Some(Duration::from_secs(10)), Some(Duration::from_millis(500))]);
}

#[test]
fn an_end_takes_no_longer_than_the_longest_request_or_drain() {
    let longest = |spec: &str| read(&[group("g", spec)]).longest_end();
    assert_eq!(longest("requestTimeoutSeconds: 40, drainTimeoutSeconds: 30"), Duration::from_secs(40));
    assert_eq!(longest("requestTimeoutSeconds: 40, drainTimeoutSeconds: 50"), Duration::from_secs(50));
}

#[test]
fn gpus_of_groups_without_an_autoscaler_are_not_shared_out() {
    let documents =
        [group("fixed", "gpusPerReplica: 1"), group("g", "gpusPerReplica: 2"), autoscaler("name: x", "g", "")];
    let setup = read(&documents);
    let held = BTreeMap::from([("fixed".to_owned(), 2), ("g".to_owned(), 2), ("removed".to_owned(), 1)]);
    let pools = setup.pools(8, &held);
    assert_eq!((pools.len(), pools[0].units), (1, 5));
    assert_eq!(pools[0].members["x"].units_per_replica, 2);
}

#[test]
fn an_opinion_that_is_not_followed_takes_no_gpus() {
    let documents = [
        group("g", "gpusPerReplica: 1"),
        autoscaler("name: x", "g", "  mode: Recommend"),
        autoscaler("name: y", "g", ""),
    ];
    let pools = read(&documents).pools(4, &BTreeMap::new());
    assert_eq!(pools[0].members.keys().collect::<Vec<_>>(), ["y"]);
}

#[test]
fn of_two_autoscalers_on_one_group_the_oldest_scales() {
    let old = "name: y, creationTimestamp: 2020-01-01T00:00:00Z";
    let young = "name: x, creationTimestamp: 2021-01-01T00:00:00Z";
    assert_eq!(names(&read(&[group("g", ""), autoscaler(young, "g", ""), autoscaler(old, "g", "")])), ["y"]);
}

#[test]
fn a_stand_in_engine_serves_its_groups_model_at_the_worlds_speed() {
    let command = |command: &str| {
        let text = group("g", "models: [m]").replace("engine, '{port}'", command);
        let setup = manifest::setup("f", &text, 5.0).unwrap();
        setup.groups[0].spec.command[1..].join(" ")
    };
    let plain = "aibrix-autoscaler, engine, --port, '{port}'";
    assert_eq!(command(plain), "engine --port {port} --speed 5 --model m");
    let said = format!("{plain}, --model=n, --speed, '2'");
    assert_eq!(command(&said), "engine --port {port} --model=n --speed 2");
    assert_eq!(command("vllm, serve, '{port}'"), "serve {port}");
}
