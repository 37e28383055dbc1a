//! `StormService`s: whole, and by role.

use super::script::{on, script};
use super::{failure, kind, named};
use crate::pods::Grouping;
use crate::target::{ScaleTarget, ScaleView, TargetError, Written};
use serde_json::{Value, json};

const GET: &str = "GET /apis/orchestration.aibrix.ai/v1alpha1/namespaces/ml/stormservices/llama";
const PATCH: &str =
    "PATCH /apis/orchestration.aibrix.ai/v1alpha1/namespaces/ml/stormservices/llama?fieldManager=aibrix-autoscaler";
const PUT: &str = "PUT /apis/orchestration.aibrix.ai/v1alpha1/namespaces/ml/stormservices/llama/scale?&fieldManager=aibrix-autoscaler";

fn target(role: Option<&str>, whole: bool, scale: bool) -> ScaleTarget {
    let kind = kind("orchestration.aibrix.ai/v1alpha1", "StormService", "stormservices", scale);
    ScaleTarget::new(&named("StormService", role, whole), kind, "ml").expect("a target")
}

/// Three `RoleSet`s, each with two prefill pods and four groups of two decode pods.
fn storm() -> Value {
    json!({
        "apiVersion": "orchestration.aibrix.ai/v1alpha1", "kind": "StormService",
        "metadata": {"name": "llama", "namespace": "ml", "resourceVersion": "7", "uid": "u-9"},
        "spec": {"replicas": 3, "template": {"spec": {"roles": [
            {"name": "prefill", "replicas": 2, "template": {}},
            {"name": "decode", "replicas": 4, "podGroupSize": 2},
            {"name": "router"},
        ]}}},
        "status": {"replicas": 3, "updateRevision": "llama-5d", "roleStatuses": [
            {"name": "prefill", "replicas": 6, "readyReplicas": 6}, {"name": "decode", "replicas": 11},
        ]},
    })
}

async fn view(target: &ScaleTarget) -> Result<ScaleView, TargetError> {
    let (client, _server) = script(vec![on(GET, 200, &storm())]);
    target.get(&client).await
}

#[tokio::test]
async fn a_roles_count_is_that_of_its_template_and_not_of_all_role_sets() {
    let cases = [
        (Some("prefill"), false, 2, Some(2), "storm-service-name=llama,role-name=prefill", Grouping::AcrossRoleSets),
        (
            Some("decode"),
            false,
            4,
            Some(4),
            "storm-service-name=llama,role-name=decode,stormservice.orchestration.aibrix.ai/pod-group-index=0",
            Grouping::AcrossRoleSets,
        ),
        (Some("router"), false, 0, None, "storm-service-name=llama,role-name=router", Grouping::AcrossRoleSets),
        (Some("prefill"), true, 3, Some(3), "storm-service-name=llama,role-name=prefill", Grouping::RoleSet),
        (
            None,
            false,
            3,
            Some(3),
            "storm-service-name=llama,stormservice.orchestration.aibrix.ai/pod-group-index=0",
            Grouping::RoleSet,
        ),
    ];
    for (role, whole, replicas, status, selector, grouping) in cases {
        let target = target(role, whole, true);
        let view = view(&target).await.expect("a view");
        assert_eq!(
            (view.replicas, view.status_replicas, view.selector.as_str()),
            (replicas, status, selector),
            "{role:?}"
        );
        assert_eq!(view.uid, "u-9");
        assert_eq!(target.grouping(), grouping);
    }
}

#[tokio::test]
async fn a_role_that_is_not_there_is_named_with_those_that_are() {
    let error = view(&target(Some("decoder"), false, true)).await.expect_err("no such role");
    assert_eq!(error.to_string(), "StormService ml/llama has no role \"decoder\"; its roles: prefill, decode, router");
}

#[tokio::test]
async fn a_role_is_patched_after_a_test_of_its_name_and_count() {
    let (client, server) =
        script(vec![on(GET, 200, &storm()), on(PATCH, 200, &json!({"metadata": {"resourceVersion": "8"}}))]);
    let target = target(Some("decode"), false, true);
    let seen = target.get(&client).await.expect("a view");
    assert_eq!(target.set(&client, &seen, 5).await, Ok(Written::Done("8".into())));
    assert_eq!(
        server.await.expect("the script")[1],
        json!([
            {"op": "test", "path": "/spec/template/spec/roles/1/name", "value": "decode"},
            {"op": "test", "path": "/spec/template/spec/roles/1/replicas", "value": 4},
            {"op": "add", "path": "/spec/template/spec/roles/1/replicas", "value": 5},
        ])
    );
}

#[tokio::test]
async fn a_test_that_fails_is_a_change_and_a_refusal_is_not() {
    let failed_test = failure(422, "Invalid", "the server rejected our request due to an error in our request");
    let mut refused = failure(422, "Invalid", "StormService \"llama\" is invalid");
    refused["details"] = json!({"causes": [{"reason": "FieldValueInvalid", "message": "no", "field": "spec"}]});
    for (answer, changed) in [(failed_test, true), (refused, false)] {
        let (client, _server) = script(vec![on(GET, 200, &storm()), on(PATCH, 422, &answer)]);
        let target = target(Some("prefill"), false, true);
        let seen = target.get(&client).await.expect("a view");
        let error = target.set(&client, &seen, 5).await.expect_err("refused");
        assert_eq!(error == TargetError::Changed, changed, "{error}");
    }
}

#[tokio::test]
async fn the_whole_service_is_written_through_scale_where_that_is_served() {
    for (scale, request) in [(true, PUT), (false, PATCH)] {
        let answer = json!({"metadata": {"resourceVersion": "8"}, "spec": {"replicas": 4}});
        let (client, server) = script(vec![on(GET, 200, &storm()), on(request, 200, &answer)]);
        let target = target(Some("prefill"), true, scale);
        let seen = target.get(&client).await.expect("a view");
        assert_eq!(target.set(&client, &seen, 4).await, Ok(Written::Done("8".into())));
        let sent = server.await.expect("the script").remove(1);
        if scale {
            assert_eq!((&sent["metadata"]["resourceVersion"], &sent["spec"]["replicas"]), (&json!("7"), &json!(4)));
        } else {
            assert_eq!(sent[1], json!({"op": "add", "path": "/spec/replicas", "value": 4}));
        }
    }
}
