//! The local world's kinds: rules and defaults.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

mod common;

use autoscaler_api::local::{DeploymentSettings, MAIN_PORT, WorldSettings};
use autoscaler_api::read;
use serde_json::{Value, json};
use std::time::Duration;

fn deployment(fields: Value) -> Value {
    let mut spec = json!({"command": ["serve", "--port", "{port}"]});
    for (key, value) in fields.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "local.autoscaling.aibrix.ai/v1alpha1", "kind": "LocalDeployment", "metadata": {"name": "d"}, "spec": spec})
}

fn settings(fields: Value) -> DeploymentSettings {
    let read = read("f", &deployment(fields).to_string());
    assert!(read.findings.is_empty(), "{:?}", read.findings);
    DeploymentSettings::of(&read.deployments[0])
}

#[test]
fn a_command_is_all_that_is_needed() {
    let settings = settings(json!({}));
    assert_eq!((settings.name.as_str(), settings.models.as_slice()), ("d", &["d".to_owned()][..]));
    assert_eq!((settings.gpus_per_replica, settings.replicas, settings.max_held), (0, None, 256));
    assert_eq!((settings.readiness.path.as_str(), settings.readiness.port.as_str()), ("/health", MAIN_PORT));
    assert_eq!(settings.metrics_path, "/metrics");
    assert_eq!(settings.drain_timeout, settings.request_timeout, "a drain lets every request finish");
}

#[test]
fn a_source_finds_a_port_by_name_or_number() {
    let settings = settings(json!({
        "command": ["serve", "{port}", "{port:metrics}", "{port:other}"],
        "ports": [{"name": "metrics", "number": 9000}, {"name": "other"}]
    }));
    assert_eq!(settings.port_name("metrics"), Some("metrics"));
    assert_eq!(settings.port_name("9000"), Some("metrics"));
    assert_eq!(settings.port_name("http"), Some("http"));
    assert_eq!(settings.port_name("8000"), None);
}

#[test]
fn mistakes_are_named() {
    for (fields, wanted) in [
        (json!({"command": []}), "spec.command: must not be empty"),
        (json!({"command": [""]}), "spec.command: needs a program to run"),
        (json!({"command": ["a", "{port:x}", "{port}"]}), "spec.command[1]: no port is called \"x\" (allowed: http)"),
        (json!({"ports": [{"name": "http"}]}), "spec.ports[0].name: http is the main port"),
        (json!({"ports": [{"name": "80"}]}), "spec.ports[0].name: \"80\" is not a name"),
        (json!({"ports": [{"name": "Admin"}]}), "spec.ports[0].name: \"Admin\" is not a name (allowed: lower-case"),
        (
            json!({"command": ["a", "{port}", "{port:a}"], "ports": [{"name": "a"}, {"name": "a"}]}),
            "spec.ports[1].name: \"a\" is used twice",
        ),
        (json!({"readiness": {"path": "x"}}), "spec.readiness.path: \"x\" does not begin with a slash"),
        (json!({"readiness": {"port": "x"}}), "spec.readiness.port: no port is called \"x\""),
        (json!({"readiness": {"path": "/a b"}}), "spec.readiness.path: holds blanks"),
        (json!({"startTimeoutSeconds": -1}), "spec.startTimeoutSeconds: -1 is out of range"),
        (json!({"startTimeoutSeconds": 0}), "spec.startTimeoutSeconds: 0 is out of range (allowed: 0.001 to 86400"),
        (json!({"workingDir": ""}), "spec.workingDir: must not be empty"),
        (json!({"engine": "vlm"}), "spec.engine: \"vlm\" is not a known engine; did you mean vllm?"),
        (
            json!({"command": ["serve", "{port}", "{model}"]}),
            "spec.command[2]: unknown placeholder {model} (allowed: {port}, {port:NAME}, {index}, {name})",
        ),
        (json!({"command": ["serve", "{prt}"]}), "spec.command[1]: unknown placeholder {prt}; did you mean {port}?"),
        (json!({"command": ["serve", "{port}", "a\u{0}"]}), "spec.command[2]: no program can be given this"),
        (
            json!({"gpusPerReplica": 1, "env": {"CUDA_VISIBLE_DEVICES": "0"}}),
            "spec.env[CUDA_VISIBLE_DEVICES]: is set from gpusPerReplica",
        ),
        (
            json!({"restartBackoff": {"initialSeconds": 5, "maxSeconds": 1}}),
            "spec.restartBackoff.initialSeconds: 5 is above",
        ),
        (json!({"gpusPerReplica": -1}), "spec.gpusPerReplica: -1 is out of range"),
        (json!({"env": {"A=B": "1"}}), "spec.env: \"A=B\" cannot name a variable"),
        (json!({"env": {"A": 1}}), "spec.env[A]: must be a string: write \"1\""),
        (json!({"gpus": 1}), "spec.gpus: unknown field"),
    ] {
        let found: Vec<_> =
            read("f", &deployment(fields).to_string()).findings.iter().map(ToString::to_string).collect();
        assert!(found.len() == 1 && found[0].starts_with(&format!("f: {wanted}")), "wanted {wanted}, found {found:?}");
    }
}

