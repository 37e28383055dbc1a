//! The way of one request: read it, find its group, wait for a replica, try, and try again where that is safe.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode, header, uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::body::{Buffered, buffer};
use crate::config::MAX_TIME;
use crate::error::Refusal;
use crate::handle::Shared;
use crate::headers;
use crate::inspect::{Inspected, inspect_json, starts_like_object};
use crate::observe::Observer;
use crate::record::Outcome;
use crate::respond::{ConnectionLimits, Proxied, ResponseBody};
use crate::routes::{Acquired, Replica, WaitEnd};
use crate::track::Tracker;
use crate::upstream::{Begun, Failure, Outbound, attempt};

/// Proxies one request; every way out leaves its record.
pub(crate) async fn forward(
    shared: &Arc<Shared>,
    peer: IpAddr,
    limits: &ConnectionLimits,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let mut tracker = Tracker::new(shared, request.uri().path());
    match serve(shared, peer, request, &mut tracker).await {
        Ok(begun) => respond(begun, tracker, limits),
        Err(refusal) => refuse(&refusal, tracker),
    }
}

/// Answers with a refusal and records it.
pub(crate) fn refuse(refusal: &Refusal, mut tracker: Tracker) -> Response<ResponseBody> {
    tracing::debug!(code = refusal.code, message = %refusal.message, "request refused");
    tracker.note(|record| record.status = Some(refusal.status.as_u16()));
    tracker.finish(refusal.outcome, None);
    refusal.response().map(ResponseBody::Own)
}

async fn serve(
    shared: &Arc<Shared>,
    peer: IpAddr,
    request: Request<Incoming>,
    tracker: &mut Tracker,
) -> Result<Begun, Refusal> {
    let (head, body) = request.into_parts();
    let asked = headers::request_timeout(&head.headers)?.unwrap_or(MAX_TIME).min(MAX_TIME);
    let arrived = Instant::now();
    let config = &shared.config;
    let body = buffer(body, &shared.budget, config.max_request_bytes, config.body_timeout.min(asked)).await?;
    let (group, streams) = route(shared, &head.method, &head.headers, body.bytes(), tracker)?;
    let most = shared.routes.request_timeout(&group).unwrap_or(config.request_timeout).min(MAX_TIME);
    // The header lowers the limit, and never raises it.
    tracker.deadline = arrived + asked.min(most);
    tracker.reached(&group, streams);

    let mut outbound = Outbound {
        method: head.method,
        path: head.uri.path_and_query().cloned().unwrap_or_else(|| uri::PathAndQuery::from_static("/")),
        headers: head.headers,
        body: body.bytes().clone(),
    };
    headers::for_upstream(&mut outbound.headers, peer);
    try_replicas(shared, &group, &outbound, &body, tracker).await
}

/// Finds the group: by the body's model, by `x-model`, or because there is only one.
fn route(
    shared: &Shared,
    method: &Method,
    headers: &HeaderMap,
    body: &[u8],
    tracker: &mut Tracker,
) -> Result<(Arc<str>, bool), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_json = kind.to_ascii_lowercase().contains("json") || starts_like_object(body);
    let inspected = if is_json && !body.is_empty() {
        inspect_json(body)?
    } else if is_json && method == Method::POST {
        return Err(Refusal::bad_request("malformed_json", "the request body is empty"));
    } else {
        Inspected::default()
    };
    let named = || headers.get(headers::X_MODEL).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let model = inspected.model.or_else(named);
    let (group, streams) = (shared.routes.resolve(model.as_deref()), inspected.stream);
    tracker.note(|record| {
        record.model = model;
        record.prompt_tokens = inspected.prompt.map(|(tokens, _)| tokens);
        record.prompt_estimated = inspected.prompt.is_some_and(|(_, estimated)| estimated);
    });
    Ok((group?, streams))
}

