//! Refusals in the shape OpenAI clients read: `{"error": {"message", "type", "param", "code"}}`.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use crate::record::Outcome;

/// Seconds a client is told to wait after a 503: about the time a small replica needs to start, short enough to retry.
const RETRY_AFTER_SECONDS: u16 = 5;

/// Why the gateway itself answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) outcome: Outcome,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, outcome: Outcome, message: impl Into<String>) -> Self {
        Self { status, code, param: None, message: message.into(), outcome }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, Outcome::BadRequest, message)
    }

    /// The replica could not be reached or broke off before the first byte.
    pub(crate) fn bad_gateway(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "upstream_error", Outcome::UpstreamError, message)
    }

    /// No capacity now, perhaps later.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, Outcome::RejectedHold, message)
    }

    pub(crate) fn deadline() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", Outcome::Timeout, "the request's deadline passed")
    }

    pub(crate) fn shutting_down() -> Self {
        Self { outcome: Outcome::Shutdown, ..Self::unavailable("shutting_down", "the gateway is shutting down") }
    }

    pub(crate) fn with_param(self, param: &'static str) -> Self {
        Self { param: Some(param), ..self }
    }

    /// The response a client gets.
    pub(crate) fn response(&self) -> Response<Full<Bytes>> {
        let kind = if self.status.is_client_error() { "invalid_request_error" } else { "server_error" };
        let error = Inner { message: &self.message, r#type: kind, param: self.param, code: self.code };
        let mut response = json(self.status, &Envelope { error });
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response
    }
}

/// A JSON response; a value that cannot be written becomes an empty object rather than a panic.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec());
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_503_has_the_openai_shape_and_says_when_to_come_back() {
        let response = Refusal::unavailable("hold_timeout", "no replica").response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["error"]["type"], "server_error");
        assert_eq!(value["error"]["code"], "hold_timeout");
        assert!(value["error"]["param"].is_null());
    }
}
