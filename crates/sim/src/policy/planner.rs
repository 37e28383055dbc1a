//! Planning fed by the simulated world: what the gateway of a real cluster records of requests, and when replicas become ready.

use crate::world::{Seen, Stage};
use autoscaler_planning::{Outcome, Plan, Planning, Seen as Look, Sized, TargetSeen};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A planning and what it was shown last.
#[derive(Debug)]
pub(super) struct Planner {
    planning: Planning,
    arrivals: u64,
    input_tokens: u64,
    at: f64,
    /// Replicas whose start-up was measured, or that served from the beginning.
    measured: BTreeSet<Arc<str>>,
}

impl Planner {
    pub(super) fn new(planning: Planning) -> Self {
        Self { planning, arrivals: 0, input_tokens: 0, at: 0.0, measured: BTreeSet::new() }
    }

    /// Shows what is seen, and asks for a plan. The groups are one model's, in the order of the targets.
    pub(super) fn plan(&mut self, seen: &[&Seen<'_>]) -> Option<Plan> {
        let first = seen.first()?;
        let (now, traffic) = (first.now, first.traffic);
        let objective = self.planning.settings().objective;
        let (mut sizes, mut outcomes) = (Vec::new(), Vec::new());
        for ended in traffic.recent.iter().rev().take_while(|ended| ended.at > self.at) {
            let (input, output) = (f64::from(ended.input), f64::from(ended.output));
            sizes.push(Sized { arrived: ended.arrived, input, output, count: 1.0 });
            let kept = objective.kept(ended.ttft, ended.tpot, ended.at - ended.arrived);
            outcomes.push(Outcome { arrived: ended.arrived, ended: 1.0, kept: f64::from(u8::from(kept)) });
        }
        let starts: Vec<Vec<f64>> = seen.iter().map(|seen| self.starts(seen)).collect();
        let targets = seen.iter().zip(&starts);
        let targets: Vec<TargetSeen<'_>> =
            targets.map(|(seen, started)| TargetSeen { wanted: seen.wanted, ready: seen.ready(), started }).collect();
        self.planning.observe(&Look {
            now,
            arrivals: Some((traffic.arrivals - self.arrivals) as f64),
            input_tokens: Some((traffic.input_tokens - self.input_tokens) as f64),
            backlog_tokens: traffic.backlog_tokens as f64,
            sizes: &sizes,
            outcomes: &outcomes,
            targets: &targets,
        });
        (self.at, self.arrivals, self.input_tokens) = (now, traffic.arrivals, traffic.input_tokens);
        self.planning.plan(now)
    }

    /// Start-ups that ended since the look before.
    fn starts(&mut self, seen: &Seen<'_>) -> Vec<f64> {
        let ready = seen.replicas.iter().filter(|replica| replica.stage != Stage::Starting);
        let new = ready.filter(|replica| !self.measured.contains(&replica.name));
        let new: Vec<_> = new.map(|replica| (Arc::clone(&replica.name), replica.ready - replica.created)).collect();
        self.measured.retain(|name| seen.replicas.iter().any(|replica| replica.name == *name));
        let mut starts = Vec::new();
        for (name, seconds) in new {
            self.measured.insert(name);
            // Those that the trace begins with never started.
            if seconds > 0.0 {
                starts.push(seconds);
            }
        }
        starts
    }
}
