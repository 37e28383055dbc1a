//! Free TCP ports on loopback, lent to replicas by name.
//!
//! The kernel picks them (a bind to port 0). Between the pick and the replica's own bind another program may take one;
//! the replica then fails to start and gets fresh ports with its next start. It must not know who uses them for what.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// Picks per port before giving up: each repeats only while the kernel offers a port that is lent already.
const MAX_PICKS: u32 = 64;

/// Knows which ports are lent, so that none is lent twice before its first borrower has bound it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PortLender {
    lent: Arc<Mutex<BTreeSet<u16>>>,
}

/// Ports by name, given back on drop.
#[derive(Debug)]
pub(crate) struct PortLease {
    by_name: BTreeMap<String, u16>,
    lent: Arc<Mutex<BTreeSet<u16>>>,
}

impl PortLender {
    /// Lends one free port for each name.
    pub(crate) fn lend(&self, names: impl IntoIterator<Item = String>) -> io::Result<PortLease> {
        let mut lease = PortLease { by_name: BTreeMap::new(), lent: Arc::clone(&self.lent) };
        for name in names {
            let port = self.pick()?;
            lease.by_name.insert(name, port);
        }
        Ok(lease)
    }

    fn pick(&self) -> io::Result<u16> {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        // Kept open until one is found, so that the kernel does not offer the same port again.
        let mut refused = Vec::new();
        for _ in 0..MAX_PICKS {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = listener.local_addr()?.port();
            if lent.insert(port) {
                return Ok(port);
            }
            refused.push(listener);
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "the system offers only ports that are lent to other replicas"))
    }
}

impl PortLease {
    /// The lent ports.
    pub(crate) fn by_name(&self) -> &BTreeMap<String, u16> {
        &self.by_name
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        for port in self.by_name.values() {
            lent.remove(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_lent_twice_at_a_time_and_each_can_be_bound() {
        let lender = PortLender::default();
        let leases: Vec<_> = (0..50).map(|_| lender.lend(["a".into(), "b".into()]).unwrap()).collect();
        let ports: BTreeSet<u16> = leases.iter().flat_map(|lease| lease.by_name().values().copied()).collect();
        assert_eq!(ports.len(), 100);
        drop(leases);
        assert!(lender.lent.lock().unwrap().is_empty(), "a dropped lease gives its ports back");
        let lease = lender.lend(["a".into()]).unwrap();
        TcpListener::bind((Ipv4Addr::LOCALHOST, lease.by_name()["a"])).unwrap();
    }
}
