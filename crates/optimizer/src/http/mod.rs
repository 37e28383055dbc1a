//! What the optimizer answers over HTTP: AIBrix's calls, its own API, pages, health and metrics.

mod aibrix;
mod api;
mod metrics;
mod pages;

use crate::service::Optimizer;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bounded_serve::Limits;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The largest body of a request: `{"replicas":"N"}` is all that is ever sent.
const MAX_BODY_BYTES: usize = 4096;

/// All routes.
pub fn router(optimizer: Arc<Optimizer>) -> Router {
    Router::new()
        .merge(aibrix::routes())
        .merge(api::routes())
        .merge(pages::routes())
        .route("/metrics", get(metrics::page))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(api::ready))
        .fallback(async || error(StatusCode::NOT_FOUND, "no such page"))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(optimizer)
}

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, optimizer: Arc<Optimizer>, stop: CancellationToken) {
    bounded_serve::serve(listener, router(optimizer), Limits::default(), stop.cancelled()).await;
}

/// An error as AIBrix says it.
fn error(status: StatusCode, message: impl std::fmt::Display) -> Response {
    (status, axum::Json(serde_json::json!({ "error": message.to_string() }))).into_response()
}
