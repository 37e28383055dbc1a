//! An API server that expects given requests in order and gives the answers written beside them.

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::task::JoinHandle;

/// A request that is expected, and its answer.
pub(crate) struct Step {
    request: &'static str,
    code: u16,
    headers: Vec<(&'static str, &'static str)>,
    answer: Vec<u8>,
}

/// Expects `METHOD /path`, query included.
pub(crate) fn on(request: &'static str, code: u16, answer: &Value) -> Step {
    Step { request, code, headers: Vec::new(), answer: answer.to_string().into_bytes() }
}

impl Step {
    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.answer = text.as_bytes().to_vec();
        self
    }
}

/// A client, and the bodies that it will have sent once the script has run out.
pub(crate) fn script(steps: Vec<Step>) -> (Client, JoinHandle<Vec<Value>>) {
    let (service, mut server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let task = tokio::spawn(async move {
        let mut bodies = Vec::new();
        for step in steps {
            let (request, reply) = server.next_request().await.expect("another request");
            let path = request.uri().path_and_query().map_or("", |path| path.as_str()).trim_end_matches('?').to_owned();
            assert_eq!(format!("{} {path}", request.method()), step.request);
            let body = request.into_body().collect().await.expect("a body").to_bytes();
            bodies.push(serde_json::from_slice(&body).unwrap_or(Value::Null));
            let mut answer = Response::builder().status(step.code);
            for (name, value) in step.headers {
                answer = answer.header(name, value);
            }
            reply.send_response(answer.body(Body::from(step.answer)).expect("an answer"));
        }
        bodies
    });
    (Client::new(service, "default"), task)
}

/// A client whose requests are never answered.
pub(crate) fn silence() -> (Client, JoinHandle<()>) {
    let (service, mut server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let task = tokio::spawn(async move {
        let mut unanswered = Vec::new();
        while let Some(request) = server.next_request().await {
            unanswered.push(request);
        }
    });
    (Client::new(service, "default"), task)
}
