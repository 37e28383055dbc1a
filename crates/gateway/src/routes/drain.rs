//! How replicas leave: drained (planned), removed (crashed), or suspended for a while (not well).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::replica::Cut;
use super::{Replica, RouteError, Routes};

/// What a drain came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Requests on the replica when the drain began.
    pub in_flight: usize,
    /// Requests cut after their first byte, which should be 0.
    pub cut: usize,
    /// From the drain's begin to the last request's end.
    pub elapsed: Duration,
}

/// What the removal of a crashed replica met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveReport {
    /// Requests on the replica at that moment. Those without a byte sent are retried elsewhere, the others fail.
    pub in_flight: usize,
}

impl Routes {
    /// Takes the replica out of routing now; the future resolves when its last request ended. Each request ends at its
    /// own deadline at the latest. With `limit`, what is left then is cut: retried elsewhere if no byte was sent, else
    /// aborted and reported. A second drain of the same replica waits along.
    pub(crate) fn drain(
        &self,
        id: &str,
        limit: Option<Duration>,
    ) -> Result<impl Future<Output = DrainReport> + Send + use<>, RouteError> {
        let replica = self.begin_drain(id)?;
        let started = Instant::now();
        let in_flight = replica.in_flight();
        Ok(async move {
            match limit {
                None => replica.idle.cancelled().await,
                Some(limit) => {
                    if tokio::time::timeout(limit, replica.idle.cancelled()).await.is_err() {
                        replica.cut(Cut::ScaledDown);
                        replica.idle.cancelled().await;
                    }
                }
            }
            DrainReport { in_flight, cut: replica.aborted(), elapsed: started.elapsed() }
        })
    }

    fn begin_drain(&self, id: &str) -> Result<Arc<Replica>, RouteError> {
        let unknown = || RouteError::UnknownReplica(id.to_owned());
        let mut table = self.lock();
        let group = table.group_of(id).ok_or_else(unknown)?;
        let replica = Arc::clone(group.find(id).ok_or_else(unknown)?);
        let already = replica.is_draining();
        replica.set_draining();
        if replica.in_flight() == 0 && group.retire_if_draining(&replica) {
            replica.idle.cancel();
        }
        let stranded = !already && group.is_stranded();
        if replica.idle.is_cancelled() {
            table.replicas.remove(id);
            table.sweep(&replica.group);
        }
        drop(table);
        if stranded {
            self.wake(&replica.group);
        }
        Ok(replica)
    }

    /// Nothing new goes to the replica until it is resumed. It stays, however few requests it has left: unlike a drained
    /// one it is expected back.
    pub(crate) fn suspend(&self, id: &str) -> Result<(), RouteError> {
        let (replica, stranded) = self.set_suspended(id, true)?;
        if stranded {
            self.wake(&replica.group);
        }
        Ok(())
    }

    /// Takes a suspended replica back; waiting requests go to it at once.
    pub(crate) fn resume(&self, id: &str) -> Result<(), RouteError> {
        self.set_suspended(id, false).map(drop)
    }

    /// Answers the replica, and whether requests wait that nobody can take any more.
    fn set_suspended(&self, id: &str, suspended: bool) -> Result<(Arc<Replica>, bool), RouteError> {
        let unknown = || RouteError::UnknownReplica(id.to_owned());
        let mut table = self.lock();
        let group = table.group_of(id).ok_or_else(unknown)?;
        let replica = Arc::clone(group.find(id).ok_or_else(unknown)?);
        let changed = replica.is_suspended() != suspended;
        replica.set_suspended(suspended);
        group.dispatch(Instant::now());
        Ok((replica, changed && group.is_stranded()))
    }

    /// A replica crashed: out of routing, and the requests on it end now.
    pub(crate) fn remove_replica(&self, id: &str) -> Result<RemoveReport, RouteError> {
        let unknown = || RouteError::UnknownReplica(id.to_owned());
        let mut table = self.lock();
        let group = table.group_of(id).ok_or_else(unknown)?;
        let replica = Arc::clone(group.find(id).ok_or_else(unknown)?);
        group.remove(&replica);
        let stranded = group.is_stranded();
        table.replicas.remove(id);
        table.sweep(&replica.group);
        let in_flight = replica.in_flight();
        if in_flight == 0 {
            replica.idle.cancel();
        }
        drop(table);
        // What a replica loses while it is drained counts as scaling's doing, not as a crash.
        replica.cut(if replica.is_draining() { Cut::ScaledDown } else { Cut::Crashed });
        if stranded {
            self.wake(&replica.group);
        }
        Ok(RemoveReport { in_flight })
    }
}
