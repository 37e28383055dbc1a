//! The HTTP interface: routes, the endpoints that do no work, and the gate through which all requests go.

use crate::args::Config;
use crate::core::Core;
use crate::error::ApiError;
use crate::faults::{Fault, Faults};
use crate::generate::{self, Received, received};
use crate::openai::{self, TokenizeBody};
use crate::page::{self, PageInfo};
use crate::words;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A prompt of 131 072 tokens takes about a megabyte as words; this leaves room for long ones.
const MAX_BODY_BYTES: usize = 16 << 20;
/// The page that `garbage-metrics` serves: cut off in a label, and not text.
const GARBAGE: &[u8] =
    b"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine=\"0\" 1.0.0\n\xff\xfe\0 }{";

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) core: Arc<Core>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) draining: AtomicBool,
    pub(crate) answers: AtomicU64,
    pub(crate) page: PageInfo,
}

pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/v1/completions", post(generate::completions))
        .route("/v1/chat/completions", post(generate::chat))
        .route("/v1/embeddings", post(generate::embeddings))
        .route("/v1/models", get(models))
        .route("/tokenize", post(tokenize))
        .route("/health", get(health))
        .route("/ping", get(health))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .route("/standin/faults", get(show_faults).post(set_faults))
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(Arc::clone(app), gate))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::clone(app))
}

/// Applies the faults that concern every request; their own endpoint stays reachable.
async fn gate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/standin/") {
        return next.run(request).await;
    }
    if path.starts_with("/v1/") && app.faults.has(Fault::Reject) {
        return ApiError::unavailable("the engine rejects requests, as it was told to").into_response();
    }
    app.faults.until_responsive().await;
    next.run(request).await
}

async fn unknown() -> ApiError {
    ApiError::status(StatusCode::NOT_FOUND, "there is no such endpoint")
}

async fn health(State(app): State<Arc<App>>) -> StatusCode {
    let ready = !app.draining.load(Ordering::Acquire) && !app.faults.has(Fault::RefuseReady);
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn version() -> Json<Value> {
    Json(json!({"version": concat!("0.32.0+standin.", env!("CARGO_PKG_VERSION"))}))
}

async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    let model = json!({
        "id": app.config.model, "object": "model", "owned_by": "standin", "root": app.config.spec.name,
        "max_model_len": app.config.spec.max_model_len,
    });
    Json(json!({"object": "list", "data": [model]}))
}

async fn tokenize(State(app): State<Arc<App>>, body: Received) -> Result<Json<Value>, ApiError> {
    let body: TokenizeBody = openai::read(&received(body)?)?;
    app.admit(body.model.as_deref())?;
    let count = words::count(&body.prompt).max(1);
    let tokens: Vec<u32> = (0..count).collect();
    Ok(Json(json!({"count": count, "max_model_len": app.config.spec.max_model_len, "tokens": tokens})))
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    if let Some(delay) = app.faults.metrics_delay() {
        tokio::time::sleep(delay).await;
    }
    let content_type = [(header::CONTENT_TYPE, page::CONTENT_TYPE)];
    if app.faults.has(Fault::GarbageMetrics) {
        return (content_type, GARBAGE).into_response();
    }
    (content_type, app.page.render(&app.core.snapshot())).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsBody {
    fail: Vec<String>,
}

async fn show_faults(State(app): State<Arc<App>>) -> Json<Value> {
    let fail: Vec<String> = app.faults.all().iter().map(ToString::to_string).collect();
    Json(json!({"fail": fail}))
}

async fn set_faults(State(app): State<Arc<App>>, body: Received) -> Result<Json<Value>, ApiError> {
    let body: FaultsBody = openai::read(&received(body)?)?;
    let faults = body.fail.iter().map(|text| text.parse()).collect::<Result<Vec<Fault>, _>>();
    app.faults.replace(faults.map_err(|error| ApiError::bad("fail", error.to_string()))?);
    Ok(show_faults(State(app)).await)
}
