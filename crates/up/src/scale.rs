//! Makes a group as large as decided. Shrinking drains first: a replica is stopped when its last request has ended.

use gateway::GatewayHandle;
use local_world::Supervisor;
use std::collections::BTreeMap;
use tokio_util::task::TaskTracker;

/// Brings `group` to `size` replicas. Answers the replicas that leave.
pub(crate) fn scale(
    supervisor: &Supervisor,
    gateway: &GatewayHandle,
    drains: &TaskTracker,
    group: &str,
    size: u32,
) -> Result<Vec<String>, local_world::Error> {
    let scaled = supervisor.scale(group, usize::try_from(size).unwrap_or(usize::MAX))?;
    if scaled.excess == 0 {
        return Ok(Vec::new());
    }
    let snapshot = gateway.snapshot();
    let load: BTreeMap<&str, usize> = snapshot
        .group(group)
        .into_iter()
        .flat_map(|group| group.replicas.iter().map(|replica| (replica.id.as_str(), replica.in_flight)))
        .collect();
    let victims = supervisor.victims(group, scaled.excess, |status| load.get(status.id.as_str()).copied().unwrap_or(0));
    let mut leaving = Vec::new();
    for id in victims {
        supervisor.drain(id.as_str())?;
        drain_and_stop(supervisor, gateway, drains, id.as_str());
        leaving.push(id.to_string());
    }
    Ok(leaving)
}

/// Lets a replica that is marked as leaving finish what it has, and stops it then.
pub(crate) fn drain_and_stop(supervisor: &Supervisor, gateway: &GatewayHandle, drains: &TaskTracker, id: &str) {
    let drained = gateway.drain_replica(id);
    let (supervisor, id) = (supervisor.clone(), id.to_owned());
    drains.spawn(async move {
        // One that was never routed to has nothing to finish.
        if let Ok(drained) = drained {
            drained.await;
        }
        // It can only fail for a replica that is gone already.
        let _ = supervisor.stop(&id, None);
    });
}
