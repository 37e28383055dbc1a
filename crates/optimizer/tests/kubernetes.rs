//! The service on a real API server, with the rights of `config/optimizer/rbac.yaml` and no others.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
#[allow(dead_code, reason = "other tests use other parts of it")]
#[path = "../../kube/tests/common/plane.rs"]
mod plane;

use common::{profile, until};
use gpu_optimizer::{Config, Options, run};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Far longer than anything takes; a test that gets here has failed.
const GUARD: Duration = Duration::from_secs(180);

/// The role of the manifests, for a user who has no other.
async fn grant(client: &Client) {
    let text = include_str!("../../../config/optimizer/rbac.yaml");
    let role = text.split("\n---\n").find(|part| part.contains("kind: ClusterRole\n")).unwrap();
    let role: ClusterRole = serde_saphyr::from_str(role).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &role).await.unwrap();
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "optimizer-test"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role.metadata.name},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": plane::PLAIN}],
    }))
    .unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &binding).await.unwrap();
}

fn deployment(name: &str, replicas: u32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"model.aibrix.ai/name": "llama", "model.aibrix.ai/min_replicas": "1"},
            "annotations": {"model.aibrix.ai/cost": "2.5"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "engine", "image": "none"}]}}},
    }))
    .unwrap()
}

#[tokio::test]
async fn deployments_and_profiles_are_found_followed_and_let_go_of() {
    let Some(world) = plane::World::find().await else { return };
    let client = Client::try_from(world.config_of(plane::ADMIN).await).unwrap();
    grant(&client).await;
    let space: Namespace = serde_json::from_value(json!({"metadata": {"name": "ml-optimizer"}})).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &space).await.unwrap();
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "ml-optimizer");
    deployments.create(&PostParams::default(), &deployment("a100", 3)).await.unwrap();
    let map: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "profiles", "labels": {"model.aibrix.ai/name": "llama"}},
        "data": {"a100.json": profile("a100", 1.0, 10.0, 1.0)},
    }))
    .unwrap();
    Api::<ConfigMap>::namespaced(client.clone(), "ml-optimizer").create(&PostParams::default(), &map).await.unwrap();

    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kubernetes = Some(world.config_of(plane::PLAIN).await);
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(Config::default(), Options { listen, state: None, kubernetes }, stop.clone()));
    let answered = async |replicas: u32| {
        until(listen, "/metrics/ml-optimizer/a100", |status, text| {
            status == 200 && text.ends_with(&format!("{{model_name=\"llama\"}} {replicas}00\n"))
        })
        .await
    };
    // Without data of the load, what there is is held.
    answered(3).await;
    until(listen, "/readyz", |status, _| status == 200).await;
    let model = until(listen, "/api/v1/models/llama", |_, text| text.contains("ConfigMap ml-optimizer/profiles")).await;
    let model: Value = serde_json::from_str(&model).unwrap();
    let one = &model["deployments"][0];
    assert_eq!((&one["cost"], &one["min"], &one["replicas"]), (&json!(2.5), &json!(1), &json!(3)), "{model}");
    // Somebody scales, another one comes, and one goes.
    let more = json!({"spec": {"replicas": 5}});
    deployments.patch("a100", &PatchParams::default(), &Patch::Merge(&more)).await.unwrap();
    answered(5).await;
    deployments.create(&PostParams::default(), &deployment("a40", 2)).await.unwrap();
    until(listen, "/metrics/ml-optimizer/a40", |status, text| status == 200 && text.ends_with(" 200\n")).await;
    deployments.delete("a100", &DeleteParams::default()).await.unwrap();
    until(listen, "/metrics/ml-optimizer/a100", |status, _| status == 404).await;
    deployments.delete("a40", &DeleteParams::default()).await.unwrap();
    until(listen, "/api/v1/models", |_, text| text == "[]").await;
    stop.cancel();
    running.await.unwrap().unwrap();
}
