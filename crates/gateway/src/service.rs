//! Decides what a request is for: the gateway's own pages, the list of models, or a replica.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Serialize;

use crate::error::{Refusal, json};
use crate::forward::{forward, refuse};
use crate::handle::Shared;
use crate::headers::wants_upgrade;
use crate::paths::is_inference;
use crate::record::Outcome;
use crate::respond::{ConnectionLimits, ResponseBody};
use crate::track::Tracker;

#[derive(Serialize)]
struct ModelList {
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: String,
}

/// Answers one request of a client.
pub(crate) async fn handle(
    shared: Arc<Shared>,
    peer: IpAddr,
    limits: ConnectionLimits,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    if let Some(own) = own_page(&shared, &request) {
        return own.map(ResponseBody::Own);
    }
    match not_proxied(&request) {
        Some(refusal) => refuse(&refusal, Tracker::new(&shared, request.uri().path())),
        None => forward(&shared, peer, &limits, request).await,
    }
}

fn not_proxied(request: &Request<Incoming>) -> Option<Refusal> {
    let refusal = |status, code, message| Some(Refusal::new(status, code, Outcome::BadRequest, message));
    if request.method() == Method::CONNECT {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "CONNECT is not proxied");
    }
    if wants_upgrade(request.headers()) {
        return refusal(StatusCode::NOT_IMPLEMENTED, "upgrade_not_supported", "protocol upgrades are not proxied");
    }
    if !request.uri().path().starts_with('/') {
        return refusal(StatusCode::BAD_REQUEST, "bad_path", "the path must begin with /");
    }
    if !is_inference(request.uri().path()) {
        let message = "no model is served at this path; paths of OpenAI's API begin with /v1/";
        return Some(Refusal::new(StatusCode::NOT_FOUND, "unknown_path", Outcome::Unroutable, message));
    }
    None
}

/// Pages that no replica serves. They leave no record: probes and scrapes are not load.
fn own_page(shared: &Shared, request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let path = request.uri().path();
    if path == "/health" {
        let stopping = shared.is_stopping();
        let status = if stopping { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        return Some(text(status, if stopping { "stopping\n" } else { "ok\n" }.to_owned()));
    }
    if shared.config.metrics_path.as_deref() == Some(path) {
        return Some(text(StatusCode::OK, crate::metrics::render(shared)));
    }
    models_page(shared, path)
}

/// `/v1/models` over all groups, and one model of it. `None` where no group names models: its engine knows them.
fn models_page(shared: &Shared, path: &str) -> Option<Response<Full<Bytes>>> {
    let rest = path.strip_prefix("/v1/models")?;
    let wanted = match rest {
        "" | "/" => None,
        _ => Some(rest.strip_prefix('/')?),
    };
    let models = shared.routes.models();
    if models.is_empty() && shared.routes.resolve(None).is_ok() {
        return None;
    }
    let created = shared.started_epoch;
    let describe = |(id, owned_by)| Model { id, object: "model", created, owned_by };
    Some(match wanted {
        None => {
            let data = models.into_iter().map(describe).collect();
            json(StatusCode::OK, &ModelList { object: "list", data })
        }
        Some(wanted) => match models.into_iter().find(|(id, _)| id == wanted) {
            Some(model) => json(StatusCode::OK, &describe(model)),
            None => match shared.routes.resolve(Some(wanted)) {
                Err(refusal) => refusal.response(),
                Ok(_) => return None,
            },
        },
    })
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
