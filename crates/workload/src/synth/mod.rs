//! Synthetic loads: a rate over time, sizes of requests, and a seed. The same seed gives the same load everywhere.

mod parse;
mod shape;
mod sizes;

pub use parse::{SpecError, parse, seconds};
pub use shape::{Phase, Shape};
pub use sizes::Sizes;

use crate::Arrival;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A load that is generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthetic {
    /// Arrivals per second over time.
    pub shape: Shape,
    /// Tokens of prompts.
    pub input: Sizes,
    /// Tokens of answers.
    pub output: Sizes,
    /// Seconds that the load lasts.
    pub length: f64,
    /// What the randomness begins with.
    pub seed: u64,
}

impl Synthetic {
    /// The load of the quickstart: a rise, a quiet time, a burst, and a quiet end, in 110 seconds. `scale` multiplies
    /// the rates.
    #[must_use]
    pub fn quickstart(scale: f64, seed: u64) -> Self {
        let phase = |length, from: f64, to: f64| Phase { length, from: from * scale, to: to * scale };
        let phases = vec![
            phase(10.0, 1.0, 1.0),
            phase(25.0, 1.0, 6.0),
            phase(10.0, 6.0, 0.5),
            phase(20.0, 0.5, 0.5),
            phase(10.0, 9.0, 9.0),
            phase(35.0, 0.5, 0.5),
        ];
        let length = phases.iter().map(|phase| phase.length).sum();
        let (input, output) = (Sizes::LogNormal { mean: 200.0, cv: 0.5 }, Sizes::LogNormal { mean: 100.0, cv: 0.3 });
        Self { shape: Shape::Phases(phases), input, output, length, seed }
    }

    /// The arrivals, in order: a Poisson process of the shape's rate, made by thinning
    /// (Lewis and Shedler, "Simulation of nonhomogeneous Poisson processes by thinning", 1979), or an even one.
    pub fn arrivals(&self) -> impl Iterator<Item = Arrival> + Send + use<> {
        let this = self.clone();
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut at = 0.0;
        std::iter::from_fn(move || {
            at = this.next_time(at, &mut random)?;
            let input_tokens = this.input.sample(&mut random);
            let output_tokens = this.output.sample(&mut random);
            Some(Arrival { at, input_tokens, output_tokens, prefix_hit_tokens: 0 })
        })
    }

    fn next_time(&self, mut at: f64, random: &mut impl Rng) -> Option<f64> {
        let peak = self.shape.peak();
        if let Shape::Even { rate } = self.shape {
            let next = at + 1.0 / rate;
            return (rate > 0.0 && next < self.length).then_some(next);
        }
        if peak <= 0.0 {
            return None;
        }
        loop {
            // A sample in (0, 1]: its logarithm is finite.
            let uniform = 1.0 - random.random::<f64>();
            at -= uniform.ln() / peak;
            if at >= self.length {
                return None;
            }
            if random.random::<f64>() * peak < self.shape.rate(at) {
                return Some(at);
            }
        }
    }
}
