//! The validating webhook, asked by a real API server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::large_futures,
    reason = "all of it is test code"
)]

mod common;

use autoscaler_api::PodAutoscaler;
use autoscaler_kube::Webhook;
use base64::Engine as _;
use common::cluster::{Cluster, quick};
use common::plane::free_port;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Makes an object; why it was refused.
async fn refused(cluster: &Cluster, object: Value) -> Option<String> {
    let object: PodAutoscaler = serde_json::from_value(object).unwrap();
    match cluster.autoscalers().create(&PostParams::default(), &object).await {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status.message),
        Err(error) => panic!("{error}"),
    }
}

fn object(name: &str, target: &str, more: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": {"name": name},
        "spec": {"scalingStrategy": "APA", "minReplicas": 1, "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "metricsSources": [{"metricSourceType": "pod", "protocolType": "http", "port": "8000", "path": "/metrics",
                "targetMetric": "num_requests_running", "targetValue": "4"}]},
    });
    for (key, value) in more.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_before_it_is_stored() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let Some(plane) = cluster.world.own() else { return };
    let (certificate, key, authority) = plane.certificate();
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let webhook = Some(Webhook { address, certificate, key });
    let controller = cluster.controller(autoscaler_kube::Options { webhook, ..quick() }).await;
    // The controller serves it before it leads.
    cluster.autoscaler("first", "APA", json!({})).await;
    cluster.condition("first", "AbleToScale", "False", "FailedGetScale").await;
    cluster
        .create(json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "aibrix-autoscaler"},
            "webhooks": [{"name": "podautoscalers.autoscaling.aibrix.ai", "admissionReviewVersions": ["v1"],
                "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 5,
                "rules": [{"apiGroups": ["autoscaling.aibrix.ai"], "apiVersions": ["v1alpha1"],
                    "operations": ["CREATE", "UPDATE"], "resources": ["podautoscalers"]}],
                "clientConfig": {"url": format!("https://{address}/validate"), "caBundle": authority}}],
        }))
        .await;
    // A client that says nothing keeps nobody out.
    let _silent = tokio::net::TcpStream::connect(address).await.unwrap();
    // The API server takes a moment to know of its webhooks.
    let taken = async {
        loop {
            let probe = object("probe", "first", &json!({}));
            let Some(why) = refused(&cluster, probe).await else {
                cluster.autoscalers().delete("probe", &kube::api::DeleteParams::default()).await.unwrap();
                continue;
            };
            return why;
        }
    };
    let why = tokio::time::timeout(common::GUARD, taken).await.unwrap();
    assert!(why.contains("Deployment first is scaled by the PodAutoscaler first already"), "{why}");
    // Two rules that no schema states.
    let upside_down = object("second", "second", &json!({"minReplicas": 9}));
    let why = refused(&cluster, upside_down).await.unwrap();
    assert!(why.contains("spec.minReplicas"), "{why}");
    assert_eq!(refused(&cluster, object("watching", "first", &json!({"mode": "Recommend"}))).await, None);
    assert_eq!(refused(&cluster, object("second", "second", &json!({}))).await, None);
    // Changes are reviewed, too; those that change no claim pass.
    let (params, act) = (PatchParams::default(), json!({"spec": {"mode": "Apply"}}));
    let error = cluster.autoscalers().patch("watching", &params, &Patch::Merge(&act)).await.unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");
    let larger = json!({"spec": {"maxReplicas": 7}});
    cluster.autoscalers().patch("first", &params, &Patch::Merge(&larger)).await.unwrap();
    controller.stop().await;
}
