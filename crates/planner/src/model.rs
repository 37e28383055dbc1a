//! A problem in the solver's terms: types and sizes by number, loads in replicas, and only what matters.

use crate::problem::{Problem, Split};
use std::collections::BTreeMap;

/// The largest count: that of a type without a maximum.
pub(crate) const UNBOUNDED: u32 = 1_000_000;
/// A size that needs less than this share of what the largest needs is not optimised: a solver in floating point wants
/// coefficients within six orders of magnitude. It is put where there is room afterwards.
const NEGLIGIBLE: f64 = 1e-6;
/// What rounding may make of a limit.
pub(crate) const SLACK: f64 = 1e-9;

/// The part of a problem that is optimised.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) types: Vec<Type>,
    pub(crate) sizes: Vec<Size>,
    pub(crate) slices: Option<u32>,
    pub(crate) change_cost: f64,
    /// Budget and quotas.
    pub(crate) limits: Vec<Limit>,
    /// Share of each size that types that are not spot must be able to carry alone.
    pub(crate) reserve: f64,
    /// Sizes that no type can serve, and why.
    pub(crate) hopeless: Vec<(usize, &'static str)>,
    /// Sizes that are too small to matter to the solver.
    pub(crate) small: Vec<Size>,
    /// Why what can be served is not.
    pub(crate) short: &'static str,
}

/// Counts weighed may come to no more than this.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) weights: Vec<(usize, f64)>,
    pub(crate) most: f64,
}

/// A GPU type.
#[derive(Debug, Clone)]
pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) cost: f64,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) current: Option<u32>,
    pub(crate) spot: bool,
}

/// A size.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    /// Its place in the problem.
    pub(crate) load: usize,
    pub(crate) priority: i32,
    /// Replicas of each type that it needs alone; none where the type cannot serve it.
    pub(crate) needs: Vec<Option<f64>>,
}

impl Model {
    pub(crate) fn of(problem: &Problem) -> Self {
        let kind = |(name, gpu): (&String, &crate::problem::Gpu)| Type {
            name: name.clone(),
            cost: gpu.cost,
            min: gpu.min,
            max: gpu.max.unwrap_or(UNBOUNDED).max(gpu.min),
            current: gpu.current,
            spot: gpu.spot,
        };
        let types: Vec<Type> = problem.gpus.iter().map(kind).collect();
        let (mut sizes, mut hopeless) = (Vec::new(), Vec::new());
        for (at, load) in problem.load.iter().enumerate().filter(|(_, load)| load.rate > 0.0) {
            let need = |one: &Type| {
                let capacity = load.capacity.get(&one.name).copied().unwrap_or(0.0);
                (capacity > 0.0 && one.max > 0).then(|| load.rate / capacity).filter(|need| need.is_finite())
            };
            let needs: Vec<Option<f64>> = types.iter().map(need).collect();
            let lasting = types.iter().zip(&needs).any(|(one, need)| !one.spot && need.is_some());
            if needs.iter().all(Option::is_none) {
                hopeless.push((at, "no type can serve it"));
            } else if problem.spot_reserve > 0.0 && !lasting {
                hopeless.push((at, "no type that is not spot can serve it"));
            } else {
                sizes.push(Size { load: at, priority: load.priority, needs });
            }
        }
        let least = |size: &Size| size.needs.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let largest = sizes.iter().map(least).fold(0.0, f64::max);
        let (sizes, small) = sizes.into_iter().partition(|size| least(size) >= largest * NEGLIGIBLE);
        let slices = match problem.split {
            Split::Fractional => None,
            Split::Slices(slices) => Some(slices),
        };
        Self {
            limits: limits(problem, &types),
            types,
            sizes,
            slices,
            change_cost: problem.change_cost,
            reserve: problem.spot_reserve,
            hopeless,
            small,
            short: if problem.quota.is_empty() { "caps or budget" } else { "caps, quota or budget" },
        }
    }

    /// What replicas cost.
    pub(crate) fn cost(&self, replicas: &[u32]) -> f64 {
        self.types.iter().zip(replicas).map(|(one, count)| one.cost * f64::from(*count)).sum()
    }

