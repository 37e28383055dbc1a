//! Counts replicas over time, and puts the requests so far into the picture.

use crate::clock::Clock;
use crate::tally::Tally;
use crate::view::{RequestsView, Shared};
use local_world::Supervisor;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What is counted where.
pub(crate) struct Account {
    pub(crate) supervisor: Supervisor,
    pub(crate) clock: Clock,
    pub(crate) tally: Arc<Mutex<Tally>>,
    pub(crate) view: Shared,
}

impl Account {
    /// Counts the replicas that there are now.
    pub(crate) fn count(&self) {
        let mut by_group: BTreeMap<String, u32> = BTreeMap::new();
        for status in self.supervisor.status().iter().filter(|status| !status.state.is_final()) {
            *by_group.entry(status.group.clone()).or_default() += 1;
        }
        let at = self.clock.now();
        let summary = {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.replicas(at, &by_group);
            tally.summary(at, BTreeMap::new())
        };
        self.view.write(|view| {
            view.requests = RequestsView {
                requests: summary.requests,
                failed: summary.failed,
                aborted: summary.aborted,
                ttft_p50: summary.ttft_p50,
                ttft_p99: summary.ttft_p99,
                tpot_p50: summary.tpot_p50,
            };
        });
    }
}
