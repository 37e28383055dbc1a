//! Small tasks beside the turns: counting requests, telling what happens to replicas, watching the manifest.

use crate::clock::Clock;
use crate::lines::{Line, Lines};
use crate::tally::Tally;
use gateway::Event;
use local_world::EventKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// Counts finished requests until the gateway is gone.
pub(crate) async fn count(mut events: mpsc::Receiver<Event>, tally: Arc<Mutex<Tally>>) {
    while let Some(event) = events.recv().await {
        if let Event::Finished(record) = event {
            tally.lock().unwrap_or_else(PoisonError::into_inner).request(&record);
        }
    }
}

/// Tells what happens to replicas.
pub(crate) async fn narrate(
    mut events: broadcast::Receiver<local_world::Event>,
    lines: Lines,
    clock: Clock,
    stop: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => event,
        };
        match event {
            Ok(event) => {
                let said = describe(&event.kind);
                tracing::info!(replica = %event.replica, "{said}");
                let at = clock.at(event.at.into_std());
                lines.write(&Line::Replica { at, replica: event.replica.to_string(), event: said });
            }
            Err(RecvError::Lagged(lost)) => tracing::warn!(lost, "events of replicas were not told"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn describe(kind: &EventKind) -> String {
    match kind {
        EventKind::Pending(_) => "waits for a GPU".to_owned(),
        EventKind::Started { pid, gpus, .. } if gpus.is_empty() => format!("started, process {pid}"),
        EventKind::Started { pid, gpus, .. } => format!("started, process {pid}, GPU {}", gpus.join(",")),
        EventKind::Ready { after } => format!("ready after {:.1} s", after.as_secs_f64()),
        EventKind::NotReady { reason } => format!("not ready: {reason}"),
        EventKind::Draining => "draining".to_owned(),
        EventKind::Resumed => "taken back from draining".to_owned(),
        EventKind::StartTimedOut { after } => {
            format!("not ready after {:.0} s; stopped, and tried again", after.as_secs_f64())
        }
        EventKind::Exited { code, signal } => match (code, signal) {
            (Some(code), _) => format!("exited with code {code}"),
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        },
        EventKind::StartFailed { reason } => format!("could not be started: {reason}"),
        EventKind::Restarting { after } => format!("starts again in {:.1} s", after.as_secs_f64()),
        EventKind::Stopped => "stopped".to_owned(),
    }
}

/// How often a manifest's file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Gives a message when the manifest is to be read again: on SIGHUP, and when its file has changed. Where there is no file,
/// SIGHUP is the terminal that went away, and ends the run as SIGTERM does: drained, with nothing left behind.
pub(crate) fn reloads(path: Option<PathBuf>, stop: CancellationToken) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    let Some(path) = path else {
        tokio::spawn(async move {
            let hangup = async {
                match signal(SignalKind::hangup()) {
                    Ok(mut hangups) => drop(hangups.recv().await),
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                () = hangup => stop.cancel(),
                () = stop.cancelled() => {}
            }
            // The sender stays until now, so that the receiver waits and does not end.
            drop(sender);
        });
        return receiver;
    };
    tokio::spawn(async move {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else { return };
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut known = fingerprint(&path);
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                _ = hangups.recv() => true,
                _ = looks.tick() => false,
            };
            let now = fingerprint(&path);
            if asked || (now != known && now.is_some()) {
                known = now;
                // A message that waits already says the same.
                let _ = sender.try_send(());
            }
        }
    });
    receiver
}

/// What changes when a file is written: editors often replace it, so its size counts beside its time.
fn fingerprint(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
