//! Counts what the API server is asked, and what it answers, for every request of the client.

use super::Metrics;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Puts the count around a client.
#[derive(Debug, Clone)]
pub(crate) struct Requests(pub(crate) Metrics);

impl<S> Layer<S> for Requests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

/// A client that is counted.
#[derive(Debug, Clone)]
pub(crate) struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, I, O> Service<Request<I>> for Counted<S>
where
    S: Service<Request<I>, Response = Response<O>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let (metrics, method) = (self.metrics.clone(), request.method().as_str().to_owned());
        let count = move |answer: &Result<S::Response, S::Error>| {
            metrics.asked(method, answer.as_ref().ok().map(|answer| answer.status().as_u16()));
        };
        self.inner.call(request).inspect(count).boxed()
    }
}
