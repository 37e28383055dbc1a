//! The replicas of one model together. Knows no page.

use super::reading::{PageError, Reading};
use super::replica::Replica;
use crate::batch::Batch;
use autoscaler_metrics::Engine;
use std::collections::BTreeMap;

/// A replica without pages is taken to go on as before for so many seconds, and is forgotten then: scrapes fail singly,
/// above all when an engine is busy, and a minute of failures is a replica that is gone.
pub const HOLD_SECONDS: f64 = 60.0;
/// Most replicas of a model.
pub const MAX_REPLICAS: usize = 4096;

/// The replicas of one model: pages in as they come, batches out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replicas {
    by_name: BTreeMap<String, Replica>,
    labels: BTreeMap<String, String>,
    told: Option<f64>,
}

impl Replicas {
    /// Replicas of which series with these labels count (`model_name`, where a page shows several models).
    #[must_use]
    pub fn new(labels: BTreeMap<String, String>) -> Self {
        Self { labels, ..Self::default() }
    }

    /// Takes a replica's page, scraped at a time in seconds. Without an engine the page tells which it is.
    pub fn page(&mut self, replica: &str, engine: Option<Engine>, page: &[u8], at: f64) -> Result<(), PageError> {
        let reading = Reading::of(page, engine, &self.labels)?;
        self.reading(replica, reading, at)
    }

    /// The same for what was read already.
    pub fn reading(&mut self, replica: &str, reading: Reading, at: f64) -> Result<(), PageError> {
        if !at.is_finite() {
            return Err(PageError::NotNewer);
        }
        let reading = reading.sound();
        if let Some(known) = self.by_name.get_mut(replica) {
            if at <= known.at {
                return Err(PageError::NotNewer);
            }
            known.read(reading, at);
        } else if self.by_name.len() >= MAX_REPLICAS {
            return Err(PageError::TooManyReplicas(MAX_REPLICAS));
        } else {
            self.by_name.insert(replica.to_owned(), Replica::new(reading, at, self.told));
        }
        Ok(())
    }

    /// Forgets replicas that are no more. What was unfinished there does not count as having arrived elsewhere or been
    /// completed.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.by_name.retain(|name, _| is_there(name));
    }

    /// What happened since the batch before, as of `to`. Nothing for the first, which only begins the span, and where no
    /// page came since: then the next one covers the time.
    pub fn batch(&mut self, to: f64) -> Option<Batch> {
        if !to.is_finite() {
            return None;
        }
        self.by_name.retain(|_, replica| replica.at >= to - HOLD_SECONDS || replica.has_news());
        let Some(from) = self.told else {
            if !self.by_name.is_empty() {
                self.told = Some(to);
                self.by_name.values_mut().for_each(Replica::forget_news);
            }
            return None;
        };
        if to <= from || !self.by_name.values().any(Replica::has_news) {
            return None;
        }
        self.told = Some(to);
        let mut batch = Batch { arrivals: Some(0.0), ..Batch::new(from, to) };
        for replica in self.by_name.values_mut() {
            let news = replica.tell(to - from);
            batch.arrivals = batch.arrivals.map(|arrivals| arrivals + news.arrivals);
            batch.sizes.extend(news.sizes);
        }
        let total = |of: fn(&Reading) -> Option<f64>| {
            self.by_name.values().filter_map(|replica| of(&replica.last)).reduce(|a, b| a + b)
        };
        batch.pending = total(Reading::unfinished);
        batch.queued = total(|reading| reading.waiting);
        Some(batch)
    }
}
