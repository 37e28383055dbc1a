//! What a run came to.

use serde::Serialize;
use workload::score::Percentiles;

/// What became of the scored requests. Each is in exactly one of the fields after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fates {
    /// All that arrived after the warm-up.
    pub requests: u64,
    /// Ended within the SLO.
    pub kept: u64,
    /// Ended beyond it.
    pub late: u64,
    /// Fit into no replica.
    pub rejected: u64,
    /// Cut by a scale-down.
    pub aborted: u64,
    /// Lost with a crashed replica.
    pub crashed: u64,
    /// Had not ended when the run did.
    pub unfinished: u64,
}

impl Fates {
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.kept += other.kept;
        self.late += other.late;
        self.rejected += other.rejected;
        self.aborted += other.aborted;
        self.crashed += other.crashed;
        self.unfinished += other.unfinished;
    }

    /// Share of all arrivals that kept the SLO; 1 where there were none.
    #[must_use]
    pub fn attainment(&self) -> f64 {
        if self.requests == 0 { 1.0 } else { self.kept as f64 / self.requests as f64 }
    }
}

/// What a run came to. Times are seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The scored requests.
    pub fates: Fates,
    /// Times to first token of those that ended.
    pub ttft: Percentiles,
    /// Mean times per output token of those that ended.
    pub tpot: Percentiles,
    /// From creation to removal, warm-up left out, times the GPUs of a replica.
    pub gpu_hours: f64,
    /// GPU-hours times their prices.
    pub cost: f64,
    /// The scored requests by model.
    pub models: Vec<Fates>,
    /// The same by group.
    pub groups: Vec<GroupOutcome>,
    /// Changes of direction of a wanted count within ten minutes of the change before, in an hour; of all groups together.
    pub reversals_per_hour: f64,
    /// Most replicas at a time, those included that start or drain.
    pub peak_replicas: u32,
    /// Replicas that were created.
    pub created: u32,
    /// Seconds of this machine.
    pub wall: f64,
}

/// What one group came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupOutcome {
    /// Its name.
    pub name: String,
    /// What it used.
    pub gpu_hours: f64,
    /// What that cost.
    pub cost: f64,
    /// Changes of direction in an hour.
    pub reversals_per_hour: f64,
}

/// Counts changes of direction.
#[derive(Debug, Default, Clone)]
pub(super) struct Reversals {
    last: Option<(f64, bool)>,
    count: u32,
}

/// A change of direction within this many seconds is a reversal.
const REVERSAL: f64 = 600.0;

impl Reversals {
    pub(super) fn change(&mut self, at: f64, up: bool, counted: bool) {
        let reversed = self.last.is_some_and(|(before, was_up)| was_up != up && at - before <= REVERSAL);
        self.count += u32::from(reversed && counted);
        self.last = Some((at, up));
    }

    pub(super) fn per_hour(&self, seconds: f64) -> f64 {
        if seconds > 0.0 { f64::from(self.count) * 3600.0 / seconds } else { 0.0 }
    }
}
