//! Once a second of trace time, whatever the scrapes do: the `state` lines, the history, and whether logs are lost. Shows
//! the metrics of the last scrape and the replicas of now. Must not decide or act.

use crate::clock::Clock;
use crate::lines::{Line, Lines};
use crate::routing;
use crate::view::{AutoscalerView, Shared};
use gateway::{GatewayHandle, Snapshot};
use local_world::{ReplicaStatus, Supervisor};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The shortest time between two beats, whatever the speed.
const SHORTEST: Duration = Duration::from_millis(5);

/// What a beat looks at and tells.
pub(crate) struct Pulse {
    pub(crate) supervisor: Supervisor,
    pub(crate) gateway: GatewayHandle,
    pub(crate) clock: Clock,
    pub(crate) view: Shared,
    pub(crate) lines: Lines,
}

impl Pulse {
    /// Beats until `stop`.
    pub(crate) async fn beat(self, stop: CancellationToken) {
        let mut beats = tokio::time::interval(self.clock.machine(1.0).max(SHORTEST));
        beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut lost = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = beats.tick() => {}
            }
            let (statuses, snapshot) = (self.supervisor.status(), self.gateway.snapshot());
            for line in self.show(&statuses, &snapshot) {
                self.lines.write(&line);
            }
            if !lost {
                lost = self.say_lost_logs(&statuses);
            }
        }
    }

    fn show(&self, statuses: &[ReplicaStatus], snapshot: &Snapshot) -> Vec<Line> {
        let at = self.clock.now();
        self.view.write(|view| {
            view.at = at;
            let mut autoscalers = std::mem::take(&mut view.autoscalers);
            let mut lines = Vec::new();
            for shown in &mut autoscalers {
                count(shown, statuses, snapshot);
                let point = shown.point(at);
                lines.push(Line::State { autoscaler: shown.name.clone(), point: point.clone() });
                view.remember(&shown.name, point);
            }
            view.autoscalers = autoscalers;
            lines
        })
    }

    /// Once for a whole run: a full disk is one problem, however many replicas print.
    fn say_lost_logs(&self, statuses: &[ReplicaStatus]) -> bool {
        let loses = |status: &&ReplicaStatus| self.supervisor.lost_log_lines(status.id.as_str()).is_ok_and(|n| n > 0);
        let Some(status) = statuses.iter().find(loses) else { return false };
        let folder = self.supervisor.log_dir().display();
        let message = format!("{folder}: log lines of {} could not be written; is the disk full?", status.id);
        tracing::warn!("{message}");
        self.view.write(|view| view.problem(message.clone()));
        self.lines.write(&Line::Warning { at: self.clock.now(), message });
        true
    }
}

/// Replicas and held requests as they are now.
fn count(shown: &mut AutoscalerView, statuses: &[ReplicaStatus], snapshot: &Snapshot) {
    let of_it = statuses.iter().filter(|status| status.group == shown.target);
    let (mut live, mut ready) = (0, 0);
    for status in of_it.filter(|status| !status.state.is_final() && !status.leaving) {
        live += 1;
        ready += u32::from(routing::serves(status));
    }
    (shown.replicas, shown.ready, shown.pending) = (live, ready, live - ready);
    shown.held = snapshot.group(&shown.target).map_or(0, |group| group.held as u64);
}
