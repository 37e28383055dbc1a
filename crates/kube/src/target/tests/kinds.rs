//! Discovery, and its memory.

use super::failure;
use super::script::{Step, on, script, silence};
use crate::target::{Kinds, TargetError};
use serde_json::{Value, json};
use std::time::Duration;

fn list(api_version: &str, resources: &[(&str, &str)]) -> Value {
    let resources: Vec<Value> = resources
        .iter()
        .map(|(name, kind)| json!({"name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": ["get"]}))
        .collect();
    json!({"kind": "APIResourceList", "groupVersion": api_version, "resources": resources})
}

fn group(name: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> =
        versions.iter().map(|v| json!({"groupVersion": format!("{name}/{v}"), "version": v})).collect();
    json!({"kind": "APIGroup", "name": name, "versions": versions})
}

fn gone(request: &'static str) -> Step {
    on(request, 404, &failure(404, "NotFound", "the server could not find the requested resource"))
}

#[tokio::test(start_paused = true)]
async fn a_kind_is_asked_for_once_and_again_after_ten_minutes() {
    let apps = list(
        "apps/v1",
        &[("deployments", "Deployment"), ("deployments/scale", "Scale"), ("deployments/status", "Deployment")],
    );
    let (client, _server) = script(vec![on("GET /apis/apps/v1", 200, &apps), on("GET /apis/apps/v1", 500, &json!({}))]);
    let kinds = Kinds::default();
    for _ in 0..3 {
        let kind = kinds.resolve(&client, "apps/v1", "Deployment").await.expect("a kind");
        assert_eq!((kind.path("ml").as_str(), kind.scale), ("/apis/apps/v1/namespaces/ml/deployments", true));
        assert_eq!((kind.rbac_name().as_str(), kind.namespaced), ("deployments.apps", true));
    }
    tokio::time::advance(Duration::from_secs(601)).await;
    let kind = kinds.resolve(&client, "apps/v1", "Deployment").await;
    assert!(kind.is_ok(), "a server in trouble does not unmake a kind: {kind:?}");
}

#[tokio::test]
async fn a_version_with_scale_is_found_where_the_named_one_has_none() {
    let bare = list("x.io/v1beta1", &[("engines", "Engine")]);
    let whole = list("x.io/v1", &[("engines", "Engine"), ("engines/scale", "Scale")]);
    for first in [on("GET /apis/x.io/v1beta1", 200, &bare), gone("GET /apis/x.io/v1beta1")] {
        let (client, _server) = script(vec![
            first,
            on("GET /apis/x.io", 200, &group("x.io", &["v1", "v1beta1"])),
            on("GET /apis/x.io/v1", 200, &whole),
        ]);
        let kind = Kinds::default().resolve(&client, "x.io/v1beta1", "Engine").await.expect("a kind");
        assert_eq!((kind.resource.api_version.as_str(), kind.scale), ("x.io/v1", true));
    }
}

#[tokio::test(start_paused = true)]
async fn an_absent_kind_is_remembered_for_a_minute() {
    let (client, _server) = script(vec![
        gone("GET /apis/x.io/v1"),
        gone("GET /apis/x.io"),
        on("GET /apis/x.io/v1", 200, &list("x.io/v1", &[("engines", "Engine"), ("engines/scale", "Scale")])),
    ]);
    let kinds = Kinds::default();
    for _ in 0..2 {
        let error = kinds.resolve(&client, "x.io/v1", "Engine").await.expect_err("no such kind");
        assert_eq!(error.to_string(), "the server serves no API group x.io (for Engine): is its CRD installed?");
        tokio::time::advance(Duration::from_secs(29)).await;
    }
    tokio::time::advance(Duration::from_secs(29)).await;
    assert!(kinds.resolve(&client, "x.io/v1", "Engine").await.is_ok());
}

#[tokio::test]
async fn a_misspelt_kind_is_told_from_a_missing_group() {
    let (client, _server) = script(vec![
        on("GET /apis/apps/v1", 200, &list("apps/v1", &[("deployments", "Deployment")])),
        on("GET /apis/apps", 200, &group("apps", &["v1"])),
    ]);
    let error = Kinds::default().resolve(&client, "apps/v1", "Deploymnet").await.expect_err("misspelt");
    assert_eq!(
        error.to_string(),
        "the server serves no kind Deploymnet in apps/v1, nor in any of v1: check its spelling"
    );
}

#[tokio::test]
async fn an_absent_api_version_means_what_it_always_meant() {
    let (client, _server) = script(vec![on(
        "GET /apis/apps/v1",
        200,
        &list("apps/v1", &[("deployments", "Deployment"), ("deployments/scale", "Scale")]),
    )]);
    assert!(Kinds::default().resolve(&client, "", "Deployment").await.is_ok());
    for (api_version, kind) in
        [("", "Engine"), ("../x/v1", "Engine"), ("a/b/c", "Engine"), ("v1", ""), ("x.io/", "Engine")]
    {
        let (client, _server) = silence();
        let error = Kinds::default().resolve(&client, api_version, kind).await.expect_err("refused");
        assert!(matches!(error, TargetError::NoKind(_)), "{api_version:?} {kind:?}");
    }
}
