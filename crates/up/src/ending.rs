//! The end of a run, whatever ended it: the load's last requests answered, no new ones taken, then the replicas stopped. All
//! of it has one deadline, the longest that a request or a drain may take; what it waits for is said.

use crate::account::Account;
use crate::table::Table;
use crate::world::World;
use gateway::Snapshot;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// How often replicas are counted meanwhile.
const COUNT_EVERY: Duration = Duration::from_millis(100);
/// How often it is said what is waited for.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// The first time: most ends are shorter.
const SAY_AFTER: Duration = Duration::from_secs(1);
/// Replicas have at least this long to end, in trace seconds, even where the last request took all the time.
const LEAST_GRACE: f64 = 10.0;

/// What has to end.
pub(crate) struct Running {
    /// The gateway's task, and how to end it.
    pub(crate) serving: JoinHandle<()>,
    pub(crate) stop: CancellationToken,
    /// The load that was sent, told to stop.
    pub(crate) load: Option<JoinHandle<()>>,
}

/// Ends everything in order.
pub(crate) async fn end(world: &World, running: Running, account: &Account, table: Option<&Table>) {
    let patience = world.clock.machine(world.setup.longest_end().as_secs_f64());
    let now = Instant::now();
    let until = now.checked_add(patience).unwrap_or(now);
    let progress = Progress { world, table };
    let ended = async {
        if let Some(load) = running.load {
            let _ = timeout_at(until, load).await;
        }
        world.gateway.set_shutdown_timeout(until.saturating_duration_since(Instant::now()));
        running.stop.cancel();
        let _ = running.serving.await;
        let left = world.clock.trace(until.saturating_duration_since(Instant::now()));
        let grace = Duration::try_from_secs_f64(left.max(LEAST_GRACE)).unwrap_or_default();
        world.supervisor.shutdown(grace).await;
    };
    let mut ended = std::pin::pin!(ended);
    let mut counts = tokio::time::interval(COUNT_EVERY);
    let mut next_word = now + SAY_AFTER;
    loop {
        tokio::select! {
            () = &mut ended => break,
            _ = counts.tick() => account.count(),
        }
        if Instant::now() >= next_word {
            next_word = Instant::now() + SAY_EVERY;
            progress.say(until);
        }
    }
    account.count();
}

struct Progress<'a> {
    world: &'a World,
    table: Option<&'a Table>,
}

impl Progress<'_> {
    fn say(&self, until: Instant) {
        let world = self.world;
        let replicas = world.supervisor.status().iter().filter(|status| !status.state.is_final()).count();
        let left = until.saturating_duration_since(Instant::now());
        let message = waits_for(&world.gateway.snapshot(), replicas, left);
        world.say(message.clone());
        match self.table {
            None => tracing::warn!("{message}"),
            Some(table) => {
                world.view.write(|view| view.problem(message));
                world.view.read(|view| table.draw(view));
            }
        }
    }
}

/// What an end still waits for, for people.
fn waits_for(snapshot: &Snapshot, replicas: usize, left: Duration) -> String {
    let busy = snapshot.groups.iter().flat_map(|group| &group.replicas).filter(|replica| replica.in_flight > 0);
    let busy: Vec<String> = busy.map(|replica| format!("{} on {}", replica.in_flight, replica.id)).collect();
    if busy.is_empty() {
        format!("stopping: {replicas} replicas are still there, at most {:.0} s more", left.as_secs_f64())
    } else {
        format!("draining: requests run ({}), at most {:.0} s more", busy.join(", "), left.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway::{GroupSnapshot, ReplicaSnapshot};

    #[test]
    fn it_is_said_which_requests_are_waited_for_and_for_how_long_at_most() {
        let replica = |id: &str, in_flight| ReplicaSnapshot {
            id: id.to_owned(),
            addr: std::net::SocketAddr::from(([127, 0, 0, 1], 1)),
            in_flight,
            served: 0,
            broken: 0,
            draining: false,
            suspended: false,
        };
        let replicas = vec![replica("chat-0", 3), replica("chat-1", 0), replica("chat-2", 1)];
        let groups = vec![GroupSnapshot { replicas, ..GroupSnapshot::default() }];
        let busy = Snapshot { groups, ..Snapshot::default() };
        let said = waits_for(&busy, 3, Duration::from_secs(570));
        assert_eq!(said, "draining: requests run (3 on chat-0, 1 on chat-2), at most 570 s more");
        let said = waits_for(&Snapshot::default(), 3, Duration::from_secs(20));
        assert_eq!(said, "stopping: 3 replicas are still there, at most 20 s more");
    }
}
