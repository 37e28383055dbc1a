//! Who goes first.

use super::{deleting, pod, starting, views, with};
use crate::pods::victims::{VICTIM, write};
use crate::pods::{Cost, PodView, costs};
use crate::target::TargetError;
use http::{Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::sync::Arc;

fn cost(name: &str, cost: i32) -> Value {
    with(
        pod(name),
        json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": cost.to_string()}}}),
    )
}

/// What is the case, the pods, how many go, how many writes are allowed, what is written.
type Case<'a> = (&'a str, Vec<Value>, usize, usize, Vec<(String, Option<i32>)>);

fn written(pods: &[Arc<PodView>], loads: &[(&str, f64)], remove: usize, most: usize) -> Vec<(String, Option<i32>)> {
    let load = |pod: &PodView| loads.iter().find(|(name, _)| *name == &*pod.name).map(|(_, load)| *load);
    costs(pods, load, remove, most).into_iter().map(|one| (one.pod.name.to_string(), one.cost)).collect()
}

#[test]
fn the_least_busy_become_victims_and_nobody_else_is_written() {
    let loads = [("a", 9.0), ("b", 1.0), ("c", 4.0), ("d", f64::NAN)];
    let victim = |name: &str| (name.to_owned(), Some(VICTIM));
    let spared = |name: &str| (name.to_owned(), None);
    let cases: [Case<'_>; 10] = [
        ("one of three", vec![pod("a"), pod("b"), pod("c")], 1, 9, vec![victim("b")]),
        ("two of three", vec![pod("a"), pod("b"), pod("c")], 2, 9, vec![victim("b"), victim("c")]),
        ("none", vec![pod("a"), pod("b")], 0, 9, vec![]),
        ("more than there are", vec![pod("a")], 5, 9, vec![victim("a")]),
        ("no more than allowed", vec![pod("a"), pod("b"), pod("c")], 3, 2, vec![victim("b"), victim("c")]),
        ("already marked", vec![pod("a"), cost("b", VICTIM)], 1, 9, vec![]),
        ("marked before, busy now", vec![cost("a", VICTIM), pod("b")], 1, 9, vec![victim("b"), spared("a")]),
        ("a user's cost stays", vec![cost("b", 100), pod("a"), pod("c")], 1, 9, vec![victim("c")]),
        (
            "those not ready go first anyway",
            vec![pod("a"), pod("b"), starting("x"), deleting(pod("y"))],
            2,
            9,
            vec![victim("b")],
        ),
        ("an unknown load is not idleness", vec![pod("a"), pod("d"), pod("e")], 1, 9, vec![victim("a")]),
    ];
    for (what, pods, remove, most, expected) in cases {
        assert_eq!(written(&views(pods), &loads, remove, most), expected, "{what}");
    }
}

#[tokio::test]
async fn a_cost_is_a_merge_patch_of_one_annotation() {
    let mark = Cost { pod: views([pod("a")]).remove(0), cost: Some(VICTIM) };
    let clear = Cost { cost: None, ..mark.clone() };
    for (cost, value, code, expected) in [
        (mark.clone(), json!(VICTIM.to_string()), 200, Ok(())),
        (clear, Value::Null, 200, Ok(())),
        (mark, json!(VICTIM.to_string()), 409, Err(TargetError::Changed)),
    ] {
        let (service, mut server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let script = tokio::spawn(async move {
            let (request, reply) = server.next_request().await.expect("a request");
            let (parts, body) = request.into_parts();
            assert_eq!(parts.uri, "/api/v1/namespaces/ml/pods/a?fieldManager=aibrix-autoscaler");
            assert_eq!(parts.headers["content-type"], "application/merge-patch+json");
            let body: Value = serde_json::from_slice(&body.collect().await.expect("a body").to_bytes()).expect("JSON");
            assert_eq!(
                body,
                json!({"metadata": {"uid": "uid-a", "annotations": {"controller.kubernetes.io/pod-deletion-cost": value}}})
            );
            let answer = serde_json::to_vec(&pod("a")).expect("JSON");
            reply.send_response(Response::builder().status(code).body(Body::from(answer)).expect("an answer"));
        });
        assert_eq!(write(&Client::new(service, "default"), &cost).await, expected);
        script.await.expect("the script");
    }
}