#[test]
fn a_command_without_its_port_is_refused() {
    for command in [json!(["serve"]), json!(["serve", "--port", "8000"]), json!(["serve", "${port}"])] {
        let found = read("f", &deployment(json!({"command": command})).to_string()).findings;
        assert!(found[0].diagnostic.is_error());
        assert!(found[0].to_string().contains("nothing tells the process its port"));
    }
    let by_environment = deployment(json!({"command": ["serve"], "env": {"PORT": "{port}"}}));
    assert!(read("f", &by_environment.to_string()).findings.is_empty());
}

#[test]
fn a_port_that_the_process_is_not_told_is_reported() {
    let unused = json!({"ports": [{"name": "metrics"}]});
    let found = read("f", &deployment(unused).to_string());
    assert!(
        found.is_valid() && found.findings[0].to_string().contains("its port \"metrics\", so nobody listens there")
    );
    let asked = json!({"ports": [{"name": "metrics"}], "readiness": {"port": "metrics"}});
    let found = read("f", &deployment(asked).to_string());
    assert!(
        found
            .findings
            .iter()
            .any(|found| found.diagnostic.is_error() && found.diagnostic.path == "spec.readiness.port")
    );
}

#[test]
fn more_ports_than_a_replica_is_lent_are_refused() {
    let ports: Vec<Value> = (0..16).map(|index| json!({"name": format!("p{index}")})).collect();
    let command: Vec<String> = ["serve".to_owned(), "{port}".to_owned()]
        .into_iter()
        .chain((0..16).map(|i| format!("{{port:p{i}}}")))
        .collect();
    let found = read("f", &deployment(json!({"command": command, "ports": ports})).to_string()).findings;
    assert!(found.len() == 1 && found[0].to_string().contains("asks for 17 ports"), "{found:?}");
}

#[test]
fn a_group_has_a_short_name_without_dots() {
    for name in ["a.b", "a-name-of-more-than-forty-characters-in-all"] {
        let mut object = deployment(json!({}));
        object["metadata"]["name"] = json!(name);
        let found = read("f", &object.to_string()).findings;
        assert!(found.len() == 1 && found[0].to_string().contains("cannot name a group of processes"), "{found:?}");
    }
}

#[test]
fn every_engine_that_is_read_may_be_named() {
    for engine in ["vllm", "SGLang", "tensorrt-llm", "llama.cpp", "triton", "dynamo", "xllm", "generic"] {
        settings(json!({"engine": engine}));
    }
}

fn world(spec: Value) -> Value {
    json!({"apiVersion": "local.autoscaling.aibrix.ai/v1alpha1", "kind": "LocalWorld", "metadata": {"name": "w"}, "spec": spec})
}

fn named(name: &str, fields: Value) -> Value {
    let mut object = deployment(fields);
    object["metadata"]["name"] = json!(name);
    object
}

/// What is refused about several objects in one file.
fn together(objects: &[Value]) -> Vec<String> {
    let text: Vec<String> = objects.iter().map(ToString::to_string).collect();
    let found = read("f", &text.join("\n")).findings;
    found.iter().filter(|found| found.diagnostic.is_error()).map(ToString::to_string).collect()
}

/// An autoscaler of the group `d` with these fields of its one source.
fn scaling(source: Value) -> Value {
    let mut object = common::with_source("APA", source);
    object["spec"]["scaleTargetRef"] =
        json!({"apiVersion": "local.autoscaling.aibrix.ai/v1alpha1", "kind": "LocalDeployment", "name": "d"});
    object
}

#[test]
fn a_name_or_a_model_leads_to_one_group() {
    assert_eq!(
        together(&[deployment(json!({})), deployment(json!({}))]),
        ["f: metadata.name: two LocalDeployments are called \"d\"; the other is document 1 [document 2]"]
    );
    let (a, b) = (named("a", json!({"models": ["m", "n"]})), named("b", json!({"models": ["o", "n"]})));
    assert_eq!(
        together(&[a.clone(), b]),
        ["f: spec.models[1]: the model \"n\" leads to LocalDeployment \"a\" already [document 2]"]
    );
    assert_eq!(
        together(&[a, named("m", json!({}))]),
        ["f: metadata.name: the model \"m\" leads to LocalDeployment \"a\" already [document 2]"],
        "a group without models has its name as one"
    );
}

