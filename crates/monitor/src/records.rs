//! From records of requests to batches: arrivals counted when they arrive, sizes when they are known. Knows no gateway.

use crate::batch::{Batch, Size, is_count};
use std::collections::VecDeque;

/// Most arrivals, and most ends, that wait to be told: a quarter of an hour of 1,000 requests a second, in 40 MB. Of more the oldest
/// are only counted: they are told with the next batch, without sizes.
pub const MAX_WAITING: usize = 1 << 20;

/// Counts requests as a gateway sees them, and tells a span at a time.
///
/// Call [`Records::arrived`] when a request comes, and [`Records::ended`] when it ends. A gateway that tells of requests
/// only when they have ended can call both then; what it tells after its span was told is added to the next, so that
/// arrivals are right in number and late by the time the requests take.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records {
    arrivals: VecDeque<f64>,
    ends: VecDeque<(f64, Option<Size>)>,
    /// Of more than can wait, how many arrived and ended.
    only_counted: (u64, u64),
    /// Arrived and not ended at the end of the last batch.
    open: u64,
    told: Option<f64>,
}

impl Records {
    /// A request arrived, at a time in seconds. Times that are not finite are passed over.
    pub fn arrived(&mut self, at: f64) {
        if at.is_finite() {
            self.only_counted.0 += u64::from(insert(&mut self.arrivals, at, |known| *known));
        }
    }

    /// A request that arrived before ended, however it did. `size` where its tokens are known: requests that were refused
    /// or failed have none, and are an arrival without a size.
    pub fn ended(&mut self, at: f64, size: Option<Size>) {
        if at.is_finite() {
            let size = size.filter(|size| is_count(size.input) && is_count(size.output));
            self.only_counted.1 += u64::from(insert(&mut self.ends, (at, size), |known| known.0));
        }
    }

    /// What happened from the end of the last batch (or `first`, for the first one) until `to`. Nothing if no time passed.
    pub fn batch(&mut self, first: f64, to: f64) -> Option<Batch> {
        let from = self.told.unwrap_or(first);
        if !(from.is_finite() && to.is_finite() && to > from) {
            return None;
        }
        self.told = Some(to);
        let (more_arrivals, more_ends) = std::mem::take(&mut self.only_counted);
        let arrivals = self.arrivals.partition_point(|at| *at <= to);
        self.arrivals.drain(..arrivals);
        let ends = self.ends.partition_point(|(at, _)| *at <= to);
        let sizes: Vec<(Size, f64)> = self.ends.drain(..ends).filter_map(|(_, size)| Some((size?, 1.0))).collect();
        let arrivals = arrivals as u64 + more_arrivals;
        self.open = (self.open + arrivals).saturating_sub(ends as u64 + more_ends);
        let (arrivals, pending) = (Some(arrivals as f64), Some(self.open as f64));
        Some(Batch { arrivals, sizes, pending, ..Batch::new(from, to) })
    }
}

/// Inserts by time, after what is of the same time; nearly always at the end. True if the oldest had to go for it.
fn insert<T>(queue: &mut VecDeque<T>, item: T, time: impl Fn(&T) -> f64) -> bool {
    let full = queue.len() >= MAX_WAITING;
    if full {
        queue.pop_front();
    }
    let at = queue.partition_point(|known| time(known) <= time(&item));
    queue.insert(at, item);
    full
}
