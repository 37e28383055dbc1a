//! Counts, latency histograms, the last records, and who is told of them. Bounded: one entry per group ever configured,
//! fixed-size histograms, a ring, and channels that drop (and count) what does not fit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::latency::Latency;
use crate::record::{Event, Outcome, RequestRecord};

/// Counts and latencies of one group, or of requests that reached none.
#[derive(Debug, Clone)]
pub(crate) struct GroupStats {
    /// Reached the group, ended or not.
    pub(crate) arrived: u64,
    /// Their prompt tokens, as known at arrival.
    pub(crate) arrived_prompt_tokens: u64,
    /// In, and without a first byte.
    pub(crate) unanswered: u64,
    pub(crate) unanswered_prompt_tokens: u64,
    pub(crate) finished: u64,
    pub(crate) retries: u64,
    pub(crate) outcomes: [u64; Outcome::ALL.len()],
    /// Answered in full with a status below 400.
    pub(crate) succeeded: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) output_tokens: u64,
    /// These three of requests that succeeded.
    pub(crate) ttft: Latency,
    pub(crate) tpot: Latency,
    pub(crate) duration: Latency,
    /// Of all finished requests.
    pub(crate) held: Latency,
}

impl GroupStats {
    fn new() -> Self {
        Self {
            arrived: 0,
            arrived_prompt_tokens: 0,
            unanswered: 0,
            unanswered_prompt_tokens: 0,
            finished: 0,
            retries: 0,
            outcomes: [0; Outcome::ALL.len()],
            succeeded: 0,
            prompt_tokens: 0,
            output_tokens: 0,
            ttft: Latency::new(),
            tpot: Latency::new(),
            duration: Latency::new(),
            held: Latency::new(),
        }
    }

    fn add(&mut self, record: &RequestRecord) {
        self.finished += 1;
        self.retries += u64::from(record.retries);
        self.outcomes[record.outcome as usize] += 1;
        self.prompt_tokens += record.prompt_tokens.unwrap_or(0);
        self.output_tokens += record.output_tokens.unwrap_or(0);
        self.held.record(record.held);
        if !record.succeeded() {
            return;
        }
        self.succeeded += 1;
        self.duration.record(record.duration);
        if let Some(ttft) = record.ttft {
            self.ttft.record(ttft);
        }
        if let Some(tpot) = record.tpot {
            self.tpot.record(tpot);
        }
    }
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Stats {
    inner: Mutex<Inner>,
    next_id: AtomicU64,
    active: AtomicU64,
    dropped_events: AtomicU64,
    recent_limit: usize,
}

#[derive(Debug, Default)]
struct Inner {
    groups: BTreeMap<Arc<str>, GroupStats>,
    unrouted: Option<GroupStats>,
    recent: VecDeque<Arc<RequestRecord>>,
    subscribers: Vec<mpsc::Sender<Event>>,
}

impl Stats {
    pub(crate) fn new(recent_limit: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            next_id: AtomicU64::new(1),
            active: AtomicU64::new(0),
            dropped_events: AtomicU64::new(0),
            recent_limit,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_group(&self, name: &Arc<str>) {
        self.lock().groups.entry(Arc::clone(name)).or_insert_with(GroupStats::new);
    }

    /// A request began: its number.
    pub(crate) fn begin(&self) -> u64 {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// A request reached its group: counted now, not at its end, since a load is what arrives.
    pub(crate) fn arrived(&self, group: &str, prompt_tokens: u64) {
        if let Some(stats) = self.lock().groups.get_mut(group) {
            stats.arrived += 1;
            stats.arrived_prompt_tokens = stats.arrived_prompt_tokens.saturating_add(prompt_tokens);
            stats.unanswered += 1;
            stats.unanswered_prompt_tokens = stats.unanswered_prompt_tokens.saturating_add(prompt_tokens);
        }
    }

    /// It waits for its first token no more, or that cannot be seen.
    pub(crate) fn answered(&self, group: &str, prompt_tokens: u64) {
        if let Some(stats) = self.lock().groups.get_mut(group) {
            stats.unanswered = stats.unanswered.saturating_sub(1);
            stats.unanswered_prompt_tokens = stats.unanswered_prompt_tokens.saturating_sub(prompt_tokens);
        }
    }

    /// A request ended.
    pub(crate) fn finish(&self, record: RequestRecord) {
        self.active.fetch_sub(1, Ordering::Relaxed);
        let record = Arc::new(record);
        {
            let mut inner = self.lock();
            let known = record.group.as_deref().and_then(|name| inner.groups.get_mut(name));
            match known {
                Some(stats) => stats.add(&record),
                None => inner.unrouted.get_or_insert_with(GroupStats::new).add(&record),
            }
            if self.recent_limit > 0 {
                if inner.recent.len() >= self.recent_limit {
                    inner.recent.pop_front();
                }
                inner.recent.push_back(Arc::clone(&record));
            }
        }
        self.publish(&Event::Finished(record));
    }

    pub(crate) fn subscribe(&self, capacity: usize) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        self.lock().subscribers.push(sender);
        receiver
    }

    /// Tells every subscriber; one that does not keep up misses it, one that has gone is forgotten.
    pub(crate) fn publish(&self, event: &Event) {
        self.lock().subscribers.retain(|subscriber| match subscriber.try_send(event.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.dropped_events.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
    }

    /// Requests that began and have not ended.
    pub(crate) fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    pub(crate) fn dropped_events(&self) -> u64 {
        self.dropped_events.load(Ordering::Relaxed)
    }

    /// Up to `count` last records, oldest first.
    pub(crate) fn recent(&self, count: usize) -> Vec<Arc<RequestRecord>> {
        let inner = self.lock();
        inner.recent.iter().skip(inner.recent.len().saturating_sub(count)).cloned().collect()
    }

    /// Reads each group's stats, then (name `None`) those of requests that reached none.
    pub(crate) fn each(&self, mut read: impl FnMut(Option<&str>, &GroupStats)) {
        let inner = self.lock();
        inner.groups.iter().for_each(|(name, stats)| read(Some(name), stats));
        if let Some(stats) = &inner.unrouted {
            read(None, stats);
        }
    }
}