#[test]
fn a_replica_fits_the_gpus_of_the_world() {
    let of = |gpus: i32| together(&[deployment(json!({"gpusPerReplica": gpus})), world(json!({"gpus": 2}))]);
    assert!(of(2).is_empty());
    assert_eq!(
        of(3),
        ["f: spec.gpusPerReplica: 3 is more than the 2 that the LocalWorld has (allowed: 0 to 2) [document 1]"]
    );
}

#[test]
fn an_autoscaler_of_a_local_world_scales_a_group_of_its_file() {
    assert!(together(&[deployment(json!({})), scaling(json!({}))]).is_empty());
    assert_eq!(
        together(&[named("e", json!({})), scaling(json!({}))]),
        ["f: spec.scaleTargetRef.name: this file has no LocalDeployment \"d\" (allowed: e) [document 2]"]
    );
    assert_eq!(
        together(&[scaling(json!({}))]),
        ["f: spec.scaleTargetRef.name: this file has no LocalDeployment \"d\""]
    );
    assert_eq!(together(&[common::manifest("APA")]).len(), 0, "a Deployment without any group is the cluster's");
    assert_eq!(together(&[named("e", json!({})), common::manifest("APA")]).len(), 1);
}

#[test]
fn a_source_reads_a_port_that_its_group_has() {
    let metrics = deployment(json!({"command": ["a", "{port}", "{port:metrics}"], "ports": [{"name": "metrics"}]}));
    for port in ["http", "metrics", "8000"] {
        assert!(together(&[metrics.clone(), scaling(json!({"port": port}))]).is_empty(), "{port}");
    }
    assert_eq!(
        together(&[metrics, scaling(json!({"port": "metric"}))]),
        [
            "f: spec.metricsSources[0].port: \"metric\" is no port of LocalDeployment \"d\" (allowed: http, metrics) [document 2]"
        ]
    );
}

#[test]
fn a_source_that_only_a_cluster_has_is_refused_in_a_local_world() {
    let bare = |kind: &str| {
        scaling(
            json!({"metricSourceType": kind, "targetMetric": "cpu", "protocolType": null, "port": null, "path": null}),
        )
    };
    for kind in ["resource", "external", "domain"] {
        let found = together(&[deployment(json!({})), bare(kind)]);
        assert!(found.len() == 1 && found[0].contains("is not read in the local world"), "{found:?}");
    }
    assert!(together(&[deployment(json!({})), bare("custom")]).is_empty());
}

#[test]
fn a_group_of_the_local_world_is_planned_alone_so_routing_by_size_means_nothing_to_it() {
    let mut object = scaling(common::pod_source());
    object["spec"]["scalingStrategy"] = json!("Hybrid");
    for (by_size, said) in [(true, 1), (false, 0)] {
        object["spec"]["routesBySize"] = json!(by_size);
        let found = read("f", &format!("{}\n{object}", named("d", json!({})))).findings;
        let about = |text: &str| text.contains("spec.routesBySize: has no effect in the local world");
        assert_eq!(found.iter().filter(|one| about(&one.to_string())).count(), said, "{found:?}");
    }
}

#[test]
fn the_world_has_defaults_and_checked_addresses() {
    let defaults = WorldSettings::default();
    assert_eq!((defaults.scrape_interval, defaults.tick_interval), (Duration::from_secs(1), Duration::from_secs(5)));
    let world = |spec: Value| {
        let object = json!({"apiVersion": "local.autoscaling.aibrix.ai/v1alpha1", "kind": "LocalWorld", "metadata": {"name": "w"}, "spec": spec});
        read("f", &object.to_string())
    };
    assert!(
        world(json!({"gatewayAddress": "127.0.0.1:0", "dashboardAddress": "[::1]:8081", "gpus": 0}))
            .findings
            .is_empty()
    );
    for address in ["localhost", "localhost:8080", ":80", "a:b", "127.0.0.1:70000"] {
        let found = world(json!({"gatewayAddress": address})).findings;
        assert!(found[0].to_string().contains("is not an address (allowed: IP:port"), "{address}");
    }
    assert!(!world(json!({"tickIntervalSeconds": 0})).is_valid());
}
