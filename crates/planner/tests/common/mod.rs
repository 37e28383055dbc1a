//! Problems that are made, as those of `benches/judge.py` are.

use planner::{Gpu, Load, Problem};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Types with prices, sizes log-spaced, capacities as rooflines have them: dearer types are better at long requests. `unable` is the
/// share of types that cannot serve a size, where there are such.
pub(crate) fn problem(seed: u64, types: u8, sizes: u32, unable: Option<f64>) -> Problem {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let round = |value: f64, decimals: f64| (value * decimals).round() / decimals;
    let mut problem = Problem::default();
    for at in 0..types {
        let cost = round(0.7 * 1.6_f64.powi(i32::from(at)) * random.random_range(0.8..1.2), 1e3);
        problem.gpus.insert(format!("g{at}"), Gpu { cost, ..Gpu::default() });
    }
    for _ in 0..sizes {
        let size = 2.0_f64.powf(random.random_range(0.0..8.0));
        let mut load = Load::default();
        for (name, gpu) in &problem.gpus {
            let fast = round(20.0 * gpu.cost.powf(random.random_range(0.6..1.4)) / size, 1e6);
            let serves = unable.is_none_or(|unable| random.random::<f64>() >= unable);
            load.capacity.insert(name.clone(), if serves { fast } else { 0.0 });
        }
        if load.capacity.values().all(|capacity| *capacity <= 0.0) {
            load.capacity.insert("g0".to_owned(), 1.0);
        }
        let scale = [2.0, 20.0, 200.0, 1000.0][random.random_range(0..4)];
        load.rate = random.random::<f64>() * scale * 10.0 / size / f64::from(sizes);
        problem.load.push(load);
    }
    problem
}
