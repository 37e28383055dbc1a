//! Takes in a request body within its limits: its own size, all bodies together, and time. Knows no routing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body;
use http_body_util::BodyExt;

use crate::error::Refusal;
use crate::record::Outcome;

/// Most memory set aside on the word of a `Content-Length` alone.
const MAX_TRUSTED_CAPACITY: usize = 1 << 20;

/// Bytes of request bodies in memory, shared by all requests.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    most: usize,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), most })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|total| *total <= self.most)
            })
            .is_ok()
    }
}

/// A whole request body; its share of the budget is given back on drop.
#[derive(Debug)]
pub(crate) struct Buffered {
    bytes: Bytes,
    share: Share,
}

impl Buffered {
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.share.taken
    }
}

#[derive(Debug)]
struct Share {
    budget: Arc<Budget>,
    taken: usize,
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        if !self.budget.take(bytes) {
            let message = "the requests being served hold too much memory";
            return Err(Refusal::unavailable("overloaded", message));
        }
        self.taken += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

/// Reads `body` to its end.
pub(crate) async fn buffer<B>(body: B, budget: &Arc<Budget>, most: usize, within: Duration) -> Result<Buffered, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut share = Share { budget: Arc::clone(budget), taken: 0 };
    if body.is_end_stream() {
        return Ok(Buffered { bytes: Bytes::new(), share });
    }
    if body.size_hint().lower() > most as u64 {
        return Err(too_large(most));
    }
    let Ok(bytes) = tokio::time::timeout(within, collect(body, &mut share, most)).await else {
        let message = "the request body did not arrive in time";
        return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", Outcome::BadRequest, message));
    };
    Ok(Buffered { bytes: bytes?, share })
}

async fn collect<B>(mut body: B, share: &mut Share, most: usize) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(most);
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::bad_request("broken_body", format!("request body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if share.taken + data.len() > most {
            return Err(too_large(most));
        }
        share.grow(data.len())?;
        if share.taken == data.len() {
            // Most bodies come in one frame: kept as it is, without a copy.
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(expected.clamp(share.taken, MAX_TRUSTED_CAPACITY.max(share.taken)));
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

fn too_large(most: usize) -> Refusal {
    let message = format!("the request body is larger than {most} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", Outcome::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    async fn take(size: usize, budget: &Arc<Budget>) -> Result<Buffered, Refusal> {
        buffer(Full::new(Bytes::from(vec![0; size])), budget, 100, Duration::from_secs(60)).await
    }

    #[tokio::test]
    async fn the_limit_is_inclusive() {
        let budget = Budget::new(1000);
        assert_eq!(take(100, &budget).await.unwrap().len(), 100);
        assert_eq!(take(101, &budget).await.unwrap_err().status, 413);
    }

    #[tokio::test]
    async fn bodies_share_one_budget_and_give_it_back() {
        let budget = Budget::new(150);
        let first = take(100, &budget).await.unwrap();
        assert_eq!(take(100, &budget).await.unwrap_err().status, 503);
        assert_eq!(budget.used(), 100, "a refused body keeps nothing");
        drop(first);
        assert_eq!(budget.used(), 0);
        assert!(take(100, &budget).await.is_ok());
    }
}
