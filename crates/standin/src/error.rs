//! Error answers in OpenAI's shape.

use axum::Json;
use axum::response::{IntoResponse, Response};
use engine_model::Rejected;
use http::StatusCode;
use serde_json::json;

/// An error answer.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    param: Option<&'static str>,
    message: String,
}

impl ApiError {
    /// 400 about the field `param`.
    pub(crate) fn bad(param: &'static str, message: impl Into<String>) -> Self {
        Self { param: Some(param), ..Self::bad_body(message) }
    }

    /// 400 about the request as a whole.
    pub(crate) fn bad_body(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "BadRequestError", param: None, message: message.into() }
    }

    /// 404 for a model that is not served.
    pub(crate) fn unknown_model(asked: &str, served: &str) -> Self {
        let message = format!("The model `{asked}` does not exist; this engine serves `{served}`.");
        Self { status: StatusCode::NOT_FOUND, kind: "NotFoundError", param: Some("model"), message }
    }

    /// 503.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let (status, kind) = (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableError");
        Self { status, kind, param: None, message: message.into() }
    }

    /// Another status with OpenAI's body.
    pub(crate) fn status(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, kind: "BadRequestError", param: None, message: message.into() }
    }
}

impl From<Rejected> for ApiError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::QueueFull { .. } => Self::unavailable(rejected.to_string()),
            Rejected::ContextTooLong { .. } | Rejected::KvTooSmall { .. } => {
                Self::bad("max_tokens", rejected.to_string())
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = json!({
            "message": self.message, "type": self.kind, "param": self.param, "code": self.status.as_u16(),
        });
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}
