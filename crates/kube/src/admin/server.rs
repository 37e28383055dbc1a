//! `/healthz`, `/readyz` and `/metrics`.

use super::metrics::Metrics;
use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use bounded_serve::Limits;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Whether the controller is ready: its caches are filled. One that waits for the lease is ready, too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<AtomicBool>);

impl Health {
    /// The caches are filled.
    pub(crate) fn synced(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Binds both addresses, so that a taken one is an error at the start; gives back what serves them until `stop`.
pub(crate) async fn serve(
    health: SocketAddr,
    metrics: SocketAddr,
    state: Health,
    counted: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()>> {
    let bind = async |addr: SocketAddr| TcpListener::bind(addr).await.with_context(|| format!("{addr}: cannot listen"));
    let probes = Router::new().route("/healthz", get(async || "ok")).route("/readyz", get(ready)).with_state(state);
    let page = Router::new().route("/metrics", get(page)).with_state(counted);
    // One address may serve both.
    let (health_listener, metrics_listener, health_app, metrics_app) = if health == metrics && health.port() != 0 {
        (bind(health).await?, None, probes.merge(page), Router::new())
    } else {
        (bind(health).await?, Some(bind(metrics).await?), probes, page)
    };
    Ok(async move {
        let first = bounded_serve::serve(health_listener, health_app, Limits::default(), stop.cancelled());
        let second = async {
            if let Some(listener) = metrics_listener {
                bounded_serve::serve(listener, metrics_app, Limits::default(), stop.cancelled()).await;
            }
        };
        tokio::join!(first, second);
    })
}

async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.0.load(Ordering::Acquire) {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not synced yet")
    }
}

async fn page(State(metrics): State<Metrics>) -> impl IntoResponse {
    match metrics.page() {
        Ok(text) => {
            (StatusCode::OK, [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], "cannot be written".to_owned()),
    }
}
