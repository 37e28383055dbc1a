//! Several targets: what each would need alone for what is expected is spread over all of them, as cheaply as can be.

use crate::choose::{Expectation, MOST};
use crate::outlook::Flow;
use crate::planning::Planning;
use crate::risk::Risk;
use crate::settings::{Knowledge, Settings};
use crate::sizes::Sizes;
use planner::{Gpu, Load, Problem, Split, solve};
use std::collections::BTreeMap;

/// Nodes of the search: a limit that is the same on every machine.
const NODES: u64 = 2000;
/// Highest load per replica that is looked for, and steps of the search.
const HIGHEST: f64 = 4.0;
const BISECTIONS: u32 = 24;
/// Sizes by the binary logarithm of both lengths, so many to an octave.
const CELLS: f64 = 1.0;
/// Part of what the SLO leaves free that requests too long for a target may be, where the router does not look at sizes.
const TOO_LONG: f64 = 0.1;
/// Targets are compared at what so many of the first carry: as many as the risk knows how to pool.
const COMPARED: f64 = 8.0;
/// No fewer may miss than so many times what misses on idle engines: no capacity changes that.
const UNAVOIDABLE: f64 = 2.0;
/// Least that a target would need alone, in replicas: some capacity is needed for any load.
const LEAST: f64 = 0.01;

/// What is expected, as it is for every target, and what the first alone needs for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand<'a> {
    pub(crate) flow: Flow,
    /// What the flow may become, with weights.
    pub(crate) ratios: &'a [(f64, f64)],
    pub(crate) scale: f64,
    /// The share that may miss.
    pub(crate) allowed: f64,
    /// The first target's count for it, before guards.
    pub(crate) first: u32,
}

/// How the targets compare on the sizes of late: made with the risks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shares {
    /// Replicas of the first target that carry as much as one of each, at what may miss.
    ratios: Vec<f64>,
    /// The share of requests that each cannot serve.
    unserved: Vec<f64>,
}

impl Shares {
    pub(crate) fn of(settings: &Settings, risks: &[Option<Risk>], sizes: &Sizes) -> Self {
        let free = 1.0 - settings.attainment;
        let first = risks.first().and_then(Option::as_ref);
        let ratio = |risk: &Option<Risk>| match (first, risk) {
            (Some(first), Some(risk)) if first != risk => ratio(first, risk, sizes.input(), free),
            _ => 1.0,
        };
        let sample = sizes.sample();
        let share = |knowledge: &Knowledge| {
            let serves = |(input, output): &(u32, u32)| match knowledge {
                Knowledge::Engine(engine) => {
                    u64::from(*input) + u64::from(*output)
                        <= u64::from(engine.max_model_len).min(engine.kv_capacity_tokens)
                }
                Knowledge::Profile(profile) => profile.capacity(f64::from(*input), f64::from(*output)) > 0.0,
            };
            sample.iter().filter(|size| !serves(size)).count() as f64 / sample.len().max(1) as f64
        };
        Self {
            ratios: risks.iter().map(ratio).collect(),
            unserved: settings.targets.iter().map(|target| share(&target.knowledge)).collect(),
        }
    }
}

/// Replicas of `first` that carry as much as one of `risk`: what eight of the first carry, over what the other needs for it.
fn ratio(first: &Risk, risk: &Risk, input: f64, free: f64) -> f64 {
    let work = (first.work(input, 1.0), risk.work(input, 1.0));
    let fluid = if work.0 > 0.0 && work.1 > 0.0 { work.0 / work.1 } else { 1.0 };
    let allowed = |risk: &Risk| free.max(risk.idle() * UNAVOIDABLE);
    let rate = load_at(first, COMPARED, allowed(first)) * COMPARED / work.0.max(1e-9);
    let own = Expectation { level: rate * work.1, ratios: &[(1.0, 1.0)], scale: 1.0 };
    let needed = need(&own, risk, allowed(risk));
    if rate > 0.0 && needed > LEAST && needed < f64::from(MOST) { COMPARED / needed } else { fluid }
}

impl Planning {
    /// Replicas of the first target that would carry as much as these of all targets.
    pub(crate) fn equivalents(&self, counts: &[u32]) -> f64 {
        let ratio = |at: usize| self.shares.ratios.get(at).copied().unwrap_or(1.0);
        counts.iter().enumerate().map(|(at, count)| f64::from(*count) * ratio(at)).sum()
    }

    /// The share of requests that a target cannot serve, where that keeps it out of the mix: a router that does not look at sizes would
    /// send them nevertheless, and they would fail. Where no target serves enough, all stay.
    pub(crate) fn left_out(&self, at: usize) -> Option<f64> {
        if self.settings.routes_by_size || self.settings.targets.len() == 1 {
            return None;
        }
        let most = (1.0 - self.settings.attainment) * TOO_LONG;
        let known = self.shares.unserved.iter().zip(&self.risks).filter(|(_, risk)| risk.is_some());
        let any = known.into_iter().any(|(unserved, _)| *unserved <= most);
        self.shares.unserved.get(at).copied().filter(|unserved| any && *unserved > most)
    }

    /// Replicas of each target that carry together what is expected, or as many times it as `count` is of the first's.
    pub(crate) fn spread(&self, count: u32, demand: &Demand<'_>) -> Vec<u32> {
        let targets = &self.settings.targets;
        let clamp = |at: usize, count: u32| count.clamp(targets[at].min, targets[at].max);
        if targets.len() == 1 {
            return vec![clamp(0, count)];
        }
        let problem = self.problem(count, demand);
        match solve(&problem) {
            Ok(answer) => {
                let each = targets.iter().enumerate();
                // What nothing is known of is held: no answer says that it is not needed.
                each.map(|(at, target)| {
                    let answered = answer.replicas.get(&target.name).copied().unwrap_or(0);
                    clamp(at, if self.risks[at].is_some() { answered } else { self.wanted[at] })
                })
                .collect()
            }
            // What cannot be asked is held.
            Err(_) => self.wanted.iter().enumerate().map(|(at, wanted)| clamp(at, *wanted)).collect(),
        }
    }

