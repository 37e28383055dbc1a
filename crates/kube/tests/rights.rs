//! The manifests in `config/`: the controller works under exactly the rights that they grant, and they ask for what a cluster with
//! strict rules demands.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::large_futures,
    reason = "all of it is test code"
)]

mod common;

use common::cluster::{Cluster, quick};
use common::plane::PLAIN;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use std::path::PathBuf;

fn documents(file: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const ENGINE: &str = r#"{"name": "8b", "overheadMs": 3.0, "weightsMs": 9.0, "computeMsPerToken": 0.055, "kvNsPerToken": 65.0,
    "kvCapacityTokens": 400000}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_needs_no_more_than_its_role_grants() {
    let Some(mut cluster) = Cluster::start().await else { return };
    // Its roles may be there already, and are in use.
    if cluster.world.own().is_none() {
        return;
    }
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let namespace = serde_json::from_value(documents("manager/namespace.yaml").remove(0)).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    for file in ["rbac/cluster-role.yaml", "rbac/role.yaml", "rbac/bindings.yaml"] {
        for mut document in documents(file) {
            // There are no service accounts here; a user stands for ours.
            if document.get("subjects").is_some() {
                document["subjects"] =
                    json!([{"kind": "User", "name": PLAIN, "apiGroup": "rbac.authorization.k8s.io"}]);
            }
            let object: DynamicObject = serde_json::from_value(document).unwrap();
            let types = object.types.clone().unwrap();
            let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
            let api: Api<DynamicObject> = match object.namespace() {
                Some(namespace) => Api::namespaced_with(cluster.client.clone(), &namespace, &resource),
                None => Api::all_with(cluster.client.clone(), &resource),
            };
            api.create(&PostParams::default(), &object).await.unwrap();
        }
    }
    let options = autoscaler_kube::Options { home: Some("aibrix-system".to_owned()), ..quick() };
    let controller = cluster.controller_as(PLAIN, options).await;
    cluster.deployment("chat", 1, json!({})).await;
    cluster.engines.set("chat", 8.0);
    cluster.autoscaler("chat", "APA", json!({})).await;
    cluster.wants("chat", 5).await;
    cluster.condition("chat", "AbleToScale", "True", "SucceededGetScale").await;
    cluster.event("chat", "SuccessfulRescale").await;
    cluster.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "engine"}, "data": {"profile.json": ENGINE}})).await;
    cluster.deployment("planned", 1, json!({})).await;
    let profiles = json!([{"gpuType": "A100", "configMapRef": {"name": "engine"}}]);
    cluster.autoscaler("planned", "Hybrid", json!({ "profiles": profiles })).await;
    // The profile could be read; the pages here count no requests.
    cluster.condition("planned", "PlanFresh", "False", "NoPlanYet").await;
    controller.stop().await;
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(cluster.client.clone(), "aibrix-system");
    let saved = maps.list(&ListParams::default()).await.unwrap();
    assert!(
        saved.iter().any(|map| map.name_any().starts_with("aibrix-autoscaler-memory-")),
        "what it remembers is saved"
    );
}

#[test]
fn its_pods_run_under_restricted_rules() {
    let deployment = documents("manager/deployment.yaml").remove(0);
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    assert!(
        container["resources"]["limits"]["memory"].is_string() && container["resources"]["requests"]["cpu"].is_string()
    );
}

#[test]
fn every_manifest_is_listed_or_an_example() {
    let listed = documents("kustomization.yaml").remove(0);
    let listed: Vec<String> = serde_json::from_value(listed["resources"].clone()).unwrap();
    for folder in ["rbac", "manager"] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config").join(folder);
        for file in std::fs::read_dir(path).unwrap() {
            let name = format!("{folder}/{}", file.unwrap().file_name().to_string_lossy());
            assert!(listed.contains(&name) || name.contains("example"), "{name} is not in kustomization.yaml");
            assert!(documents(&name).iter().all(|document| document["kind"].is_string()), "{name}");
        }
    }
}

#[test]
fn the_role_grants_what_each_metric_source_reads() {
    let role = documents("rbac/cluster-role.yaml").remove(0);
    let granted = |group: &str, resource: &str, verb: &str| {
        role["rules"].as_array().unwrap().iter().any(|rule| {
            let has = |field: &str, wanted: &str| rule[field].as_array().unwrap().iter().any(|one| one == wanted);
            has("apiGroups", group) && has("resources", resource) && has("verbs", verb)
        })
    };
    assert!(granted("metrics.k8s.io", "pods", "list"));
    for group in ["custom.metrics.k8s.io", "external.metrics.k8s.io"] {
        assert!(granted(group, "*", "get") && granted(group, "*", "list"), "{group}");
    }
}
