//! Serves an axum router within limits: of connections, of the time that a client may take for a request's head, and of the time
//! until it is answered. `axum::serve` has none of these. Must not know what is served.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Time for the head of a request, from the connection's beginning or the last answer's end; so also for a connection without
    /// requests. Longer than clients keep theirs, where a request that meets the end of its connection is not sent again.
    pub head: Duration,
    /// Time from the head to the answer's beginning, the request's body included; then it is 408.
    pub answer: Duration,
    /// Time for requests in flight once the end is asked for; then they are cut.
    pub grace: Duration,
}

impl Default for Limits {
    /// For pages, probes and scrapes, which are few and answered at once.
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        }
    }
}

/// Largest head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Serves until `stop` resolves and what was in flight has ended, or was cut.
pub async fn serve<L: Listener>(mut listener: L, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (graceful, kill, tasks) = (GracefulShutdown::new(), CancellationToken::new(), TaskTracker::new());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(MAX_HEAD_BYTES);
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            // Ends only if the semaphore were closed, which nobody does.
            let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
            let (stream, _) = listener.accept().await;
            Some((slot, stream))
        };
        let (slot, stream) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => match next {
                Some(next) => next,
                None => break,
            },
        };
        let router = TowerToHyperService::new(router.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = router.call(request);
            async move { Ok::<_, Infallible>(within(limits.answer, answer).await) }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        let kill = kill.clone();
        tasks.spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                },
                () = kill.cancelled() => {}
            }
            drop(slot);
        });
    }
    drop(listener);
    tasks.close();
    let _ = tokio::time::timeout(limits.grace, graceful.shutdown()).await;
    kill.cancel();
    tasks.wait().await;
}

async fn within(time: Duration, answer: impl Future<Output = Result<Response<Body>, Infallible>>) -> Response<Body> {
    if let Ok(Ok(answer)) = tokio::time::timeout(time, answer).await {
        return answer;
    }
    let mut late = Response::new(Body::from("the request took too long\n"));
    *late.status_mut() = StatusCode::REQUEST_TIMEOUT;
    late
}