/// Tries replicas until one answers, the attempts are used up, or a failure forbids another try.
async fn try_replicas(
    shared: &Arc<Shared>,
    group: &str,
    outbound: &Outbound,
    body: &Buffered,
    tracker: &mut Tracker,
) -> Result<Begun, Refusal> {
    let mut tried: Vec<Arc<Replica>> = Vec::new();
    let mut attempts = 0;
    loop {
        let replica = obtain(shared, group, &mut tried, body.len(), attempts > 0, tracker).await?;
        attempts += 1;
        let failure = match attempt(&replica, outbound, tracker.deadline).await {
            Ok(begun) => return Ok(begun),
            Err(failure) => failure,
        };
        let error = match failure {
            Failure::Deadline => return Err(Refusal::deadline()),
            Failure::Gone => "its replicas were lost".to_owned(),
            Failure::Connect(error) => {
                shared.routes.avoid(&replica);
                error
            }
            Failure::Lost(error) => {
                confirm_crash(shared, &replica, &error, tracker.deadline).await?;
                error
            }
        };
        tracing::debug!(replica = replica.id, attempts, %error, "attempt failed");
        tracker.drop_lease();
        if attempts >= shared.config.max_attempts {
            return Err(Refusal::bad_gateway(format!("{attempts} attempts failed, the last: {error}")));
        }
        tracker.note(|record| record.retries += 1);
        tried.push(replica);
    }
}

/// A connection that broke may have been the request's own fault, and a second try would do the harm again. Only the
/// world's word that the replica is leaving or gone allows one; the break is often seen before that word comes.
async fn confirm_crash(shared: &Shared, replica: &Replica, error: &str, deadline: Instant) -> Result<(), Refusal> {
    if replica.is_draining() {
        return Ok(());
    }
    let until = (Instant::now() + shared.config.crash_grace).min(deadline);
    match tokio::time::timeout_at(until, replica.gone.cancelled()).await {
        Ok(()) => Ok(()),
        Err(_) => Err(Refusal::bad_gateway(format!("the replica broke off before it answered: {error}"))),
    }
}

/// Gets a lease on a replica into the tracker, waiting where none is free.
async fn obtain(
    shared: &Arc<Shared>,
    group: &str,
    tried: &mut Vec<Arc<Replica>>,
    bytes: usize,
    again: bool,
    tracker: &mut Tracker,
) -> Result<Arc<Replica>, Refusal> {
    loop {
        let lease = match shared.routes.acquire(group, tried, bytes, again)? {
            Acquired::Lease(lease) => lease,
            Acquired::Wait(waiter) => {
                let began = Instant::now();
                let result = waiter.wait(tracker.deadline).await;
                tracker.note(|record| record.held += began.elapsed());
                result.map_err(|end| not_served(group, end))?
            }
            Acquired::OnlyTried => {
                // Perhaps it is only slow to listen; perhaps it is about to be reported as crashed.
                let pause = Instant::now() + shared.config.connect_backoff;
                tokio::time::sleep_until(pause.min(tracker.deadline)).await;
                if Instant::now() >= tracker.deadline {
                    return Err(Refusal::deadline());
                }
                tried.clear();
                continue;
            }
        };
        let replica = Arc::clone(lease.replica());
        tracker.hold_lease(lease);
        return Ok(replica);
    }
}

fn not_served(group: &str, end: WaitEnd) -> Refusal {
    match end {
        WaitEnd::HoldTimeout => {
            Refusal::unavailable("hold_timeout", format!("no replica of {group} became ready in time"))
        }
        WaitEnd::Deadline => Refusal::deadline(),
        WaitEnd::Closed => Refusal::shutting_down(),
        WaitEnd::Removed => crate::routes::removed(group),
    }
}

/// What an answer in full counts as. A replica that has too much to do has not refused the request for what it is.
fn outcome_of(status: StatusCode) -> Outcome {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Outcome::UpstreamError
    } else if status.is_client_error() {
        Outcome::BadRequest
    } else {
        Outcome::Ok
    }
}

fn respond(begun: Begun, mut tracker: Tracker, limits: &ConnectionLimits) -> Response<ResponseBody> {
    let Begun { mut head, first, rest } = begun;
    tracker.committed(head.status);
    headers::strip_hop_by_hop(&mut head.headers);
    let ok = outcome_of(head.status);
    let body = if let Some(first) = first {
        let observer = Observer::for_response(&head.headers);
        let proxied = Proxied::new(first, rest, observer, tracker, ok, Arc::clone(limits));
        ResponseBody::Proxied(Box::new(proxied))
    } else {
        tracker.finish(ok, None);
        ResponseBody::Own(Full::default())
    };
    Response::from_parts(head, body)
}
