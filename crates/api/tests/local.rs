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
    let settings = settings(json!({"ports": [{"name": "metrics", "number": 9000}, {"name": "other"}]}));
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
        (json!({"ports": [{"name": "a"}, {"name": "a"}]}), "spec.ports[1].name: \"a\" is used twice"),
        (json!({"readiness": {"path": "x"}}), "spec.readiness.path: \"x\" does not begin with a slash"),
        (json!({"readiness": {"port": "x"}}), "spec.readiness.port: no port is called \"x\""),
        (json!({"startTimeoutSeconds": -1}), "spec.startTimeoutSeconds: -1 is out of range"),
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
fn a_command_without_its_port_is_a_warning() {
    let found = read("f", &deployment(json!({"command": ["serve"]})).to_string()).findings;
    assert!(found[0].to_string().contains("nothing tells the process its port"));
    assert!(
        read("f", &deployment(json!({"command": ["serve"], "env": {"PORT": "{port}"}})).to_string())
            .findings
            .is_empty()
    );
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
    for address in ["localhost", ":80", "a:b", "a:70000"] {
        let found = world(json!({"gatewayAddress": address})).findings;
        assert!(found[0].to_string().contains("is not an address"), "{address}");
    }
    assert!(!world(json!({"tickIntervalSeconds": 0})).is_valid());
}
