//! The page and its JSON API. Reads the shared picture; must not steer anything.

use crate::view::{Point, Shared, View};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Where a replica's output comes from.
pub(crate) type Tail = Arc<dyn Fn(&str, usize) -> Option<Vec<String>> + Send + Sync>;

/// Most lines of a log that one answer carries.
const MAX_LINES: usize = 1000;

#[derive(Clone)]
struct Pages {
    view: Shared,
    tail: Tail,
}

/// The routes.
pub(crate) fn router(view: Shared, tail: Tail) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(|| async { "ok" }))
        .route("/metrics", get(metrics))
        .route("/api/v1/state", get(state))
        .route("/api/v1/history", get(history))
        .route("/api/v1/autoscalers/{name}", get(autoscaler))
        .route("/api/v1/replicas/{id}/log", get(log))
        .with_state(Pages { view, tail })
}

/// Serves until `shutdown` resolves.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send + 'static) {
    bounded_serve::serve(listener, router, bounded_serve::Limits::default(), shutdown).await;
}

async fn index() -> impl IntoResponse {
    // The page loads nothing from elsewhere, and may not.
    let policy = "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("../assets/index.html")))
}

async fn state(State(pages): State<Pages>) -> Json<View> {
    Json(pages.view.read(Clone::clone))
}

async fn history(State(pages): State<Pages>) -> Json<BTreeMap<String, VecDeque<Point>>> {
    Json(pages.view.read(|view| view.history.clone()))
}

async fn autoscaler(State(pages): State<Pages>, Path(name): Path<String>) -> Response {
    let found = pages.view.read(|view| view.autoscalers.iter().find(|entry| entry.name == name).cloned());
    found.map_or_else(|| missing("autoscaler", &name), |found| Json(found).into_response())
}

#[derive(Deserialize)]
struct Lines {
    #[serde(default)]
    lines: Option<usize>,
}

async fn log(State(pages): State<Pages>, Path(id): Path<String>, Query(query): Query<Lines>) -> Response {
    match (pages.tail)(&id, query.lines.unwrap_or(100).min(MAX_LINES)) {
        Some(lines) => lines.join("\n").into_response(),
        None => missing("replica", &id),
    }
}

fn missing(what: &str, name: &str) -> Response {
    let shown: String = name.chars().take(80).collect();
    (StatusCode::NOT_FOUND, Json(serde_json::json!({ "error": format!("no {what} {shown:?}") }))).into_response()
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    let text = pages.view.read(crate::exposition::render);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
