//! References that are made in hindsight: the clairvoyant schedule with the least head-room that keeps the target, the late
//! oracle at its best head-room, and the best constant count.
//!
//! The schedule is exact for its model (demand in whole replicas by windows of ten seconds, a start-up that is paid): each layer
//! of replicas is by itself, and between two times of need a replica is kept where the gap is no longer than a start-up.

use crate::demand::Demand;
use crate::policy::{Fixed, Late, Schedule};
use crate::world::{Outcome, Policy, Setup, run};
use engine_model::SpecError;
use std::sync::Arc;
use workload::Arrival;

/// What a reference came to.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The head-room, or the count, that it was found with.
    pub setting: f64,
    /// What it came to.
    pub outcome: Outcome,
}

/// Head-rooms that are tried: replicas for one replica's work.
const LEAST: f64 = 0.5;
const MOST: f64 = 8.0;
/// Halvings of the range of head-rooms, as a ratio: 2^(4/256), one and a half percent, at the end.
const HALVINGS: u32 = 8;

/// Steps of the schedule with this head-room.
#[must_use]
pub fn schedule(demand: &Demand, headroom: f64, setup: &Setup) -> Vec<(f64, u32)> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    let needed = |work: &f64| ((work * headroom).ceil() as u32).clamp(setup.min, setup.max);
    let counts: Vec<u32> = demand.work.iter().map(needed).collect();
    let start = setup.cold_start.median;
    let most = counts.iter().copied().max().unwrap_or(setup.min);
    let mut edges: Vec<(f64, i64)> = Vec::new();
    for layer in 1..=most {
        let mut open: Option<(f64, f64)> = None;
        for (at, _) in counts.iter().enumerate().filter(|(_, count)| **count >= layer) {
            let (from, to) = (at as f64 * demand.step, (at + 1) as f64 * demand.step);
            match &mut open {
                Some((_, until)) if from - *until <= start => *until = to,
                _ => {
                    if let Some((from, until)) = open.replace((from, to)) {
                        edges.extend([(from - start, 1), (until, -1)]);
                    }
                }
            }
        }
        if let Some((from, until)) = open {
            edges.extend([(from - start, 1), (until, -1)]);
        }
    }
    edges.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut steps: Vec<(f64, u32)> = vec![(0.0, 0)];
    let mut count = 0_i64;
    for (at, change) in edges {
        count += change;
        let wanted = u32::try_from(count).unwrap_or(0);
        match steps.last_mut() {
            Some((last, known)) if *last >= at => *known = wanted,
            _ => steps.push((at, wanted)),
        }
    }
    steps
}

/// The clairvoyant oracle: the cheapest schedule that keeps `target`; the one with the most head-room where none does.
pub fn oracle(setup: &Setup, arrivals: &[Arrival], demand: &Demand, target: f64) -> Result<Reference, SpecError> {
    let mut setup = setup.clone();
    // Whoever knows the future knows how long each start-up takes.
    setup.cold_start.sigma = 0.0;
    let attempt = |headroom: f64| -> Result<Reference, SpecError> {
        let mut policy = Schedule::new(schedule(demand, headroom, &setup));
        let own = Setup { initial: policy.first(), ..setup.clone() };
        Ok(Reference { setting: headroom, outcome: run(&own, arrivals, &mut policy, None)? })
    };
    let (mut low, mut high) = (LEAST, MOST);
    let mut best = attempt(high)?;
    for _ in 0..HALVINGS {
        let middle = (low * high).sqrt();
        let found = attempt(middle)?;
        if found.outcome.fates.attainment() >= target {
            high = middle;
            if found.outcome.gpu_hours < best.outcome.gpu_hours {
                best = found;
            }
        } else {
            low = middle;
        }
    }
    Ok(best)
}

/// A score: GPU-hours as a multiple of the oracle's, and a quarter more for each point of attainment that is missing.
#[must_use]
pub fn score(outcome: &Outcome, oracle_gpu_hours: f64, target: f64) -> f64 {
    let missing = (target - outcome.fates.attainment()).max(0.0);
    outcome.gpu_hours / oracle_gpu_hours.max(1e-9) * (1.0 + PENALTY * missing)
}

/// The protocol's price of attainment.
const PENALTY: f64 = 25.0;

/// Settings of the late oracle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LateSetting {
    /// Replicas for one replica's work.
    pub headroom: f64,
    /// Seconds that a replica is kept.
    pub hold: f64,
}

/// The late oracle at the setting that scores best; the search begins near `near` where there is one.
pub fn late_oracle(
    setup: &Setup,
    arrivals: &[Arrival],
    demand: &Arc<Demand>,
    oracle_gpu_hours: f64,
    target: f64,
    near: Option<LateSetting>,
) -> Result<(LateSetting, Reference), SpecError> {
    let attempt = |setting: LateSetting| -> Result<(f64, LateSetting, Reference), SpecError> {
        let mut policy = Late::new(Arc::clone(demand), setting.headroom, setting.hold);
        let outcome = run(setup, arrivals, &mut policy as &mut dyn Policy, None)?;
        let value = score(&outcome, oracle_gpu_hours, target);
        Ok((value, setting, Reference { setting: setting.headroom, outcome }))
    };
    let start = setup.cold_start.median;
    let mut tried = Vec::new();
    match near {
        Some(setting) => tried.push(attempt(setting)?),
        None => {
            for hold in [0.0, start] {
                for headroom in [0.9, 1.2, 1.6, 2.2, 3.0, 4.2] {
                    tried.push(attempt(LateSetting { headroom, hold })?);
                }
            }
        }
    }
    let mut best = first(tried);
    // Finer, twice.
    for ratio in [1.16, 1.07] {
        let Some((_, setting, _)) = &best else { break };
        let setting = *setting;
        let mut closer = vec![];
        for headroom in [setting.headroom / ratio, setting.headroom * ratio] {
            closer.push(attempt(LateSetting { headroom, ..setting })?);
        }
        closer.extend(best);
        best = first(closer);
    }
    let Some((_, setting, reference)) = best else {
        let (_, setting, reference) = attempt(LateSetting { headroom: 1.0, hold: start })?;
        return Ok((setting, reference));
    };
    Ok((setting, reference))
}

/// The one with the least score.
fn first(tried: Vec<(f64, LateSetting, Reference)>) -> Option<(f64, LateSetting, Reference)> {
    tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))
}

/// A constant count.
pub fn constant(setup: &Setup, arrivals: &[Arrival], count: u32) -> Result<Reference, SpecError> {
    let own = Setup { initial: count, min: count, max: count, ..setup.clone() };
    Ok(Reference { setting: f64::from(count), outcome: run(&own, arrivals, &mut Fixed(count), None)? })
}

/// The least constant count that keeps `target`, up to `most`.
pub fn best_constant(setup: &Setup, arrivals: &[Arrival], most: u32, target: f64) -> Result<Reference, SpecError> {
    let (mut low, mut high) = (0, most.max(1));
    let mut best = constant(setup, arrivals, high)?;
    while high - low > 1 {
        let middle = u32::midpoint(low, high);
        let found = constant(setup, arrivals, middle)?;
        if found.outcome.fates.attainment() >= target {
            high = middle;
            best = found;
        } else {
            low = middle;
        }
    }
    Ok(best)
}
