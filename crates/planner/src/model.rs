//! A problem in the solver's terms: types and sizes by number, loads in replicas, and only what matters.

use crate::problem::{Problem, Split};

/// The largest count: that of a type without a maximum.
pub(crate) const UNBOUNDED: u32 = 1_000_000;
/// A size that needs less than this share of what the largest needs is not optimised: a solver in floating point wants
/// coefficients within six orders of magnitude. It is put where there is room afterwards.
const NEGLIGIBLE: f64 = 1e-6;

/// The part of a problem that is optimised.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) types: Vec<Type>,
    pub(crate) sizes: Vec<Size>,
    pub(crate) slices: Option<u32>,
    pub(crate) change_cost: f64,
    pub(crate) budget: Option<f64>,
    /// Sizes that no type can serve.
    pub(crate) hopeless: Vec<usize>,
    /// Sizes that are too small to matter to the solver.
    pub(crate) small: Vec<Size>,
}

/// A GPU type.
#[derive(Debug, Clone)]
pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) cost: f64,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) current: Option<u32>,
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
        let types: Vec<Type> = problem
            .gpus
            .iter()
            .map(|(name, gpu)| Type {
                name: name.clone(),
                cost: gpu.cost,
                min: gpu.min,
                max: gpu.max.unwrap_or(UNBOUNDED).max(gpu.min),
                current: gpu.current,
            })
            .collect();
        let (mut sizes, mut hopeless) = (Vec::new(), Vec::new());
        for (at, load) in problem.load.iter().enumerate().filter(|(_, load)| load.rate > 0.0) {
            let need = |one: &Type| {
                let capacity = load.capacity.get(&one.name).copied().unwrap_or(0.0);
                (capacity > 0.0 && one.max > 0).then(|| load.rate / capacity).filter(|need| need.is_finite())
            };
            let needs: Vec<Option<f64>> = types.iter().map(need).collect();
            if needs.iter().all(Option::is_none) {
                hopeless.push(at);
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
        Self { types, sizes, slices, change_cost: problem.change_cost, budget: problem.budget, hopeless, small }
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

    /// No answer that serves everything costs less: each size on its cheapest type, as if replicas could be divided.
    pub(crate) fn simple_bound(&self) -> f64 {
        let size = |size: &Size| {
            let costs = self.types.iter().zip(&size.needs).filter_map(|(one, need)| Some(one.cost * (*need)?));
            costs.fold(f64::INFINITY, f64::min)
        };
        let minimums: f64 = self.types.iter().map(|one| one.cost * f64::from(one.min)).sum();
        self.sizes.iter().map(size).sum::<f64>().max(minimums)
    }
}
