//! Keeps the gateway's replicas in step with the supervisor's: ready ones are routed to, crashed ones are taken out at
//! once. Event-driven, so that neither waits for a tick. Must not know why a replica comes or goes.

use gateway::GatewayHandle;
use local_world::{EventKind, MAIN_PORT, ReplicaState, ReplicaStatus, Supervisor};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Events say at once what changed; a look this often mends whatever they missed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Follows the supervisor's events until `stop`.
pub(crate) async fn follow(supervisor: Supervisor, gateway: GatewayHandle, stop: CancellationToken) {
    let mut events = supervisor.events();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => event,
            _ = looks.tick() => {
                sync(&supervisor, &gateway);
                continue;
            }
        };
        match event {
            // A process that ended has broken its connections: what had no answer yet goes elsewhere.
            Ok(event) if matches!(event.kind, EventKind::Exited { .. }) => {
                let _ = gateway.remove_replica(event.replica.as_str());
                sync(&supervisor, &gateway);
            }
            Ok(_) | Err(RecvError::Lagged(_)) => sync(&supervisor, &gateway),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Routes to every ready replica, and to no other.
fn sync(supervisor: &Supervisor, gateway: &GatewayHandle) {
    let snapshot = gateway.snapshot();
    let replicas = snapshot.groups.iter().flat_map(|group| &group.replicas);
    let routed: BTreeMap<&str, (SocketAddr, bool)> =
        replicas.map(|replica| (replica.id.as_str(), (replica.addr, replica.suspended))).collect();
    for status in supervisor.status() {
        // Each can only fail because the replica, or its group, left meanwhile; the next look sees that.
        let _ = match wanted(Glance::of(&status), routed.get(status.id.as_str()).copied()) {
            Change::None => Ok(()),
            Change::Add(addr) => gateway.add_replica(&status.group, status.id.as_str(), addr),
            Change::Move(addr) => gateway
                .remove_replica(status.id.as_str())
                .and_then(|_| gateway.add_replica(&status.group, status.id.as_str(), addr)),
            Change::Suspend => gateway.suspend_replica(status.id.as_str()),
            Change::Resume => gateway.resume_replica(status.id.as_str()),
            Change::Remove => gateway.remove_replica(status.id.as_str()).map(drop),
        };
    }
}

/// What the gateway has to change of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Add(SocketAddr),
    /// Started again on another port, unseen.
    Move(SocketAddr),
    Suspend,
    Resume,
    Remove,
}

/// What matters here of a replica.
#[derive(Debug, Clone, Copy)]
struct Glance {
    serves: bool,
    /// Was ready, and is not now.
    unwell: bool,
    /// It has a process.
    runs: bool,
    addr: Option<SocketAddr>,
}

impl Glance {
    fn of(status: &ReplicaStatus) -> Self {
        let port = status.ports.get(MAIN_PORT);
        Self {
            serves: serves(status),
            unwell: status.state == ReplicaState::NotReady,
            runs: status.pid.is_some(),
            addr: port.map(|&port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        }
    }
}

/// `routed`: where the gateway sends its requests, and whether it is suspended there.
fn wanted(seen: Glance, routed: Option<(SocketAddr, bool)>) -> Change {
    match (routed, seen.addr) {
        (None, Some(addr)) if seen.serves => Change::Add(addr),
        (Some((routed, _)), Some(addr)) if seen.serves && routed != addr => Change::Move(addr),
        (Some((_, true)), _) if seen.serves => Change::Resume,
        (Some(_), _) if !seen.runs => Change::Remove,
        // It may finish what it has, and is expected back; meanwhile nothing new goes to it.
        (Some((_, false)), _) if seen.unwell => Change::Suspend,
        _ => Change::None,
    }
}

/// Ready and not on its way out.
pub(crate) fn serves(status: &ReplicaStatus) -> bool {
    status.state == ReplicaState::Ready && !status.leaving
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1000);
    const ELSEWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 2000);
    const READY: Glance = Glance { serves: true, unwell: false, runs: true, addr: Some(HERE) };
    const UNWELL: Glance = Glance { serves: false, unwell: true, ..READY };
    const LEAVING: Glance = Glance { serves: false, ..READY };
    const CRASHED: Glance = Glance { serves: false, unwell: false, runs: false, addr: None };

    #[test]
    fn a_replica_that_was_unwell_is_taken_back_when_it_is_ready_again() {
        assert_eq!(wanted(UNWELL, Some((HERE, false))), Change::Suspend);
        assert_eq!(wanted(UNWELL, Some((HERE, true))), Change::None);
        assert_eq!(wanted(READY, Some((HERE, true))), Change::Resume);
        assert_eq!(wanted(READY, Some((HERE, false))), Change::None);
    }

    #[test]
    fn a_replica_is_routed_to_once_it_is_ready_and_never_when_it_is_leaving() {
        assert_eq!(wanted(READY, None), Change::Add(HERE));
        assert_eq!(wanted(UNWELL, None), Change::None);
        assert_eq!(wanted(LEAVING, None), Change::None);
        assert_eq!(wanted(LEAVING, Some((HERE, false))), Change::None, "its drain is whoever scales' own");
    }

    #[test]
    fn a_crash_and_a_restart_on_another_port_are_seen_without_their_events() {
        assert_eq!(wanted(CRASHED, Some((HERE, false))), Change::Remove);
        assert_eq!(wanted(READY, Some((ELSEWHERE, false))), Change::Move(HERE));
    }
}
