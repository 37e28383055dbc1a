//! The body a client gets: the replica's frames as they come, watched for the deadline, for the replica's loss and for
//! token counts. Knows no routing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::observe::{Observer, Seen};
use crate::record::Outcome;
use crate::track::Tracker;

/// When the answer in progress on a connection must end. The connection's task watches it, because a body is not polled
/// while its client does not read.
pub(crate) type Limits = Option<(tokio::time::Instant, CancellationToken)>;
/// One per client connection; HTTP/1 has one answer at a time.
pub(crate) type ConnectionLimits = Arc<watch::Sender<Limits>>;

/// Why a body broke off. Its text reaches the log only; the client sees its connection close.
#[derive(Debug)]
pub(crate) enum BodyError {
    Deadline,
    ReplicaLost,
    Upstream(hyper::Error),
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deadline => f.write_str("the request's deadline passed"),
            Self::ReplicaLost => f.write_str("the replica is gone"),
            Self::Upstream(error) => write!(f, "the replica broke off: {error}"),
        }
    }
}

impl std::error::Error for BodyError {}

/// A response body.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// The gateway's own answer.
    Own(Full<Bytes>),
    /// A replica's.
    Proxied(Box<Proxied>),
}

/// A replica's answer on its way.
#[derive(Debug)]
pub(crate) struct Proxied {
    first: Option<Frame<Bytes>>,
    rest: Incoming,
    deadline: Pin<Box<Sleep>>,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
    observer: Option<Observer>,
    tracker: Tracker,
    ok: Outcome,
    ended: bool,
    limits: ConnectionLimits,
}

impl Proxied {
    /// `ok`: the outcome if the body arrives in full.
    pub(crate) fn new(
        first: Frame<Bytes>,
        rest: Incoming,
        observer: Observer,
        tracker: Tracker,
        ok: Outcome,
        limits: ConnectionLimits,
    ) -> Self {
        let gone = tracker.replica().map(|replica| replica.gone.clone()).unwrap_or_default();
        limits.send_replace(Some((tracker.deadline, gone.clone())));
        Self {
            first: Some(first),
            rest,
            deadline: Box::pin(tokio::time::sleep_until(tracker.deadline)),
            gone: Box::pin(gone.cancelled_owned()),
            observer: Some(observer),
            tracker,
            ok,
            ended: false,
            limits,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        };
        match frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.watch(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.end(Tracker::finish_broken);
                Poll::Ready(Some(Err(BodyError::Upstream(error))))
            }
            Poll::Ready(None) => {
                let ok = self.ok;
                self.end(|tracker, seen| tracker.finish(ok, seen));
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_limits(cx),
        }
    }

    fn watch(&mut self, frame: &Frame<Bytes>) {
        if let (Some(data), Some(observer)) = (frame.data_ref(), &mut self.observer) {
            observer.frame(data, Instant::now());
        }
        // With a known length the end is seen here, and the body may not be polled again.
        if self.rest.is_end_stream() {
            let ok = self.ok;
            self.end(|tracker, seen| tracker.finish(ok, seen));
        }
    }

    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.gone.as_mut().poll(cx).is_ready() {
            self.end(Tracker::finish_broken);
            return Poll::Ready(Some(Err(BodyError::ReplicaLost)));
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            self.end(|tracker, seen| tracker.finish(Outcome::Timeout, seen));
            return Poll::Ready(Some(Err(BodyError::Deadline)));
        }
        Poll::Pending
    }

    fn end(&mut self, finish: impl FnOnce(&mut Tracker, Option<Seen>)) {
        self.ended = true;
        self.limits.send_replace(None);
        let seen = self.observer.take().map(Observer::finish);
        finish(&mut self.tracker, seen);
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Tracker::finish_dropped);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Proxied(body) => body.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Proxied(body) => body.ended,
        }
    }

    /// Of a replica's body the length is in its `Content-Length`, if anywhere.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Proxied(_) => SizeHint::default(),
        }
    }
}