    /// The mix as a problem: sizes by cells, or one size where the router does not tell them apart. Each target alone would need what
    /// [`Self::alone`] says.
    fn problem(&self, count: u32, demand: &Demand<'_>) -> Problem {
        let sample = self.sizes.sample();
        let mut cells: BTreeMap<(i64, i64), (f64, f64, f64)> = BTreeMap::new();
        let by_size = self.settings.routes_by_size;
        for (input, output) in &sample {
            #[allow(clippy::cast_possible_truncation, reason = "a logarithm of a u32")]
            let cell = |tokens: u32| if by_size { (f64::from(tokens.max(1)).log2() * CELLS).round() as i64 } else { 0 };
            let sums = cells.entry((cell(*input), cell(*output))).or_default();
            *sums = (sums.0 + 1.0, sums.1 + f64::from(*input), sums.2 + f64::from(*output));
        }
        let sizes: Vec<(f64, f64, f64)> =
            cells.values().map(|(n, input, output)| (*n, input / n, output / n)).collect();
        let mean_output = self.sizes.output().max(1.0);
        let targets = self.settings.targets.iter().zip(&self.risks).enumerate();
        // Seconds of each target for one request of each size; none where it cannot serve it.
        let seconds: Vec<Vec<Option<f64>>> = targets
            .map(|(at, (target, risk))| {
                let each = |(_, input, output): &(f64, f64, f64)| match (&target.knowledge, risk) {
                    (_, None) => None,
                    _ if self.left_out(at).is_some() => None,
                    // The mixture as a whole, with what of it the target can serve.
                    (_, Some(risk)) if !by_size => Some(risk.work(*input, 1.0)).filter(|seconds| *seconds > 0.0),
                    (Knowledge::Engine(engine), Some(risk)) => {
                        let fits = input + output <= f64::from(engine.max_model_len);
                        fits.then(|| risk.seconds(*input, output / mean_output)).filter(|seconds| *seconds > 0.0)
                    }
                    (Knowledge::Profile(profile), Some(_)) => {
                        Some(profile.capacity(*input, *output)).filter(|rate| *rate > 0.0).map(|rate| 1.0 / rate)
                    }
                };
                sizes.iter().map(each).collect()
            })
            .collect();
        let alone = self.alone(count, demand);
        let load = sizes.iter().enumerate().map(|(at, (n, input, output))| {
            let capacity = self.settings.targets.iter().zip(&seconds).zip(&alone).map(|((target, seconds), alone)| {
                // Head-room of this target's own: what it would need alone, over what the sizes ask for at full use.
                let full: f64 = sizes.iter().zip(seconds).map(|((n, ..), seconds)| n * seconds.unwrap_or(0.0)).sum();
                let headroom = if full > 0.0 { alone / full } else { 1.0 };
                let rate = seconds[at].map_or(0.0, |seconds| 1.0 / (seconds * headroom).max(1e-9));
                (target.name.clone(), rate.min(1e9))
            });
            Load {
                input: Some(*input),
                output: Some(*output),
                rate: *n,
                capacity: capacity.collect(),
                ..Load::default()
            }
        });
        let gpus = self.settings.targets.iter().zip(&self.wanted).map(|(target, wanted)| {
            let gpu = Gpu {
                cost: target.cost,
                min: target.min,
                max: Some(target.max),
                current: Some(*wanted),
                ..Gpu::default()
            };
            (target.name.clone(), gpu)
        });
        Problem {
            load: load.collect(),
            gpus: gpus.collect(),
            split: Split::Fractional,
            change_cost: self.settings.change_cost,
            node_limit: Some(NODES),
            ..Problem::default()
        }
    }

    /// What each target would need alone for what is expected, in parts of a replica; guards that ask for more of the first ask for as
    /// many times more of each.
    fn alone(&self, count: u32, demand: &Demand<'_>) -> Vec<f64> {
        let more = f64::from(count.max(1)) / f64::from(demand.first.max(1));
        let each = self.risks.iter().map(|risk| {
            let Some(risk) = risk else { return f64::from(count.max(1)) };
            let level = risk.work(demand.flow.input, demand.flow.requests);
            let own = Expectation { level, ratios: demand.ratios, scale: demand.scale };
            (need(&own, risk, demand.allowed) * more).max(LEAST)
        });
        each.collect()
    }
}

/// Replicas at which just as many miss as may, with parts of one.
fn need(expected: &Expectation<'_>, risk: &Risk, allowed: f64) -> f64 {
    let whole = f64::from(expected.fewest(risk, allowed, MOST));
    let misses = |count: f64| {
        let miss =
            |(ratio, weight): &(f64, f64)| weight * risk.at(expected.level * ratio * expected.scale / count, count);
        expected.ratios.iter().map(miss).sum::<f64>()
    };
    let (mut low, mut high) = (whole - 1.0, whole);
    for _ in 0..BISECTIONS / 2 {
        let middle = f64::midpoint(low, high);
        if misses(middle) <= allowed { high = middle } else { low = middle }
    }
    high
}

/// The load per replica at which `allowed` miss on so many replicas.
fn load_at(risk: &Risk, replicas: f64, allowed: f64) -> f64 {
    let (mut low, mut high) = (0.0, HIGHEST);
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if risk.at(middle, replicas) <= allowed { low = middle } else { high = middle }
    }
    low
}
