//! What the server's failures become.

use super::script::{on, script, silence};
use super::{deployment, failure};
use crate::target::TargetError;
use std::time::Duration;

const GET: &str = "GET /apis/apps/v1/namespaces/ml/deployments/llama/scale";

#[tokio::test]
async fn each_failure_is_told_apart() {
    let title = || "Deployment ml/llama".to_owned();
    let missing = "deployments.apps \"llama\" not found";
    let no_path = "the server could not find the requested resource";
    let forbidden = || TargetError::Forbidden { verb: "get", resource: "deployments.apps/scale".into() };
    let seconds = Duration::from_secs;
    let cases = [
        (on(GET, 404, &failure(404, "NotFound", missing)), TargetError::NotFound(title())),
        (on(GET, 404, &failure(404, "NotFound", no_path)), TargetError::NoScale(title())),
        (on(GET, 404, &failure(0, "", "")).text("404 page not found\n"), TargetError::NoScale(title())),
        (on(GET, 403, &failure(403, "Forbidden", "no")), forbidden()),
        (on(GET, 403, &failure(0, "", "")).text("<html>"), forbidden()),
        (
            on(GET, 429, &failure(429, "TooManyRequests", "slow")).header("retry-after", "7"),
            TargetError::Throttled(seconds(7)),
        ),
        (on(GET, 429, &failure(429, "TooManyRequests", "slow")), TargetError::Throttled(seconds(1))),
        (
            on(GET, 429, &failure(429, "TooManyRequests", "slow")).header("retry-after", "86400"),
            TargetError::Throttled(seconds(60)),
        ),
        (
            on(GET, 503, &failure(503, "ServiceUnavailable", "")).header("retry-after", "3"),
            TargetError::Throttled(seconds(3)),
        ),
        (
            on(GET, 500, &failure(500, "InternalError", "etcd")),
            TargetError::Unavailable("500 Internal Server Error: etcd".into()),
        ),
        (
            on(GET, 503, &failure(0, "", "")).text("upstream"),
            TargetError::Unavailable("503 Service Unavailable".into()),
        ),
        (
            on(GET, 401, &failure(401, "Unauthorized", "Unauthorized")),
            TargetError::Unavailable("credentials refused (401 Unauthorized: Unauthorized)".into()),
        ),
        (
            on(GET, 422, &failure(422, "Invalid", "is invalid")),
            TargetError::Refused("get Deployment ml/llama: 422 Unprocessable Entity: is invalid".into()),
        ),
    ];
    for (step, expected) in cases {
        let (client, _server) = script(vec![step]);
        assert_eq!(deployment().get(&client).await, Err(expected));
    }
}

#[tokio::test]
async fn an_answer_that_is_no_scale_is_the_servers_trouble() {
    for text in ["", "{", "<html>", "[1,2]"] {
        let (client, _server) = script(vec![on(GET, 200, &failure(0, "", "")).text(text)]);
        let error = deployment().get(&client).await.expect_err("unreadable");
        assert!(matches!(error, TargetError::Unavailable(_)), "{text:?} {error}");
        assert!(error.transient());
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let endless = format!("\"{}\"", "x".repeat(5 << 20));
    let (client, _server) = script(vec![on(GET, 200, &failure(0, "", "")).text(&endless)]);
    let error = deployment().get(&client).await.expect_err("too long");
    assert_eq!(error, TargetError::Unavailable("answer cut short: length limit exceeded".into()));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let (client, _server) = silence();
    assert_eq!(deployment().get(&client).await, Err(TargetError::Timeout(Duration::from_secs(5))));
}
