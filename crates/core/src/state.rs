//! What an autoscaler remembers. It is plain data: a saved state, restored, decides as the original would have.

use crate::apa::ApaState;
use crate::coordination::Side;
use crate::kpa::KpaState;
use crate::stage::counts::CountLog;
use crate::stage::log::{ChangeLog, RecommendationLog};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the saved form; a state of another version is not used.
pub const VERSION: u32 = 1;

/// The memory of one target.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetState {
    /// Whether the start of this autoscaler is behind it.
    pub started: bool,
    /// The latest tick; time does not go back.
    pub last_tick: Option<Timestamp>,
    /// What was recommended lately.
    pub recommendations: RecommendationLog,
    /// How the autoscaler changed the replicas lately.
    pub changes: ChangeLog,
    /// The replicas that ran lately, for rates that refer to the past.
    pub counts: CountLog,
    /// Whether the replicas of the start are still to be remembered as a recommendation.
    pub unseeded: bool,
    /// The replicas that the last decision wanted, or that were last seen.
    pub expected: Option<u32>,
    /// KPA's deciders, by source.
    pub kpa: BTreeMap<String, KpaState>,
    /// APA's windows, by source.
    pub apa: BTreeMap<String, ApaState>,
    /// Since when no answer could be formed.
    pub failing_since: Option<Timestamp>,
    /// Since when zero is recommended.
    pub zero_since: Option<Timestamp>,
    /// Since when fewer pods exist than replicas are wanted.
    pub short_since: Option<Timestamp>,
    /// What it last said to the other roles of its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
}

/// The memory of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetState {
    /// [`VERSION`] of the program that saved it.
    pub version: u32,
    /// By autoscaler name.
    pub targets: BTreeMap<String, TargetState>,
}

/// What an autoscaler without a saved state is told about its past. Ages are relative to the first tick.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// Age and count of earlier recommendations.
    pub recommendations: Vec<(crate::time::Span, u32)>,
    /// Age of earlier changes and how many replicas they added (negative: removed).
    pub changes: Vec<(crate::time::Span, i64)>,
}

impl TargetState {
    /// A state that begins with `history` at the first tick, and so does not seed itself.
    #[must_use]
    pub fn with_history(history: &History, first_tick: Timestamp) -> Self {
        let mut state = Self { started: true, ..Self::default() };
        let mut recommendations = history.recommendations.clone();
        recommendations.sort_by_key(|&(age, _)| std::cmp::Reverse(age));
        for (age, replicas) in recommendations {
            state.recommendations.push(first_tick - age, replicas);
        }
        let mut changes = history.changes.clone();
        changes.sort_by_key(|&(age, _)| std::cmp::Reverse(age));
        for (age, delta) in changes {
            state.changes.push(first_tick - age, delta);
        }
        state
    }
}
