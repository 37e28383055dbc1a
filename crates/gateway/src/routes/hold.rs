//! Requests waiting for a replica: the queue, and the waiting side that leaves it cleanly when its request is dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Lease, Replica, Routes};

/// First in, first out; requests that come back from a failed replica go in front. Bounded by the group's limits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    places: VecDeque<Place>,
    bytes: usize,
}

#[derive(Debug)]
struct Place {
    id: u64,
    bytes: usize,
    give: oneshot::Sender<Arc<Replica>>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, id: u64, bytes: usize, front: bool) -> oneshot::Receiver<Arc<Replica>> {
        let (give, take) = oneshot::channel();
        self.bytes += bytes;
        let place = Place { id, bytes, give };
        if front {
            self.places.push_front(place);
        } else {
            self.places.push_back(place);
        }
        take
    }

    /// Gives the replica to the first in line, or back if that one has gone.
    pub(super) fn hand_out(&mut self, replica: Arc<Replica>) -> Result<(), Arc<Replica>> {
        match self.places.pop_front() {
            Some(place) => {
                self.bytes -= place.bytes;
                place.give.send(replica)
            }
            None => Err(replica),
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
        if let Some(index) = self.places.iter().position(|place| place.id == id)
            && let Some(place) = self.places.remove(index)
        {
            self.bytes -= place.bytes;
        }
    }
}

/// Why a wait ended without a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitEnd {
    /// The group's longest wait passed.
    HoldTimeout,
    /// The request's own deadline passed.
    Deadline,
    /// The gateway is shutting down.
    Closed,
    /// The group was removed.
    Removed,
}

/// The waiting side of a place. Dropped in the middle, it leaves the queue, or hands back a replica that came too late.
#[derive(Debug)]
pub(crate) struct Waiter {
    routes: Arc<Routes>,
    group: String,
    id: u64,
    take: oneshot::Receiver<Arc<Replica>>,
    timeout: Duration,
    done: bool,
}

impl Waiter {
    pub(super) fn new(
        routes: &Arc<Routes>,
        group: &str,
        id: u64,
        take: oneshot::Receiver<Arc<Replica>>,
        timeout: Duration,
    ) -> Self {
        Self { routes: Arc::clone(routes), group: group.to_owned(), id, take, timeout, done: false }
    }

    /// Waits for a replica until the group's limit or the request's deadline, whichever is first.
    pub(crate) async fn wait(mut self, deadline: Instant) -> Result<Lease, WaitEnd> {
        let limit = Instant::now().checked_add(self.timeout).unwrap_or(deadline);
        match tokio::time::timeout_at(limit.min(deadline), &mut self.take).await {
            Ok(Ok(replica)) => {
                self.done = true;
                Ok(Lease::new(&self.routes, replica))
            }
            Ok(Err(_)) => {
                self.done = true;
                Err(if self.routes.lock().closed { WaitEnd::Closed } else { WaitEnd::Removed })
            }
            Err(_) => Err(if limit < deadline { WaitEnd::HoldTimeout } else { WaitEnd::Deadline }),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if let Some(group) = self.routes.lock().groups.get_mut(self.group.as_str()) {
            group.leave_queue(self.id);
        }
        // Given between the timeout and the line above: the lease counts it off again.
        if let Ok(replica) = self.take.try_recv() {
            drop(Lease::new(&self.routes, replica));
        }
    }
}
