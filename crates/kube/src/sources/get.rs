//! One GET of the API server: bounded, within a deadline, every status told apart. Must not know what is asked for.

use super::error::{Needs, SourceError, malformed, words};
use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::time::Duration;

/// The largest answer that is read, in bytes: 10,000 pods of metrics.k8s.io with two containers each are some 8 MiB.
pub(crate) const MAX_ANSWER_BYTES: usize = 16 << 20;

/// What API servers say of a path that nobody serves; older ones say it in plain text, without a `Status`. Who serves the API
/// and lacks the metric or the object names it.
const UNKNOWN_PATH: &str = "the server could not find the requested resource";

/// One GET.
pub(super) struct Get<'a> {
    /// The path with its query, encoded.
    pub(super) path: String,
    /// The API group, for whoever has to see to it.
    pub(super) group: &'a str,
    /// What a role has to grant for it.
    pub(super) needs: Needs,
}

/// The work's outcome, or [`SourceError::TimedOut`] at the deadline, counted from the call.
pub(super) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    tokio::time::timeout(deadline, work).await.unwrap_or(Err(SourceError::TimedOut))
}

/// Asks, and reads the answer as JSON.
pub(super) async fn get<T: DeserializeOwned>(client: &Client, get: Get<'_>) -> Result<T, SourceError> {
    let request = Request::get(&get.path).header(ACCEPT, "application/json").body(Body::empty());
    let request = request.map_err(|error| SourceError::Unaskable(error.to_string()))?;
    let response = client.send(request).await.map_err(|error| unreachable(&error))?;
    let (head, body) = response.into_parts();
    let body = read(body).await?;
    if head.status.is_success() {
        serde_json::from_slice(&body).map_err(|error| malformed(&error))
    } else {
        Err(refusal(get, head.status, &head.headers, &body))
    }
}

async fn read(mut body: Body) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        // What is no data are trailers.
        let Ok(data) = frame.map_err(|error| unreachable(&error))?.into_data() else { continue };
        if data.len() > MAX_ANSWER_BYTES - bytes.len() {
            return Err(SourceError::TooLarge { limit: MAX_ANSWER_BYTES });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// What we need of Kubernetes' `Status`.
#[derive(Deserialize)]
struct Said {
    kind: String,
    #[serde(default)]
    message: String,
}

fn refusal(get: Get<'_>, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> SourceError {
    let said = serde_json::from_slice(body).ok().filter(|said: &Said| said.kind == "Status");
    let message = words(&said.as_ref().map_or_else(|| String::from_utf8_lossy(body), |said| (&*said.message).into()));
    let group = get.group.to_owned();
    match status {
        StatusCode::UNAUTHORIZED => SourceError::Unauthorized(message),
        StatusCode::FORBIDDEN => SourceError::Forbidden { needs: get.needs, message },
        StatusCode::NOT_FOUND if said.is_some_and(|said| said.message != UNKNOWN_PATH) => {
            SourceError::NotFound(message)
        }
        StatusCode::NOT_FOUND => SourceError::NotInstalled { group },
        StatusCode::TOO_MANY_REQUESTS => SourceError::Busy { after: retry_after(headers) },
        StatusCode::SERVICE_UNAVAILABLE => SourceError::Unavailable { group, message },
        other => SourceError::Status { code: other.as_u16(), message },
    }
}

/// The header's seconds; its other form, a date, is not what API servers send.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The innermost cause: the outer ones say only that a service failed.
fn unreachable(error: &kube::Error) -> SourceError {
    let causes = std::iter::successors(Some(error as &dyn Error), |cause| (**cause).source());
    SourceError::Unreachable(words(&causes.last().map_or_else(String::new, ToString::to_string)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{answering, silent};
    use serde_json::{Value, json};

    fn question() -> Get<'static> {
        Get { path: "/apis/x/v1".to_owned(), group: "x", needs: Needs::Path("/apis/x/v1".to_owned()) }
    }

    async fn answered(status: u16, body: &str) -> Result<Value, SourceError> {
        let (client, served) = answering([("/apis/x/v1", status, body.to_owned())]);
        let answer = get(&client, question()).await;
        served.await.unwrap();
        answer
    }

    fn status(message: &str) -> String {
        json!({"kind": "Status", "status": "Failure", "message": message}).to_string()
    }

    #[tokio::test]
    async fn each_status_is_told_apart() {
        let group = || "x".to_owned();
        let said = || "no\tway".replace('\t', " ");
        let cases = [
            (401, status("no\tway"), SourceError::Unauthorized(said())),
            (403, status("no\tway"), SourceError::Forbidden { needs: question().needs, message: said() }),
            (404, status("no\tway"), SourceError::NotFound(said())),
            (404, "404 page not found\n".to_owned(), SourceError::NotInstalled { group: group() }),
            (404, status(UNKNOWN_PATH), SourceError::NotInstalled { group: group() }),
            (404, "{\"paths\": []}".to_owned(), SourceError::NotInstalled { group: group() }),
            (410, status("no\tway"), SourceError::Status { code: 410, message: said() }),
            (429, status("no\tway"), SourceError::Busy { after: Some(Duration::from_secs(7)) }),
            (500, status("no\tway"), SourceError::Status { code: 500, message: said() }),
            (500, String::new(), SourceError::Status { code: 500, message: "nothing more".to_owned() }),
            (503, "no way".to_owned(), SourceError::Unavailable { group: group(), message: said() }),
        ];
        for (code, body, expected) in cases {
            assert_eq!(answered(code, &body).await, Err(expected), "{code} {body}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_json_is_malformed() {
        for body in ["", "<html>", "{\"kind\":"] {
            assert!(matches!(answered(200, body).await, Err(SourceError::Malformed(_))), "{body}");
        }
    }

    #[tokio::test]
    async fn an_answer_beyond_the_limit_is_refused() {
        let body = format!("\"{}\"", "x".repeat(MAX_ANSWER_BYTES));
        assert_eq!(answered(200, &body).await, Err(SourceError::TooLarge { limit: MAX_ANSWER_BYTES }));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_the_deadline() {
        let (client, _held) = silent();
        let start = tokio::time::Instant::now();
        let answer = within(Duration::from_secs(2), get::<Value>(&client, question())).await;
        assert_eq!(answer, Err(SourceError::TimedOut));
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_named_so() {
        let (client, held) = silent();
        drop(held);
        assert!(matches!(get::<Value>(&client, question()).await, Err(SourceError::Unreachable(_))));
    }
}
