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
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The largest body of a request: `{"replicas":"N"}` is all that is ever sent.
const MAX_BODY_BYTES: usize = 4096;
/// Connections that are still open so long after the end was asked for are cut.
const GRACE: Duration = Duration::from_secs(5);

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
    let (asked, cut) = (stop.clone(), stop);
    let serving =
        axum::serve(listener, router(optimizer)).with_graceful_shutdown(async move { asked.cancelled().await });
    tokio::select! {
        served = async { serving.await } => {
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP server ended");
            }
        }
        // A client that keeps its connection busy does not keep the process.
        () = async { cut.cancelled().await; tokio::time::sleep(GRACE).await } => {}
    }
}

/// An error as AIBrix says it.
fn error(status: StatusCode, message: impl std::fmt::Display) -> Response {
    (status, axum::Json(serde_json::json!({ "error": message.to_string() }))).into_response()
}
