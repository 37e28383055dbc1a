//! A plan, and what it rests on.

use crate::planning::Planning;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Replicas for each target, dated.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// When its inputs were taken, on the world's clock.
    pub made_at: f64,
    /// By target.
    pub replicas: BTreeMap<String, u32>,
    /// One line for people, by target.
    pub why: BTreeMap<String, String>,
    /// The figures.
    pub detail: Detail,
}

/// What a plan rests on. Loads are in replicas' full use of the first target: replica-seconds a second.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detail {
    /// The load of now.
    pub now: f64,
    /// The level that the outlook goes by.
    pub level: f64,
    /// Which level that is.
    pub by: &'static str,
    /// Seconds that were looked ahead.
    pub horizon: f64,
    /// The share of requests that may be planned to miss.
    pub allowed: f64,
    /// The share that is expected to miss under the plan.
    pub expected: f64,
    /// By how much the load weighs more than the engine's model says.
    pub scale: f64,
    /// The share that kept the SLO of late; none before any ended.
    pub attainment: Option<f64>,
    /// Cost of the plan an hour.
    pub cost: f64,
    /// The event that is under way or expected, by name.
    pub event: Option<String>,
}

impl Planning {
    /// The plan in words, by target.
    pub(crate) fn told(&self, made_at: f64, counts: &[u32], detail: &Detail, guard: Option<&'static str>) -> Plan {
        let mut plan = Plan { made_at, replicas: BTreeMap::new(), why: BTreeMap::new(), detail: detail.clone() };
        for (at, (count, target)) in counts.iter().zip(&self.settings.targets).enumerate() {
            let Detail { level, by, horizon, allowed, expected, scale, .. } = detail;
            let mut why = format!(
                "load {level:.2} by {by}, {horizon:.0} s ahead: {:.2} % expected to miss of {:.2} % allowed, model x{scale:.2}",
                expected * 100.0,
                allowed * 100.0
            );
            if let Some(attainment) = detail.attainment {
                let _ = write!(why, ", {:.2} % kept so far", attainment * 100.0);
            }
            if let Some(event) = &detail.event {
                let _ = write!(why, ", event {event}");
            }
            if let Some(guard) = guard {
                let _ = write!(why, "; {guard}");
            }
            if let Some(share) = self.left_out(at) {
                let _ = write!(why, "; left out: it cannot serve {:.2} % of the requests", share * 100.0);
            }
            plan.replicas.insert(target.name.clone(), *count);
            plan.why.insert(target.name.clone(), why);
        }
        plan
    }
}
