//! Every sample passes `check`, and what `check` says about the older ones is what it should be.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

mod common;

use autoscaler_api::read;

#[test]
fn every_sample_is_valid_and_resolves() {
    let samples = common::samples();
    assert!(samples.len() >= 10, "{}", samples.len());
    for (name, text) in samples {
        let manifest = read(&name, &text);
        let said: Vec<String> = manifest.findings.iter().map(ToString::to_string).collect();
        assert!(manifest.is_valid(), "{said:#?}");
        assert!(!manifest.autoscalers.is_empty(), "{name}");
        for autoscaler in &manifest.autoscalers {
            autoscaler_api::resolve(autoscaler).unwrap_or_else(|found| panic!("{name}: {found:?}"));
        }
        let quiet = !["legacy-annotated.yaml", "external.yaml"].contains(&name.as_str());
        assert!(!quiet || said.is_empty(), "a sample shows good form: {said:#?}");
    }
}

#[test]
fn the_legacy_sample_has_every_dead_key_named() {
    let (name, text) = common::samples().into_iter().find(|(name, _)| name == "legacy-annotated.yaml").unwrap();
    let manifest = read(&name, &text);
    let said: Vec<String> = manifest.findings.iter().map(ToString::to_string).collect();
    let expected = include_str!("golden/legacy-annotated.txt");
    assert_eq!(said.join("\n") + "\n", expected);
}

#[test]
fn the_local_sample_finds_its_deployment_by_kubernetes_kind() {
    let (name, text) = common::samples().into_iter().find(|(name, _)| name == "local.yaml").unwrap();
    let manifest = read(&name, &text);
    let deployment = manifest.deployment_of(&manifest.autoscalers[0]).unwrap();
    assert_eq!(deployment.metadata.name.as_deref(), Some("chat-8b"));
    assert_eq!(manifest.world.unwrap().spec.gpus, Some(2));
}
