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
/// A mix is taken to last so many seconds, and no change costs more than this part of the cheapest replica's hour.
const LASTS: f64 = 600.0;
const MOST_CHURN: f64 = 0.25;
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
    /// What each cannot serve.
    unserved: Vec<Unserved>,
}

/// Shares of what arrives.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Unserved {
    requests: f64,
    input: f64,
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
                Knowledge::Engine(engine) => engine.fits(*input, *output),
                Knowledge::Profile(profile) => profile.capacity(f64::from(*input), f64::from(*output)) > 0.0,
            };
            let of = |sizes: &mut dyn Iterator<Item = &(u32, u32)>| {
                sizes.fold((0.0, 0.0), |(requests, input), size| (requests + 1.0, input + f64::from(size.0)))
            };
            let (all, not) = (of(&mut sample.iter()), of(&mut sample.iter().filter(|size| !serves(size))));
            Unserved { requests: not.0 / f64::max(all.0, 1.0), input: not.1 / f64::max(all.1, 1.0) }
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
    let rate = load_at(first, COMPARED, first.allowing(free)) * COMPARED / work.0.max(1e-9);
    let own = Expectation { level: rate * work.1, ratios: &[(1.0, 1.0)], scale: 1.0 };
    let needed = need(&own, risk, risk.allowing(free));
    if rate > 0.0 && needed > LEAST && needed < f64::from(MOST) { COMPARED / needed } else { fluid }
}

impl Planning {
    /// Replicas of the first target that would carry as much as these of all targets.
    pub(crate) fn equivalents(&self, counts: &[u32]) -> f64 {
        let ratio = |at: usize| self.shares.ratios.get(at).copied().unwrap_or(1.0);
        counts.iter().enumerate().map(|(at, count)| f64::from(*count) * ratio(at)).sum()
    }

    /// The share that misses where these replicas share a flow by what each is worth: every type by its own risk, since one may miss
    /// nothing up to its knee and another a little long before.
    pub(crate) fn at_risk(&self, counts: &[u32], flow: Flow, first: &Risk) -> f64 {
        let all = self.equivalents(counts).max(1.0);
        let (mut missed, mut served) = (0.0, 0.0);
        for (at, (count, risk)) in counts.iter().zip(&self.risks).enumerate() {
            let worth = self.shares.ratios.get(at).copied().unwrap_or(1.0);
            let (Some(risk), true) = (risk, *count > 0 && worth > 0.0) else { continue };
            let (part, share) = (worth / all, f64::from(*count) * worth);
            missed += share * risk.at(risk.work(flow.input * part, flow.requests * part), all / worth);
            served += share;
        }
        if served > 0.0 { missed / served } else { first.at(first.work(flow.input, flow.requests) / all, all) }
    }

