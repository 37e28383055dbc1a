//! The body of an answer: bounded by itself and together with the others, and whole. Must not know what a page says, only
//! how one ends.

use crate::error::ScrapeError;
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use reqwest::{Response, Version};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A page says how long it is, and may lie: no more than this is set aside on its word, in bytes.
const MAX_TRUSTED_LENGTH: usize = 1 << 20;

/// What all pages on their way may hold together.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

/// What one page holds of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }
}

impl Held<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), ScrapeError> {
        let used = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        let limit = self.budget.limit;
        if used.saturating_add(bytes) > limit { Err(ScrapeError::NoRoom { limit }) } else { Ok(()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The body, refused beyond `limit` bytes and where it is only a part.
pub(crate) async fn read(response: Response, limit: usize, budget: &Budget) -> Result<(Bytes, Held<'_>), ScrapeError> {
    let end = End::of(&response);
    let (body, held) = read_any(response, limit, budget).await?;
    end.check(&body)?;
    Ok((body, held))
}

/// The body, refused beyond `limit` bytes. Whether it is whole is for its reader to see.
pub(crate) async fn read_any(
    mut response: Response,
    limit: usize,
    budget: &Budget,
) -> Result<(Bytes, Held<'_>), ScrapeError> {
    let length = response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    if length > limit {
        return Err(ScrapeError::TooLarge { limit });
    }
    let mut held = Held { budget, bytes: 0 };
    let mut body = BytesMut::with_capacity(length.min(MAX_TRUSTED_LENGTH));
    while let Some(part) = response.chunk().await.map_err(|error| ScrapeError::of(&error))? {
        if part.len() > limit - body.len() {
            return Err(ScrapeError::TooLarge { limit });
        }
        held.take(part.len())?;
        body.extend_from_slice(&part);
    }
    Ok((body.freeze(), held))
}

/// What shows that a body came whole.
struct End {
    /// Its length was told, or its last part marked. Else it ends with the connection, whyever that ended: at a line feed
    /// at least, since a number that is cut off is another number.
    framed: bool,
    /// `OpenMetrics` ends with a mark, whose purpose this is.
    marked: bool,
}

impl End {
    fn of(response: &Response) -> Self {
        let headers = response.headers();
        let by_length = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
        let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
        Self {
            framed: by_length || response.version() >= Version::HTTP_2,
            marked: kind.is_some_and(|kind| kind.starts_with(b"application/openmetrics-text")),
        }
    }

    fn check(&self, body: &[u8]) -> Result<(), ScrapeError> {
        if self.marked && !body.trim_ascii_end().ends_with(b"# EOF") {
            Err(ScrapeError::CutOff("it has no end mark"))
        } else if !self.framed && !body.is_empty() && !body.ends_with(b"\n") {
            Err(ScrapeError::CutOff("the connection ended within a line"))
        } else {
            Ok(())
        }
    }
}
