//! From records of requests to batches: arrivals counted when they arrive, sizes when they are known. Knows no gateway.

use crate::batch::{Batch, Size, is_count};
use std::collections::VecDeque;

/// Most arrivals or ends that wait to be told; beyond it the oldest are told with the next batch as if they fell into it.
/// An hour at 1,000 requests a second; who never asks for a batch must not cost memory.
pub const MAX_WAITING: usize = 1 << 22;

/// Counts requests as a gateway sees them, and tells a span at a time.
///
/// Where a source knows arrivals only from finished records, call both [`Records::arrived`] and [`Records::ended`] when the record
/// comes, and ask for spans that ended long enough ago; better is to call `arrived` when a request comes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records {
    arrivals: VecDeque<f64>,
    ends: VecDeque<(f64, Option<Size>)>,
    /// Arrived and not ended as of the end of the last batch.
    open: u64,
    told: Option<f64>,
}

impl Records {
    /// A request arrived, at a time in seconds. Times that are not finite are passed over.
    pub fn arrived(&mut self, at: f64) {
        if at.is_finite() {
            insert(&mut self.arrivals, at, |known| *known);
        }
    }

    /// A request that arrived before ended, however it did. `size` where the engine told its tokens or they were counted:
    /// refused and failed requests have none, and are an arrival and no size.
    pub fn ended(&mut self, at: f64, size: Option<Size>) {
        if at.is_finite() {
            let size = size.filter(|size| is_count(size.input) && is_count(size.output));
            insert(&mut self.ends, (at, size), |known| known.0);
        }
    }

    /// What happened from the end of the last batch (or `first`, for the first one) until `to`. Nothing if no time passed.
    /// What was told too late for its own span is in this one, so that nothing is lost.
    pub fn batch(&mut self, first: f64, to: f64) -> Option<Batch> {
        let from = self.told.unwrap_or(first);
        if !(from.is_finite() && to.is_finite() && to > from) {
            return None;
        }
        self.told = Some(to);
        let arrivals = self.arrivals.partition_point(|at| *at <= to);
        self.arrivals.drain(..arrivals);
        let ends = self.ends.partition_point(|(at, _)| *at <= to);
        let sizes: Vec<(Size, f64)> = self.ends.drain(..ends).filter_map(|(_, size)| Some((size?, 1.0))).collect();
        self.open = (self.open + arrivals as u64).saturating_sub(ends as u64);
        let (arrivals, pending) = (Some(arrivals as f64), Some(self.open as f64));
        Some(Batch { arrivals, sizes, pending, ..Batch::new(from, to) })
    }
}

/// Inserts by time, after what is of the same time; nearly always at the end.
fn insert<T>(queue: &mut VecDeque<T>, item: T, time: impl Fn(&T) -> f64) {
    if queue.len() >= MAX_WAITING {
        queue.pop_front();
    }
    let at = queue.partition_point(|known| time(known) <= time(&item));
    queue.insert(at, item);
}
