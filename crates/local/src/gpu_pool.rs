//! The GPUs of the machine as a pool that all groups draw from, first come, first served, as far as that is of use.
//!
//! A request that fits passes those before it that do not fit now, so that no GPU lies idle for want of a second one.
//! Each lets only so many pass; then what comes free is kept for it. It must not know what runs on the GPUs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Requests that may pass one that waits. Enough for small groups to grow beside a big replica that finds no room, and an
/// end to it: a replica that needs four GPUs is not overtaken for ever by ones that need one.
const MAX_PASSES: u32 = 8;

/// A pool of devices.
#[derive(Clone, Debug)]
pub(crate) struct GpuPool {
    total: u32,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    free: Vec<String>,
    waiting: VecDeque<Waiting>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    count: usize,
    /// Later requests that were served before it.
    passed: u32,
    grant: oneshot::Sender<GpuLease>,
}

/// A place in the queue; giving it up (drop) leaves the queue.
#[derive(Debug)]
pub(crate) struct GpuTicket {
    ticket: u64,
    granted: oneshot::Receiver<GpuLease>,
    pool: GpuPool,
}

/// Devices in use, given back on drop.
#[derive(Debug)]
pub(crate) struct GpuLease {
    devices: Vec<String>,
    pool: GpuPool,
}

impl GpuPool {
    pub(crate) fn new(devices: Vec<String>) -> Self {
        let total = u32::try_from(devices.len()).unwrap_or(u32::MAX);
        Self { total, state: Arc::new(Mutex::new(State { free: devices, waiting: VecDeque::new(), next_ticket: 0 })) }
    }

    /// GPUs in all, lent or free.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// Queues for `count` devices, now. The queue is as long as there are replicas that wait. More than
    /// [`Self::total`] would block the queue for good: the caller must not ask for it. None at all wait for nobody.
    pub(crate) fn request(&self, count: u32) -> GpuTicket {
        let (grant, granted) = oneshot::channel();
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        if count == 0 {
            drop(state);
            let _ = grant.send(GpuLease { devices: Vec::new(), pool: self.clone() });
        } else {
            state.waiting.push_back(Waiting { ticket, count: count as usize, passed: 0, grant });
            drop(state);
            self.serve();
        }
        GpuTicket { ticket, granted, pool: self.clone() }
    }

    /// Serves whoever is next, until nobody is.
    fn serve(&self) {
        loop {
            let mut state = self.lock();
            let Some(next) = state.take_next() else { return };
            let devices = state.free.drain(..next.count).collect();
            drop(state);
            // Refused if the ticket was given up just now: the lease comes back, and its drop serves the next.
            let _ = next.grant.send(GpuLease { devices, pool: self.clone() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first in the queue that fits, unless one before it has let enough pass.
    fn take_next(&mut self) -> Option<Waiting> {
        let free = self.free.len();
        let blocks = |waiting: &Waiting| waiting.count <= free || waiting.passed >= MAX_PASSES;
        let place = self.waiting.iter().position(blocks)?;
        if self.waiting[place].count > free {
            return None;
        }
        self.waiting.iter_mut().take(place).for_each(|passed| passed.passed += 1);
        self.waiting.remove(place)
    }
}

impl GpuTicket {
    /// The lease, if it is granted already.
    pub(crate) fn try_claim(&mut self) -> Option<GpuLease> {
        self.granted.try_recv().ok()
    }

    /// Waits for the lease. Cancel safe: the place in the queue is kept. Call it once it has not been claimed.
    pub(crate) async fn claim(&mut self) -> GpuLease {
        match (&mut self.granted).await {
            Ok(lease) => lease,
            // The sender is dropped unsent only by `Drop` below, and by a claim before this one.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for GpuTicket {
    fn drop(&mut self) {
        self.pool.lock().waiting.retain(|waiting| waiting.ticket != self.ticket);
        // It may have been the head that the others waited for.
        self.pool.serve();
    }
}

impl GpuLease {
    /// The devices' names, in order.
    pub(crate) fn devices(&self) -> &[String] {
        &self.devices
    }
}

impl Drop for GpuLease {
    fn drop(&mut self) {
        if self.devices.is_empty() {
            return;
        }
        let mut state = self.pool.lock();
        state.free.append(&mut self.devices);
        // Lowest first, so that the same load uses the same devices: numbers by value, names after them.
        state.free.sort_by_key(|device| (device.parse::<u32>().unwrap_or(u32::MAX), device.clone()));
        drop(state);
        self.pool.serve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(count: usize) -> GpuPool {
        GpuPool::new((0..count).map(|i| i.to_string()).collect())
    }

    #[test]
    fn devices_are_lent_lowest_first_and_come_back() {
        let pool = pool(3);
        let first = pool.request(2).try_claim().unwrap();
        let second = pool.request(1).try_claim().unwrap();
        assert_eq!((first.devices(), second.devices()), (&["0".into(), "1".into()][..], &["2".into()][..]));
        drop(second);
        drop(first);
        assert_eq!(pool.request(3).try_claim().unwrap().devices(), ["0", "1", "2"]);
    }

    #[test]
    fn what_fits_is_served_in_the_order_of_the_queue() {
        let pool = pool(1);
        let held = pool.request(1).try_claim().unwrap();
        let (mut first, mut second) = (pool.request(1), pool.request(1));
        drop(held);
        let first = first.try_claim().unwrap();
        assert!(second.try_claim().is_none());
        drop(first);
        assert!(second.try_claim().is_some());
    }

    #[test]
    fn a_small_request_passes_a_big_one_that_cannot_be_served_now() {
        let pool = pool(2);
        let held = pool.request(1).try_claim().unwrap();
        let mut big = pool.request(2);
        let small = pool.request(1).try_claim().unwrap();
        assert_eq!(small.devices(), ["1"], "the free device does not lie idle");
        drop(held);
        assert!(big.try_claim().is_none());
        drop(small);
        assert!(big.try_claim().is_some());
    }

    #[test]
    fn the_big_one_goes_first_once_it_fits() {
        let pool = pool(2);
        let held = pool.request(2).try_claim().unwrap();
        let (mut big, mut small) = (pool.request(2), pool.request(1));
        drop(held);
        assert!(small.try_claim().is_none());
        drop(big.try_claim().unwrap());
        assert!(small.try_claim().is_some());
    }

    #[test]
    fn only_so_many_pass_and_then_devices_are_kept_for_the_big_one() {
        let pool = pool(2);
        let held = pool.request(1).try_claim().unwrap();
        let mut big = pool.request(2);
        for _ in 0..MAX_PASSES {
            drop(pool.request(1).try_claim().unwrap());
        }
        let mut late = pool.request(1);
        assert!(late.try_claim().is_none(), "the free device is kept");
        drop(held);
        drop(big.try_claim().unwrap());
        assert!(late.try_claim().is_some());
    }

    #[test]
    fn giving_up_a_place_lets_the_next_go_ahead() {
        let pool = pool(2);
        let _held = pool.request(1).try_claim().unwrap();
        let big = pool.request(2);
        let mut small = pool.request(1);
        drop(big);
        assert!(small.try_claim().is_some());
    }

    #[test]
    fn a_grant_that_nobody_takes_comes_back() {
        let pool = pool(1);
        drop(pool.request(1));
        assert!(pool.request(1).try_claim().is_some());
    }

    #[test]
    fn wanting_none_waits_for_nobody() {
        let pool = pool(1);
        let _held = pool.request(1).try_claim().unwrap();
        let _queued = pool.request(1);
        assert!(pool.request(0).try_claim().is_some());
    }
}