    /// The share of requests that a target cannot serve, where that keeps it out of the mix: a router that does not look at sizes would
    /// send them nevertheless, and they would fail. Where no target serves enough, all stay.
    pub(crate) fn left_out(&self, at: usize) -> Option<f64> {
        if self.settings.routes_by_size || self.settings.targets.len() == 1 {
            return None;
        }
        let most = (1.0 - self.settings.attainment) * TOO_LONG;
        let known = self.shares.unserved.iter().zip(&self.risks).filter(|(_, risk)| risk.is_some());
        let any = known.into_iter().any(|(unserved, _)| unserved.requests <= most);
        self.shares.unserved.get(at).map(|unserved| unserved.requests).filter(|unserved| any && *unserved > most)
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
            change_cost: self.settings.change_cost.max(self.churn()),
            node_limit: Some(NODES),
            ..Problem::default()
        }
    }

    /// What a change of one replica is worth avoiding: while it starts it is paid for and serves nothing, and until it does what it
    /// replaces is kept. Far below any replica's cost, so that it decides only between mixes that are about as dear.
    fn churn(&self) -> f64 {
        let cheapest = self.settings.targets.iter().map(|target| target.cost).fold(f64::INFINITY, f64::min);
        cheapest * (self.horizon() / LASTS).min(MOST_CHURN)
    }

    /// What each target would need alone for what is expected and it can serve, in parts of a replica; guards that ask for more of the first ask for as
    /// many times more of each.
    fn alone(&self, count: u32, demand: &Demand<'_>) -> Vec<f64> {
        let more = f64::from(count.max(1)) / f64::from(demand.first.max(1));
        let each = self.risks.iter().enumerate().map(|(at, risk)| {
            let Some(risk) = risk else { return f64::from(count.max(1)) };
            let not = self.shares.unserved.get(at).copied().unwrap_or_default();
            let level = risk.work(demand.flow.input * (1.0 - not.input), demand.flow.requests * (1.0 - not.requests));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Sized;
    use crate::settings::{Objective, Target};
    use engine_model::EngineSpec;

    const CHAT: Objective = Objective { ttft: Some(3.0), tpot: Some(0.15), e2e: None };
    const STEADY: [(f64, f64); 1] = [(1.0, 1.0)];

    fn engine(name: &str, longest: u32) -> Knowledge {
        Knowledge::Engine(Box::new(EngineSpec { max_model_len: longest, ..EngineSpec::builtin(name).unwrap() }))
    }

    /// A planning of an L4 that takes requests up to so many tokens, and of an A100, after a look at these prompts.
    fn planning(longest: u32, prompts: &[(f64, f64)], by_size: bool) -> Planning {
        let target = |name: &str, cost, longest| Target {
            name: name.to_owned(),
            cost,
            min: 0,
            max: 64,
            knowledge: engine(name, longest),
        };
        let mut settings = Settings::new(CHAT, vec![target("l4-8b", 0.8, longest), target("a100-8b", 3.67, 131_072)]);
        settings.routes_by_size = by_size;
        let mut planning = Planning::new(settings).unwrap();
        for (prompt, count) in prompts {
            let sized = Sized { arrived: 0.0, input: *prompt, output: 100.0, count: *count };
            planning.sizes.add(100.0, &[sized]);
        }
        let risk = |target: &Target| Risk::of(&target.knowledge, &CHAT, &planning.sizes);
        planning.risks = planning.settings.targets.iter().map(risk).collect();
        planning.shares = Shares::of(&planning.settings, &planning.risks, &planning.sizes);
        planning
    }

    fn demand(requests: f64, planning: &Planning) -> Demand<'static> {
        let flow = Flow { input: requests * planning.sizes.input(), requests };
        Demand { flow, ratios: &STEADY, scale: 1.0, allowed: 0.0085, first: 1 }
    }

    /// Many chats, and so many prompts of 10000 tokens among a thousand.
    fn with_long(long: f64, by_size: bool) -> Planning {
        let (rest, chats) = ([(400.0, 200.0); 4], [(10_000.0, long)]);
        let prompts: Vec<(f64, f64)> = rest.into_iter().chain([(400.0, 200.0 - long)]).chain(chats).collect();
        planning(8192, &prompts, by_size)
    }

    #[test]
    fn a_type_that_fails_more_than_a_tenth_of_what_may_miss_is_left_out_where_sizes_are_not_looked_at() {
        for (long, by_size, left_out) in
            [(0.0, false, false), (1.0, false, false), (5.0, false, true), (5.0, true, false)]
        {
            let planning = with_long(long, by_size);
            assert_eq!(planning.left_out(0).is_some(), left_out, "{long} of 1000, by size: {by_size}");
            assert_eq!(planning.left_out(1), None);
            let counts = planning.spread(1, &demand(0.3, &planning));
            // By size, the A100 that the long ones need carries the rest of so small a load.
            assert_eq!(counts[0] == 0, left_out || by_size, "{long} of 1000, by size: {by_size}: {counts:?}");
        }
        let share = with_long(5.0, false).left_out(0).unwrap();
        assert!((share - 0.005).abs() < 1e-9, "{share}");
    }

    #[test]
    fn a_minimum_of_a_type_that_is_left_out_stays() {
        let mut planning = with_long(5.0, false);
        planning.settings.targets[0].min = 2;
        assert_eq!(planning.spread(1, &demand(0.3, &planning))[0], 2);
    }

    #[test]
    fn where_no_type_serves_everything_none_is_left_out() {
        let mut planning = with_long(5.0, false);
        planning.settings.targets[1].knowledge = engine("a100-8b", 8192);
        planning.shares = Shares::of(&planning.settings, &planning.risks, &planning.sizes);
        assert_eq!((planning.left_out(0), planning.left_out(1)), (None, None));
    }

    #[test]
    fn replicas_are_worth_what_they_carry_within_the_slo_and_not_what_they_could_work_off() {
        let planning = planning(131_072, &[(400.0, 180.0), (6000.0, 20.0)], false);
        let [Some(small), Some(large)] = planning.risks.as_slice() else { panic!("both serve") };
        let fluid = small.work(planning.sizes.input(), 1.0) / large.work(planning.sizes.input(), 1.0);
        let worth = planning.equivalents(&[0, 1]);
        assert!((planning.equivalents(&[3, 2]) - (3.0 + 2.0 * worth)).abs() < 1e-9);
        assert!(worth > fluid, "documents take an L4's head-room: {worth}, and {fluid} of work");
    }

    #[test]
    fn each_type_is_judged_by_its_own_risk_at_its_part_of_the_flow() {
        let planning = planning(131_072, &[(700.0, 200.0)], false);
        let [Some(small), Some(large)] = planning.risks.as_slice() else { panic!("both serve") };
        for requests in [0.2, 1.0, 4.0, 9.0] {
            let flow = Flow { input: requests * 700.0, requests };
            let alone = |risk: &Risk, count: u32| {
                risk.at(risk.work(flow.input, flow.requests) / f64::from(count), f64::from(count))
            };
            let at_risk = |counts: [u32; 2]| planning.at_risk(&counts, flow, small);
            assert!((at_risk([5, 0]) - alone(small, 5)).abs() < 1e-9);
            assert!((at_risk([0, 2]) - alone(large, 2)).abs() < 1e-9);
            let both = at_risk([1, 2]);
            assert!((0.0..=1.0).contains(&both) && both <= at_risk([0, 2]).max(at_risk([1, 1])) + 1e-9, "{both}");
        }
        assert!((planning.at_risk(&[0, 0], Flow { input: 7e5, requests: 1e3 }, small) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_mix_is_never_dearer_than_the_best_type_alone() {
        let prompts = [(400.0, 180.0), (6000.0, 20.0)];
        let planning = planning(131_072, &prompts, false);
        let cost = |counts: &[u32]| {
            counts.iter().zip(&planning.settings.targets).map(|(n, target)| f64::from(*n) * target.cost).sum::<f64>()
        };
        for rate in [0.2, 0.7, 1.5, 3.0, 6.0, 12.0] {
            let demand = demand(rate, &planning);
            let alone = planning.alone(1, &demand);
            let best = alone.iter().zip(&planning.settings.targets).map(|(need, target)| need.ceil() * target.cost);
            let best = best.fold(f64::INFINITY, f64::min);
            let mix = planning.spread(1, &demand);
            assert!(
                cost(&mix) <= best + 2.0 * planning.churn() * f64::from(mix.iter().sum::<u32>()),
                "{rate}: {mix:?}, best {best}"
            );
        }
    }
}
