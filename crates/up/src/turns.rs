//! Turns until it is over: told to stop, the load's end, or the length.

use crate::account::Account;
use crate::load::{self, Wait};
use crate::run::Options;
use crate::table::Table;
use crate::tasks;
use crate::world::World;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// The shortest time between two turns, whatever the speed.
const SHORTEST_TURN: Duration = Duration::from_millis(20);

/// How the turns ended.
pub(crate) struct Over {
    pub(crate) result: anyhow::Result<()>,
    /// The load, told to send nothing more; its last requests may still run.
    pub(crate) load: Option<JoinHandle<()>>,
}

/// Turns until it is over.
pub(crate) async fn turns(
    world: &mut World,
    options: &Options,
    account: &Account,
    table: Option<&Table>,
    gateway: SocketAddr,
    stop: CancellationToken,
) -> Over {
    let clock = world.clock;
    let mut turn = every(world);
    let mut wakeups = world.gateway.wakeups();
    let mut reloads = tasks::reloads(options.reload.as_ref().map(|reload| reload.path.clone()), stop.clone());
    let (load_ended, mut loads_over) = mpsc::channel::<anyhow::Result<()>>(1);
    let load_stop = stop.child_token();
    let mut load = None;
    let mut wait = Wait::new(&options.loads);
    let mut next_decision = 0.0;
    // A length does not wait for the next turn.
    let mut length = std::pin::pin!(async {
        match options.length {
            Some(length) => tokio::time::sleep(clock.machine(length - clock.now())).await,
            None => std::future::pending().await,
        }
    });
    let mut result = Ok(());
    loop {
        let woken = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = &mut length => break,
            over = loads_over.recv() => {
                result = over.unwrap_or(Ok(()));
                // A given length is the run's, and goes on after the load.
                if result.is_err() || options.length.is_none() { break }
                false
            }
            _ = reloads.recv() => {
                reload(world, options);
                turn = every(world);
                false
            }
            _ = turn.tick() => false,
            changed = wakeups.changed() => changed.is_ok(),
        };
        let now = clock.now();
        // A held request does not wait for the tick; and the turn that is nearest to a tick is its own.
        let decide = woken || now + world.setup.world.scrape_interval.as_secs_f64() / 2.0 >= next_decision;
        if decide {
            next_decision = now + world.setup.world.tick_interval.as_secs_f64();
        }
        world.turn(decide).await;
        account.count();
        if let Some(table) = table {
            world.view.read(|view| table.draw(view));
        }
        if load.is_none() && !options.loads.is_empty() && wait.is_over(world) {
            let sending = load::send_all(options.loads.clone(), gateway, options.speed, options.slo, load_stop.clone());
            let load_ended = load_ended.clone();
            load = Some(tokio::spawn(async move {
                let _ = load_ended.send(sending.await).await;
            }));
        }
    }
    if load.is_none() && !options.loads.is_empty() {
        world.warn(format!("no request of the load was sent: {}", wait.reason()));
    }
    // No request is sent any more; those on their way are answered before anything is stopped.
    load_stop.cancel();
    world.drains.close();
    Over { result, load }
}

fn every(world: &World) -> Interval {
    let scrape = world.clock.machine(world.setup.world.scrape_interval.as_secs_f64()).max(SHORTEST_TURN);
    let mut turn = tokio::time::interval(scrape);
    turn.set_missed_tick_behavior(MissedTickBehavior::Skip);
    turn
}

fn reload(world: &mut World, options: &Options) {
    let Some(reload) = &options.reload else { return };
    let applied = (reload.read)().and_then(|setup| world.apply(setup));
    let path = reload.path.display();
    match applied {
        Ok(()) => {
            let message = format!("{path} was read again");
            tracing::warn!("{message}");
            world.say(message);
        }
        Err(error) => {
            let problem = format!("{path} is not used, the one before goes on: ");
            // Only the last try matters.
            world.view.write(|view| view.problems.retain(|one| !one.starts_with(&problem)));
            world.warn(format!("{problem}{error:#}"));
        }
    }
}
