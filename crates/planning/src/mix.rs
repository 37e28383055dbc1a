//! Several targets: what the first would need alone is spread over all of them, as cheaply as can be.

use crate::choose::Expectation;
use crate::planning::Planning;
use crate::risk::Risk;
use crate::settings::Knowledge;
use planner::{Gpu, Load, Problem, Split, solve};
use std::collections::BTreeMap;

/// Nodes of the search: a limit that is the same on every machine.
const NODES: u64 = 2000;
/// Sizes by the binary logarithm of both lengths, so many to an octave.
const CELLS: f64 = 1.0;

impl Planning {
    /// Replicas of each target that carry what `count` replicas of the first would.
    pub(crate) fn spread(&self, count: u32, first: &Risk) -> Vec<u32> {
        let targets = &self.settings.targets;
        let clamp = |at: usize, count: u32| count.clamp(targets[at].min, targets[at].max);
        if targets.len() == 1 {
            return vec![clamp(0, count)];
        }
        let problem = self.problem(count, first);
        match solve(&problem) {
            Ok(answer) => {
                let each = targets.iter().enumerate();
                each.map(|(at, target)| clamp(at, answer.replicas.get(&target.name).copied().unwrap_or(0))).collect()
            }
            // What cannot be asked is held.
            Err(_) => self.wanted.iter().enumerate().map(|(at, wanted)| clamp(at, *wanted)).collect(),
        }
    }

    /// The mix as a problem: sizes by cells, at the rate at which the first target alone would need `count`.
    fn problem(&self, count: u32, first: &Risk) -> Problem {
        let sample = self.sizes.sample();
        let mut cells: BTreeMap<(i64, i64), (f64, f64, f64)> = BTreeMap::new();
        for (input, output) in &sample {
            #[allow(clippy::cast_possible_truncation, reason = "a logarithm of a u32")]
            let cell = |tokens: u32| (f64::from(tokens.max(1)).log2() * CELLS).round() as i64;
            let sums = cells.entry((cell(*input), cell(*output))).or_default();
            *sums = (sums.0 + 1.0, sums.1 + f64::from(*input), sums.2 + f64::from(*output));
        }
        let sizes: Vec<(f64, f64, f64)> =
            cells.values().map(|(n, input, output)| (*n, input / n, output / n)).collect();
        let mean_output = self.sizes.output().max(1.0);
        let targets = self.settings.targets.iter().zip(&self.risks);
        // Seconds of each target for one request of each size; none where it cannot serve it.
        let seconds: Vec<Vec<Option<f64>>> = targets
            .map(|(target, risk)| {
                let each = |(_, input, output): &(f64, f64, f64)| match (&target.knowledge, risk) {
                    (_, None) => None,
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
        let load = sizes.iter().enumerate().map(|(at, (n, input, output))| {
            let capacity = self.settings.targets.iter().zip(&seconds).zip(self.alone(count, first)).map(
                |((target, seconds), alone)| {
                    // Head-room of this target's own: what it would need alone, over what the sizes ask for at full use.
                    let full: f64 =
                        sizes.iter().zip(seconds).map(|((n, ..), seconds)| n * seconds.unwrap_or(0.0)).sum();
                    let headroom = if full > 0.0 { alone / full } else { 1.0 };
                    let rate = seconds[at].map_or(0.0, |seconds| 1.0 / (seconds * headroom).max(1e-9));
                    (target.name.clone(), rate.min(1e9))
                },
            );
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

    /// What each target would need alone where the first needs `count`.
    fn alone(&self, count: u32, first: &Risk) -> Vec<f64> {
        let flow = self.flow();
        let work = first.work(flow.input, flow.requests).max(1e-9);
        // The load per replica that the first target's plan comes to.
        let load = work / f64::from(count.max(1));
        let misses = first.at(load, f64::from(count.max(1)));
        let each = self.risks.iter().map(|risk| {
            let Some(risk) = risk else { return f64::from(count) };
            let own = Expectation { level: risk.work(flow.input, flow.requests), ratios: &[(1.0, 1.0)], scale: 1.0 };
            f64::from(own.fewest(risk, misses.max(1e-4), 4096))
        });
        each.collect()
    }
}
