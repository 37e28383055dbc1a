//! References that are made in hindsight: the clairvoyant schedule that keeps the target at the least cost, the late oracle at
//! its best settings, and the best constant count.
//!
//! A schedule is exact for its model (demand in whole replicas by windows of ten seconds, a start-up that is paid): each layer
//! of replicas is by itself, and between two times of need a replica is kept where the gap is no longer than a start-up. Its
//! demand is the trace's work times a head-room, found by bisection in the simulator itself; and, since bursts shorter than a
//! window need what no multiple of a quiet window gives, no less than a floor, which is searched as well. With the best constant
//! count as the floor both oracles are that count, so neither is ever worse.

use crate::demand::Demand;
use crate::policy::{Fixed, Late, Schedule};
use crate::world::{Group, Outcome, Policy, Setup, run};
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
const LEAST: f64 = 0.3;
const MOST: f64 = 8.0;
/// Halvings of the range of head-rooms, as a ratio: at the end it is known to three percent.
const HALVINGS: u32 = 7;
/// Floors that are tried, as parts of the best constant count.
const PARTS: u32 = 4;

/// Steps of the schedule with this head-room.
#[must_use]
pub fn schedule(demand: &Demand, headroom: f64, floor: u32, setup: &Setup) -> Vec<(f64, u32)> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    let needed = |work: &f64| ((work * headroom).ceil() as u32).max(floor).clamp(setup.group.min, setup.group.max);
    let counts: Vec<u32> = demand.work.iter().map(needed).collect();
    let start = setup.group.cold_start.median;
    let most = counts.iter().copied().max().unwrap_or(setup.group.min);
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

/// What a search has found so far.
struct Search<'a> {
    setup: &'a Setup,
    target: f64,
    /// Less is better: hours where the target has to be kept, else a score.
    value: &'a dyn Fn(&Outcome) -> f64,
    best: Option<(f64, LateSetting, Reference)>,
}

impl Search<'_> {
    /// Tries head-rooms with each floor up to `constant`, the best constant count.
    fn floors(
        &mut self,
        constant: u32,
        hold: f64,
        attempt: &mut dyn FnMut(LateSetting) -> Result<Reference, SpecError>,
    ) -> Result<(), SpecError> {
        let least = self.setup.group.min;
        let mut floors: Vec<u32> = (0..=PARTS).map(|part| (constant * part / PARTS).max(least)).collect();
        floors.dedup();
        for floor in floors {
            self.headrooms(floor, hold, attempt)?;
        }
        // And between the best one and its neighbours.
        let Some((_, LateSetting { floor, hold: held, .. }, _)) = self.best else { return Ok(()) };
        if held == hold {
            let step = (constant / (2 * PARTS)).max(1);
            for near in [floor.saturating_sub(step).max(least), (floor + step).min(constant)] {
                if near != floor {
                    self.headrooms(near, hold, attempt)?;
                }
            }
        }
        Ok(())
    }

    fn headrooms(
        &mut self,
        floor: u32,
        hold: f64,
        attempt: &mut dyn FnMut(LateSetting) -> Result<Reference, SpecError>,
    ) -> Result<(), SpecError> {
        let setup = self.setup;
        // The floor alone costs so much that nothing above it can be better.
        let seconds = (setup.length - setup.warmup).max(0.0);
        let least = f64::from(floor) * f64::from(setup.group.engine.gpus) * seconds / 3600.0;
        if self
            .best
            .as_ref()
            .is_some_and(|(_, _, best)| least > best.outcome.gpu_hours * 1.001 && best.keeps(self.target))
        {
            return Ok(());
        }
        let (mut low, mut high) = (LEAST, MOST);
        for _ in 0..HALVINGS {
            let headroom = (low * high).sqrt();
            let setting = LateSetting { headroom, floor, hold };
            let found = attempt(setting)?;
            let keeps = found.keeps(self.target);
            let value = (self.value)(&found.outcome);
            if self.best.as_ref().is_none_or(|(known, ..)| value < *known) {
                self.best = Some((value, setting, found));
            }
            if keeps { high = headroom } else { low = headroom }
        }
        Ok(())
    }
}

impl Reference {
    fn keeps(&self, target: f64) -> bool {
        self.outcome.fates.attainment() >= target
    }
}

