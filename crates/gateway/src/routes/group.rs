//! One group: its replicas, who is picked, who waits. No lock and no clock of its own: the table's lock is held around
//! every call, and the time is an argument.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::hold::Queue;
use super::replica::Replica;
use crate::config::GroupConfig;
use crate::error::Refusal;

/// Answer to "who takes a request now".
#[derive(Debug)]
pub(super) enum Pick {
    /// This one; the request is counted on it.
    Found(Arc<Replica>),
    /// Replicas have room, but the request failed on each of them.
    OnlyTried,
    /// No replica, or none with room.
    Nothing,
}

#[derive(Debug)]
struct Slot {
    replica: Arc<Replica>,
    avoid_until: Option<Instant>,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Group {
    name: Arc<str>,
    config: GroupConfig,
    slots: Vec<Slot>,
    /// Where the next search starts, so that ties go round.
    cursor: usize,
    queue: Queue,
    /// Removed, and kept only for what its replicas still have.
    retired: bool,
}

impl Group {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            config: GroupConfig::default(),
            slots: Vec::new(),
            cursor: 0,
            queue: Queue::default(),
            retired: false,
        }
    }

    pub(super) fn configure(&mut self, config: GroupConfig) {
        self.config = config;
        self.retired = false;
    }

    /// Ends the service. Dropping the queue ends the waits.
    pub(super) fn retire(&mut self) -> Queue {
        self.retired = true;
        self.config.models.clear();
        self.take_queue()
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired
    }

    pub(super) fn request_timeout(&self) -> Option<Duration> {
        self.config.request_timeout
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn models(&self) -> &[String] {
        &self.config.models
    }

    pub(crate) fn replicas(&self) -> impl Iterator<Item = &Arc<Replica>> {
        self.slots.iter().map(|slot| &slot.replica)
    }

    /// Requests waiting, and the bytes of their bodies.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.queue.len(), self.queue.bytes())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn nobody_waits(&self) -> bool {
        self.queue.len() == 0
    }

    fn has_ready(&self) -> bool {
        self.replicas().any(|replica| replica.is_open())
    }

    /// True for the first request of a queue on a group that has nobody to serve it.
    pub(super) fn needs_waking(&self) -> bool {
        self.queue.len() == 1 && !self.has_ready()
    }

    /// True if requests wait and the last replica has just left.
    pub(super) fn is_stranded(&self) -> bool {
        self.queue.len() > 0 && !self.has_ready()
    }

    pub(super) fn add(&mut self, replica: Arc<Replica>) {
        self.slots.push(Slot { replica, avoid_until: None });
    }

    pub(super) fn find(&self, id: &str) -> Option<&Arc<Replica>> {
        self.replicas().find(|replica| replica.id == id)
    }

    pub(super) fn has(&self, replica: &Arc<Replica>) -> bool {
        self.replicas().any(|other| Arc::ptr_eq(other, replica))
    }

    /// Takes a replica out; false if it was not (or no longer) here.
    pub(super) fn remove(&mut self, replica: &Arc<Replica>) -> bool {
        let before = self.slots.len();
        self.slots.retain(|slot| !Arc::ptr_eq(&slot.replica, replica));
        self.slots.len() < before
    }

    /// Takes out a draining replica whose last request ended.
    pub(super) fn retire_if_draining(&mut self, replica: &Arc<Replica>) -> bool {
        replica.is_draining() && self.remove(replica)
    }

    pub(super) fn avoid(&mut self, replica: &Arc<Replica>, until: Instant) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| Arc::ptr_eq(&slot.replica, replica)) {
            slot.avoid_until = Some(until);
        }
    }

    /// The replica with the fewest requests in flight; one that refused a connection lately only if no other has room;
    /// ties go round.
    pub(super) fn pick(&mut self, now: Instant, tried: &[Arc<Replica>]) -> Pick {
        let limit = self.config.max_in_flight_per_replica.unwrap_or(usize::MAX);
        let count = self.slots.len();
        let mut best: Option<((bool, usize), usize)> = None;
        let mut only_tried = false;
        for index in (0..count).map(|step| (self.cursor + step) % count) {
            let Slot { replica, avoid_until } = &self.slots[index];
            let load = replica.in_flight();
            if !replica.is_open() || load >= limit {
                continue;
            }
            if tried.iter().any(|other| Arc::ptr_eq(other, replica)) {
                only_tried = true;
                continue;
            }
            let key = (avoid_until.is_some_and(|until| until > now), load);
            if best.is_none_or(|(least, _)| key < least) {
                best = Some((key, index));
            }
        }
        match best {
            Some((_, index)) => {
                self.cursor = index + 1;
                let replica = Arc::clone(&self.slots[index].replica);
                replica.enter();
                Pick::Found(replica)
            }
            None if only_tried => Pick::OnlyTried,
            None => Pick::Nothing,
        }
    }

    /// Gives waiting requests to replicas with room, first come, first served.
    pub(super) fn dispatch(&mut self, now: Instant) {
        while self.queue.len() > 0 {
            let Pick::Found(replica) = self.pick(now, &[]) else { return };
            if let Err(unused) = self.queue.hand_out(replica) {
                unused.leave();
            }
        }
    }

    /// A place in the queue and the longest wait, or a refusal if the queue is full.
    pub(super) fn enqueue(
        &mut self,
        id: u64,
        bytes: usize,
        again: bool,
    ) -> Result<(oneshot::Receiver<Arc<Replica>>, Duration), Refusal> {
        let limits = &self.config.hold;
        let full = self.queue.len() >= limits.max_requests || self.queue.bytes() + bytes > limits.max_bytes;
        if full && !again {
            let message = format!("no replica of {} is ready and too many requests are waiting", self.name);
            return Err(Refusal::unavailable("hold_queue_full", message));
        }
        Ok((self.queue.push(id, bytes, again), limits.timeout))
    }

    pub(super) fn leave_queue(&mut self, id: u64) {
        self.queue.remove(id);
    }

    /// Empties the queue; dropping what is returned ends the waits.
    pub(super) fn take_queue(&mut self) -> Queue {
        std::mem::take(&mut self.queue)
    }
}
