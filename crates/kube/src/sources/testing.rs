//! A stand-in for the API server, for the tests of this module.

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use std::pin::pin;
use tokio::task::JoinHandle;
use tower_test::mock::Handle;

/// A server that is never heard of, as long as the handle is held; after that the connection is broken.
pub(super) fn silent() -> (Client, Handle<Request<Body>, Response<Body>>) {
    let (service, handle) = tower_test::mock::pair();
    (Client::new(service, "default"), handle)
}

/// A server that is asked exactly for these paths (with their queries), in this order, and answers with a status and a body.
/// The task ends when all were asked for, and fails where another was.
pub(super) fn answering<const N: usize>(answers: [(&'static str, u16, String); N]) -> (Client, JoinHandle<()>) {
    let (client, handle) = silent();
    let served = tokio::spawn(async move {
        let mut handle = pin!(handle);
        for (path, status, body) in answers {
            let (request, send) = handle.next_request().await.expect("a request");
            assert_eq!(request.uri().to_string(), path);
            assert_eq!(request.method(), "GET");
            let response = Response::builder().status(status).header("retry-after", "7").body(body.into_bytes().into());
            send.send_response(response.unwrap());
        }
    });
    (client, served)
}

/// What the API server says of custom.metrics.k8s.io where it serves these versions.
pub(super) fn versions(served: &[&str]) -> String {
    let versions: Vec<_> = served.iter().map(|one| serde_json::json!({"version": one})).collect();
    serde_json::json!({"kind": "APIGroup", "versions": versions}).to_string()
}
