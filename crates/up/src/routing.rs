//! Keeps the gateway's replicas in step with the supervisor's: ready ones are routed to, crashed ones are taken out at
//! once. Event-driven, so that neither waits for a tick. Must not know why a replica comes or goes.

use gateway::GatewayHandle;
use local_world::{EventKind, MAIN_PORT, ReplicaState, ReplicaStatus, Supervisor};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Follows the supervisor's events until `stop`.
pub(crate) async fn follow(supervisor: Supervisor, gateway: GatewayHandle, stop: CancellationToken) {
    let mut events = supervisor.events();
    sync(&supervisor, &gateway);
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => event,
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
pub(crate) fn sync(supervisor: &Supervisor, gateway: &GatewayHandle) {
    let snapshot = gateway.snapshot();
    let routed: BTreeSet<&str> =
        snapshot.groups.iter().flat_map(|group| group.replicas.iter().map(|replica| replica.id.as_str())).collect();
    for status in supervisor.status() {
        let id = status.id.as_str();
        let known = routed.contains(id);
        if serves(&status) {
            if let (false, Some(&port)) = (known, status.ports.get(MAIN_PORT)) {
                // Refused while an earlier drain of the same replica goes on; the next event tries again.
                let _ = gateway.add_replica(&status.group, id, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            }
        } else if known && status.pid.is_none() {
            let _ = gateway.remove_replica(id);
        } else if known && status.state == ReplicaState::NotReady {
            // It may still finish what it has, but gets nothing new. The drain goes on without anybody waiting for it.
            drop(gateway.drain_replica(id));
        }
    }
}

/// Ready and not on its way out.
pub(crate) fn serves(status: &ReplicaStatus) -> bool {
    status.state == ReplicaState::Ready && !status.leaving
}
