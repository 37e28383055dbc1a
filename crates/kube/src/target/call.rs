//! One request to the API server: with a deadline, a bounded answer, and its failures told apart.
//!
//! `kube::Client::request` hides the answer's headers, and with them `Retry-After`.

use super::error::TargetError;
use http::{HeaderMap, Request, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::time::Duration;

/// A tick is 5 s: an answer that takes longer is of no use to it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// etcd holds objects of up to 1.5 MiB; a group's list of resources is far smaller.
const LARGEST_ANSWER: usize = 4 << 20;

/// Longer waits would outlast the trouble that they were asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a 429 without `Retry-After` means, as client-go has it.
const USUAL_WAIT: Duration = Duration::from_secs(1);

/// What the server says where a path leads nowhere, in contrast to an object that is not there.
const NO_SUCH_PATH: &str = "could not find the requested resource";

/// What a request is about, for its errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// The verb, as RBAC calls it.
    pub(crate) verb: &'static str,
    /// The resource, as RBAC calls it: `deployments.apps/scale`.
    pub(crate) resource: &'a str,
    /// The object, as a person calls it: `Deployment ml/llama`.
    pub(crate) object: &'a str,
}

/// Sends a request and reads its answer.
pub(crate) async fn call<T: DeserializeOwned>(
    client: &Client,
    request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    about: About<'_>,
) -> Result<T, TargetError> {
    let request = request.map_err(|error| TargetError::Refused(format!("{}: {error}", about.object)))?;
    let (status, headers, body) = tokio::time::timeout(DEADLINE, exchange(client, request))
        .await
        .map_err(|_| TargetError::Timeout(DEADLINE))??;
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|error| TargetError::Unavailable(format!("{}: unreadable answer: {error}", about.object)));
    }
    Err(failure(status, &headers, &body, about))
}

type Answer = (StatusCode, HeaderMap, Vec<u8>);

async fn exchange(client: &Client, request: Request<Vec<u8>>) -> Result<Answer, TargetError> {
    let answer = client.send(request.map(Body::from)).await.map_err(|error| unavailable(&error))?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, LARGEST_ANSWER).collect().await;
    let body = body.map_err(|error| TargetError::Unavailable(format!("answer cut short: {error}")))?;
    Ok((parts.status, parts.headers, body.to_bytes().to_vec()))
}

/// The innermost cause says most ("connection refused"), the outermost only that a request failed.
fn unavailable(error: &kube::Error) -> TargetError {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    TargetError::Unavailable(cause.to_string())
}

fn failure(code: StatusCode, headers: &HeaderMap, body: &[u8], about: About<'_>) -> TargetError {
    let status: Option<Status> = serde_json::from_slice(body).ok();
    let said = status.as_ref().map_or("", |status| status.message.as_str());
    let text = || if said.is_empty() { code.to_string() } else { format!("{code}: {said}") };
    let wait = asked_wait(headers, status.as_ref());
    match code {
        StatusCode::NOT_FOUND if status.is_none() || said.contains(NO_SUCH_PATH) => {
            TargetError::NoScale(about.object.to_owned())
        }
        StatusCode::METHOD_NOT_ALLOWED => TargetError::NoScale(about.object.to_owned()),
        StatusCode::NOT_FOUND => TargetError::NotFound(about.object.to_owned()),
        StatusCode::FORBIDDEN => TargetError::Forbidden { verb: about.verb, resource: about.resource.to_owned() },
        StatusCode::CONFLICT => TargetError::Changed,
        StatusCode::TOO_MANY_REQUESTS => TargetError::Throttled(wait.unwrap_or(USUAL_WAIT)),
        StatusCode::SERVICE_UNAVAILABLE if wait.is_some() => TargetError::Throttled(wait.unwrap_or(USUAL_WAIT)),
        // A failed `test` of a JSON patch has no cause to show; what validation refuses names its field.
        StatusCode::UNPROCESSABLE_ENTITY if about.verb == "patch" && !names_a_cause(status.as_ref()) => {
            TargetError::Changed
        }
        StatusCode::UNAUTHORIZED => TargetError::Unavailable(format!("credentials refused ({})", text())),
        code if code.is_server_error() || code.is_redirection() => TargetError::Unavailable(text()),
        _ => TargetError::Refused(format!("{} {}: {}", about.verb, about.object, text())),
    }
}

fn names_a_cause(status: Option<&Status>) -> bool {
    status.and_then(|status| status.details.as_ref()).is_some_and(|details| !details.causes.is_empty())
}

fn asked_wait(headers: &HeaderMap, status: Option<&Status>) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = || {
        let seconds = status?.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then_some(u64::from(seconds))
    };
    header.or_else(body).map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}
