//! One try at one replica: sends the buffered request, waits for the response's head and first body frame. Knows no
//! routing policy; says precisely how a try failed, so that the caller can decide whether another is allowed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, Version, response, uri};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use crate::routes::Replica;

/// Idle connections kept to one replica: as many as a batch of an engine commonly has sequences.
const MAX_IDLE_CONNECTIONS: usize = 256;

/// Client with a keep-alive pool, one per replica: dropping it closes the pool.
pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

pub(crate) fn client(connect_timeout: Duration, idle_timeout: Duration) -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle_timeout)
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
        .build(connector)
}

/// A request ready to be sent, as often as needed.
#[derive(Debug, Clone)]
pub(crate) struct Outbound {
    pub(crate) method: Method,
    pub(crate) path: uri::PathAndQuery,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A response whose first byte is at hand.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) head: response::Parts,
    /// `None`: the body is empty.
    pub(crate) first: Option<Frame<Bytes>>,
    pub(crate) rest: Incoming,
}

/// How a try failed. In each case nothing reached the client.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection, so the replica has not seen the request.
    Connect(String),
    /// The connection broke before the first response byte.
    Lost(String),
    /// The replica was reported crashed, or a drain's limit passed.
    Gone,
    /// The request's deadline passed.
    Deadline,
}

/// Tries once.
pub(crate) async fn attempt(replica: &Arc<Replica>, out: &Outbound, deadline: Instant) -> Result<Begun, Failure> {
    tokio::select! {
        biased; // an answer that is here wins over everything else
        result = exchange(replica, out) => result,
        () = replica.gone.cancelled() => Err(Failure::Gone),
        () = tokio::time::sleep_until(deadline) => Err(Failure::Deadline),
    }
}

async fn exchange(replica: &Replica, out: &Outbound) -> Result<Begun, Failure> {
    let request = build(replica, out).map_err(|error| Failure::Connect(error.to_string()))?;
    let response: Response<Incoming> = replica.client.request(request).await.map_err(|error| {
        let text = with_causes(&error);
        if error.is_connect() { Failure::Connect(text) } else { Failure::Lost(text) }
    })?;
    let (head, mut rest) = response.into_parts();
    let first = rest.frame().await.transpose().map_err(|error| Failure::Lost(with_causes(&error)))?;
    Ok(Begun { head, first, rest })
}

fn build(replica: &Replica, out: &Outbound) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut target = uri::Builder::new().scheme(uri::Scheme::HTTP).path_and_query(out.path.clone());
    if let Some(authority) = &replica.authority {
        target = target.authority(authority.clone());
    }
    let target: Uri = target.build()?;
    let mut request = Request::new(Full::new(out.body.clone()));
    *request.method_mut() = out.method.clone();
    *request.uri_mut() = target;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = out.headers.clone();
    Ok(request)
}

/// The error with its causes, since HTTP errors hide the telling part below.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