/// The clairvoyant oracle: the cheapest schedule that keeps `target`; `constant` is the best constant count, and what is
/// answered where that is cheaper.
pub fn oracle(
    setup: &Setup,
    arrivals: &[Arrival],
    demand: &Demand,
    target: f64,
    constant: &Reference,
) -> Result<Reference, SpecError> {
    let mut setup = setup.clone();
    // Whoever knows the future knows how long each start-up takes.
    setup.group.cold_start.sigma = 0.0;
    let value = |outcome: &Outcome| {
        if outcome.fates.attainment() >= target { outcome.gpu_hours } else { f64::INFINITY }
    };
    let mut search = Search { setup: &setup, target, value: &value, best: None };
    search.floors(constant.count(), 0.0, &mut |setting| {
        let mut policy = Schedule::new(schedule(demand, setting.headroom, setting.floor, &setup));
        let own = with(&setup, |group| group.initial = policy.first());
        Ok(Reference { setting: setting.headroom, outcome: run(&own, arrivals, &mut policy, None)? })
    })?;
    match search.best {
        Some((value, _, found)) if value < constant.outcome.gpu_hours => Ok(found),
        _ => Ok(constant.clone()),
    }
}

/// A score: GPU-hours as a multiple of the oracle's, and a quarter more for each point of attainment that is missing.
#[must_use]
pub fn score(outcome: &Outcome, oracle_gpu_hours: f64, target: f64) -> f64 {
    let missing = (target - outcome.fates.attainment()).max(0.0);
    outcome.gpu_hours / oracle_gpu_hours.max(1e-9) * (1.0 + PENALTY * missing)
}

/// The protocol's price of attainment.
const PENALTY: f64 = 25.0;

/// Settings of an oracle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LateSetting {
    /// Replicas for one replica's work.
    pub headroom: f64,
    /// Fewest replicas.
    pub floor: u32,
    /// Seconds that a replica is kept, by one that does not know when it is needed again.
    pub hold: f64,
}

/// The late oracle at the settings that score best; with `near`, the head-room is searched near those of another seed.
pub fn late_oracle(
    setup: &Setup,
    arrivals: &[Arrival],
    demand: &Arc<Demand>,
    (oracle, target): (&Reference, f64),
    constant: u32,
    near: Option<LateSetting>,
) -> Result<(LateSetting, Reference), SpecError> {
    let hours = oracle.outcome.gpu_hours;
    let mut attempt = |setting: LateSetting| -> Result<Reference, SpecError> {
        let mut policy = Late::new(Arc::clone(demand), setting.headroom, setting.hold);
        let floor = setting.floor.max(setup.group.min);
        let own = with(setup, |group| (group.min, group.initial) = (floor, group.initial.max(floor)));
        let outcome = run(&own, arrivals, &mut policy as &mut dyn Policy, None)?;
        Ok(Reference { setting: setting.headroom, outcome })
    };
    let value = |outcome: &Outcome| score(outcome, hours, target);
    let mut search = Search { setup, target, value: &value, best: None };
    match near {
        Some(setting) => {
            for ratio in [1.0, 1.05, 1.0 / 1.05] {
                let setting = LateSetting { headroom: setting.headroom * ratio, ..setting };
                let found = attempt(setting)?;
                let value = value(&found.outcome);
                if search.best.as_ref().is_none_or(|(known, ..)| value < *known) {
                    search.best = Some((value, setting, found));
                }
            }
        }
        None => {
            for hold in [setup.group.cold_start.median, 0.0] {
                search.floors(constant, hold, &mut attempt)?;
            }
        }
    }
    if let Some((_, setting, found)) = search.best {
        return Ok((setting, found));
    }
    let setting = LateSetting { headroom: 1.0, floor: constant, hold: 0.0 };
    Ok((setting, attempt(setting)?))
}

impl Reference {
    /// The count of a constant one.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    pub fn count(&self) -> u32 {
        self.setting as u32
    }
}

/// The same with a changed group.
fn with(setup: &Setup, change: impl FnOnce(&mut Group)) -> Setup {
    let mut setup = setup.clone();
    change(&mut setup.group);
    setup
}

/// A constant count.
pub fn constant(setup: &Setup, arrivals: &[Arrival], count: u32) -> Result<Reference, SpecError> {
    let own = with(setup, |group| (group.min, group.max, group.initial) = (count, count, count));
    Ok(Reference { setting: f64::from(count), outcome: run(&own, arrivals, &mut Fixed(count), None)? })
}

/// The least constant count that keeps `target`, up to `most`.
pub fn best_constant(setup: &Setup, arrivals: &[Arrival], most: u32, target: f64) -> Result<Reference, SpecError> {
    // Counts below the minimum may not be.
    let least = setup.group.min.max(1);
    let (mut low, mut high) = (least - 1, most.max(least));
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