    /// The same with the cost of changes.
    pub(crate) fn objective(&self, replicas: &[u32]) -> f64 {
        let change = |(one, count): (&Type, &u32)| one.current.map_or(0.0, |now| f64::from(now.abs_diff(*count)));
        self.cost(replicas) + self.change_cost * self.types.iter().zip(replicas).map(change).sum::<f64>()
    }

    /// Whether budget and quotas allow replicas.
    pub(crate) fn within(&self, replicas: &[u32]) -> bool {
        let weighed = |limit: &Limit| limit.weights.iter().map(|(at, weight)| weight * f64::from(replicas[*at])).sum();
        self.limits.iter().all(|limit| {
            let sum: f64 = weighed(limit);
            sum <= limit.most + SLACK * limit.most.max(1.0)
        })
    }

    /// No answer that serves everything costs less: each size on its cheapest type, as if replicas could be divided.
    pub(crate) fn simple_bound(&self) -> f64 {
        let size = |size: &Size| {
            let costs = self.types.iter().zip(&size.needs).filter_map(|(one, need)| Some(one.cost * (*need)?));
            costs.fold(f64::INFINITY, f64::min)
        };
        let minimums: f64 = self.types.iter().map(|one| one.cost * f64::from(one.min)).sum();
        self.sizes.iter().map(size).sum::<f64>().max(minimums)
    }

    /// A number that every objective is a multiple of: prices have few decimals. 0 where there is none as large as a millionth.
    pub(crate) fn step(&self) -> f64 {
        let change =
            (self.change_cost > 0.0 && self.types.iter().any(|one| one.current.is_some())).then_some(self.change_cost);
        let costs: Vec<f64> = self.types.iter().map(|one| one.cost).chain(change).collect();
        let whole = |scale: f64| {
            costs.iter().all(|cost| {
                let scaled = cost * scale;
                scaled < 1e9 && (scaled - scaled.round()).abs() < 1e-6
            })
        };
        let Some(scale) = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6].into_iter().find(|scale| whole(*scale)) else {
            return 0.0;
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 1e9, as tested")]
        let divisor = costs.iter().map(|cost| (cost * scale).round() as u64).fold(0, divisor);
        divisor as f64 / scale
    }
}

/// The greatest common divisor (Euclid).
fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

fn limits(problem: &Problem, types: &[Type]) -> Vec<Limit> {
    let costs = || types.iter().enumerate().map(|(at, one)| (at, one.cost)).collect();
    let budget = problem.budget.map(|most| Limit { weights: costs(), most });
    let mut by_accelerator: BTreeMap<&String, Vec<(usize, f64)>> = BTreeMap::new();
    for (at, gpu) in problem.gpus.values().enumerate() {
        if let Some(accelerator) = &gpu.accelerator {
            by_accelerator.entry(accelerator).or_default().push((at, f64::from(gpu.gpus_per_replica)));
        }
    }
    let quota = problem
        .quota
        .iter()
        .filter_map(|(name, most)| Some(Limit { weights: by_accelerator.get(name)?.clone(), most: f64::from(*most) }));
    budget.into_iter().chain(quota).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prices_of_few_decimals_leave_steps_between_objectives() {
        let step = |costs: &[f64]| {
            let gpus: serde_json::Map<_, _> =
                costs.iter().enumerate().map(|(at, cost)| (format!("g{at}"), json!({"cost": cost}))).collect();
            Model::of(&Problem::from_json(&json!({"gpus": gpus, "load": []}).to_string()).unwrap()).step()
        };
        for (costs, expected) in [(&[1.01, 3.67][..], 0.01), (&[1.5, 0.5], 0.5), (&[4.0, 6.0], 2.0), (&[0.0, 3.0], 3.0)]
        {
            assert!((step(costs) - expected).abs() < 1e-12, "{costs:?}: {}", step(costs));
        }
        assert_eq!(step(&[1.0, std::f64::consts::PI]), 0.0);
    }
}
