//! The books of a supervisor: which groups and replicas there are. Counting only; nothing is started or stopped here.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::Error;
use crate::replica::Replica;
use crate::spec::GroupSpec;
use crate::status::ReplicaId;

/// Ended replicas whose status and log are kept, over all groups: enough to see what happened, and bounded.
const KEEP_ENDED: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) replicas: BTreeMap<ReplicaId, Entry>,
    /// Where the numbers of removed groups go on.
    pub(super) retired: BTreeMap<String, u32>,
    pub(super) closing: bool,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) spec: watch::Sender<Arc<GroupSpec>>,
    pub(super) next_index: u32,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) replica: Arc<Replica>,
    pub(super) task: AbortHandle,
}

impl Books {
    pub(super) fn group(&self, name: &str) -> Result<&Group, Error> {
        self.groups.get(name).ok_or_else(|| Error::UnknownGroup {
            group: name.to_owned(),
            known: self.groups.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    pub(super) fn of(&self, group: &str) -> impl Iterator<Item = &Entry> {
        self.replicas.values().filter(move |entry| entry.replica.group == group)
    }

    /// Those that are not leaving.
    pub(super) fn live(&self, group: &str) -> impl Iterator<Item = &Entry> {
        self.of(group).filter(|entry| {
            let status = entry.replica.watch();
            let status = status.borrow();
            !status.leaving && !status.state.is_final()
        })
    }

    /// Keeps only the last few ended replicas.
    pub(super) fn forget_ended(&mut self) {
        let mut ended: Vec<_> =
            self.replicas.values().filter(|entry| entry.ended()).map(|e| e.replica.status()).collect();
        ended.sort_by_key(|status| status.created_at);
        let surplus = ended.len().saturating_sub(KEEP_ENDED);
        for status in ended.into_iter().take(surplus) {
            if let Some(entry) = self.replicas.remove(&status.id) {
                entry.replica.log.remove_files();
            }
        }
    }
}

impl Entry {
    pub(super) fn ended(&self) -> bool {
        self.replica.watch().borrow().state.is_final()
    }
}
