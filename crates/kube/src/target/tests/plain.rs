//! `/scale` of any kind.

use super::script::{on, script};
use super::{deployment, kind, named, scale};
use crate::pods::Grouping;
use crate::target::{ScaleTarget, TargetError, Written};
use serde_json::json;

#[tokio::test]
async fn a_deployment_is_read_and_written_through_its_scale() {
    let (client, server) = script(vec![
        on(
            "GET /apis/apps/v1/namespaces/ml/deployments/llama/scale",
            200,
            &scale(3, json!({"replicas": 2, "selector": "app=llama"})),
        ),
        on(
            "PUT /apis/apps/v1/namespaces/ml/deployments/llama/scale?&fieldManager=aibrix-autoscaler",
            200,
            &scale(5, json!({"replicas": 2})),
        ),
    ]);
    let target = deployment();
    let view = target.get(&client).await.expect("a view");
    assert_eq!((view.replicas, view.status_replicas, view.selector.as_str()), (3, Some(2), "app=llama"));
    assert_eq!((view.resource_version.as_str(), view.uid.as_str()), ("41", "u-1"));
    assert_eq!(target.set(&client, &view, 3).await, Ok(Written::Unchanged), "no request for what is so already");
    assert_eq!(target.set(&client, &view, 5).await, Ok(Written::Done("41".into())));
    let sent = &server.await.expect("the script")[1];
    assert_eq!(sent["metadata"]["resourceVersion"], "41", "it must be written as it was read");
    assert_eq!(sent["spec"]["replicas"], 5);
}

#[tokio::test]
async fn a_write_of_somebody_else_in_between_is_a_change() {
    let (client, _server) = script(vec![
        on(
            "GET /apis/apps/v1/namespaces/ml/deployments/llama/scale",
            200,
            &scale(3, json!({"replicas": 3, "selector": "a=b"})),
        ),
        on(
            "PUT /apis/apps/v1/namespaces/ml/deployments/llama/scale?&fieldManager=aibrix-autoscaler",
            409,
            &super::failure(409, "Conflict", "the object has been modified"),
        ),
    ]);
    let view = deployment().get(&client).await.expect("a view");
    assert_eq!(deployment().set(&client, &view, 4).await, Err(TargetError::Changed));
}

#[tokio::test]
async fn a_selector_that_scale_does_not_give_is_taken_from_the_object() {
    let cases = [
        (json!({"status": {"selector": "app=x"}, "spec": {"selector": {"matchLabels": {"app": "y"}}}}), "app=x"),
        (json!({"spec": {"selector": {"matchLabels": {"app": "y"}}}}), "app=y"),
        (
            json!({"spec": {"selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}]}}}),
            "a in (b,c)",
        ),
        (json!({"spec": {"selector": "words"}}), ""),
        (json!({}), ""),
    ];
    for (object, expected) in cases {
        let (client, _server) = script(vec![
            on("GET /apis/apps/v1/namespaces/ml/deployments/llama/scale", 200, &scale(1, json!({"replicas": 1}))),
            on("GET /apis/apps/v1/namespaces/ml/deployments/llama", 200, &object),
        ]);
        assert_eq!(deployment().get(&client).await.expect("a view").selector, expected, "{object}");
    }
}

#[tokio::test]
async fn kinds_of_which_one_pod_serves_for_several_have_their_selector_adapted() {
    let cases = [
        (
            kind("orchestration.aibrix.ai/v1alpha1", "RayClusterFleet", "rayclusterfleets", true),
            "GET /apis/orchestration.aibrix.ai/v1alpha1/namespaces/ml/rayclusterfleets/llama/scale",
            "app=llama",
            "app=llama,ray.io/node-type=head",
            Grouping::EachPod,
        ),
        (
            kind("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "leaderworkersets", true),
            "GET /apis/leaderworkerset.x-k8s.io/v1/namespaces/ml/leaderworkersets/llama/scale",
            "leaderworkerset.sigs.k8s.io/name=llama,leaderworkerset.sigs.k8s.io/worker-index=0",
            "leaderworkerset.sigs.k8s.io/name=llama",
            Grouping::LeaderWorkerSet,
        ),
    ];
    for (kind, request, told, expected, grouping) in cases {
        let target = ScaleTarget::new(&named(&kind.resource.kind, None, false), kind, "ml").expect("a target");
        let (client, _server) = script(vec![on(request, 200, &scale(1, json!({"replicas": 1, "selector": told})))]);
        assert_eq!(target.get(&client).await.expect("a view").selector, expected);
        assert_eq!(target.grouping(), grouping);
        assert!(!target.honours_deletion_cost());
    }
    assert!(deployment().honours_deletion_cost());
}

#[test]
fn targets_that_cannot_be_scaled_say_why() {
    let plain = |scale| kind("apps/v1", "DaemonSet", "daemonsets", scale);
    let refused = |target, kind| ScaleTarget::new(&target, kind, "ml").expect_err("refused");
    assert!(matches!(refused(named("DaemonSet", None, false), plain(false)), TargetError::NoScale(_)));
    let error = refused(named("DaemonSet", Some("prefill"), false), plain(true));
    assert_eq!(error.to_string(), "DaemonSet ml/llama has no roles (role \"prefill\"): only a StormService has");
    let mut path = named("DaemonSet", None, false);
    path.name = "../../secrets/x".into();
    assert!(matches!(refused(path, plain(true)), TargetError::Refused(_)));
    let mut cluster = (*plain(true)).clone();
    cluster.namespaced = false;
    assert!(matches!(refused(named("DaemonSet", None, false), cluster.into()), TargetError::Refused(_)));
}
