//! Several targets: what the first would need alone is spread over all of them, as cheaply as can be.

use crate::choose::{Expectation, MOST};
use crate::planning::Planning;
use crate::risk::Risk;
use crate::settings::Knowledge;
use planner::{Gpu, Load, Problem, Split, solve};
use std::collections::BTreeMap;

/// Nodes of the search: a limit that is the same on every machine.
const NODES: u64 = 2000;
/// Highest load per replica that is looked for, and steps of the search.
const HIGHEST: f64 = 4.0;
const BISECTIONS: u32 = 24;
/// Sizes by the binary logarithm of both lengths, so many to an octave.
const CELLS: f64 = 1.0;

impl Planning {
    /// Replicas of each target that carry what `count` replicas of the first would.
    /// `allowed` is the share that may miss under it.
    pub(crate) fn spread(&self, count: u32, first: &Risk, allowed: f64) -> Vec<u32> {
        let targets = &self.settings.targets;
        let clamp = |at: usize, count: u32| count.clamp(targets[at].min, targets[at].max);
        if targets.len() == 1 {
            return vec![clamp(0, count)];
        }
        let problem = self.problem(count, first, allowed);
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

    /// The mix as a problem: sizes by cells, or one size where the router does not tell them apart, at the rate at which the first target alone would need `count`.
    fn problem(&self, count: u32, first: &Risk, allowed: f64) -> Problem {
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
        let targets = self.settings.targets.iter().zip(&self.risks);
        // Seconds of each target for one request of each size; none where it cannot serve it.
        let seconds: Vec<Vec<Option<f64>>> = targets
            .map(|(target, risk)| {
                let each = |(_, input, output): &(f64, f64, f64)| match (&target.knowledge, risk) {
                    (_, None) => None,
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
        let alone = self.alone(count, first, allowed);
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

    /// What each target would need alone where the first needs `count`: at the load at which as many miss on these as may.
    fn alone(&self, count: u32, first: &Risk, allowed: f64) -> Vec<f64> {
        let of = f64::from(count.max(1));
        let load = load_at(first, of, allowed);
        // Requests a second of the mean size, so that a lull of now is not taken for the plan's load.
        let rate = load * of / first.work(self.sizes.input(), 1.0).max(1e-9);
        let each = self.risks.iter().enumerate().map(|(at, risk)| {
            let Some(risk) = risk.as_ref().filter(|_| at > 0) else { return of };
            let level = risk.work(self.sizes.input() * rate, rate);
            let own = Expectation { level, ratios: &[(1.0, 1.0)], scale: 1.0 };
            f64::from(own.fewest(risk, allowed, MOST))
        });
        each.collect()
    }
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
