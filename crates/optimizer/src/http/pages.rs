//! The page: one asset for the list and for each model. It asks the API for everything.

use crate::service::Optimizer;
use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Optimizer>> {
    Router::new().route("/", get(index)).route("/dash/{model}", get(index))
}

async fn index() -> impl IntoResponse {
    // The page loads nothing from elsewhere, and may not.
    let policy = "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("../../assets/optimizer.html")))
}
