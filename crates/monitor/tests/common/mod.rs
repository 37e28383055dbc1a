//! Poisson streams of requests with given sizes, in batches.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use request_monitor::{Batch, Load, Monitor, Size};

/// 70 % chat and 30 % long prompts with short answers.
pub const BIMODAL: [(f64, Size); 2] =
    [(0.7, Size { input: 256.0, output: 128.0 }), (0.3, Size { input: 1448.0, output: 23.0 })];

pub struct Stream {
    random: ChaCha8Rng,
    pub now: f64,
}

impl Stream {
    pub fn new(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), now: 0.0 }
    }

    pub fn uniform(&mut self) -> f64 {
        self.random.random()
    }

    /// A Poisson number.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        let (mut count, mut at) = (0, 0.0);
        loop {
            at -= (1.0 - self.uniform()).ln();
            if at > mean {
                return count;
            }
            count += 1;
        }
    }

    /// The next span: requests at `rate`, each of a size drawn from `mix`, done as they come.
    pub fn batch(&mut self, seconds: f64, rate: f64, mix: &[(f64, Size)]) -> Batch {
        let count = self.poisson(rate * seconds);
        let sizes: Vec<(Size, f64)> = (0..count).map(|_| (self.draw(mix), 1.0)).collect();
        let from = self.now;
        self.now += seconds;
        Batch { arrivals: Some(f64::from(count)), sizes, ..Batch::new(from, self.now) }
    }

    fn draw(&mut self, mix: &[(f64, Size)]) -> Size {
        let mut left = self.uniform();
        for (share, size) in mix {
            left -= share;
            if left < 0.0 {
                return *size;
            }
        }
        mix[mix.len() - 1].1
    }

    /// Feeds a monitor for a while.
    pub fn feed(&mut self, monitor: &mut Monitor, seconds: f64, step: f64, rate: f64) {
        let until = self.now + seconds;
        while self.now + step <= until + 1e-9 {
            let batch = self.batch(step, rate, &BIMODAL);
            monitor.add(&batch);
        }
    }
}

/// A cost that grows faster than the size, as that of attention does: seconds of a GPU for a request.
pub fn cost(input: f64, output: f64) -> f64 {
    (input + 4.0 * output) * 1e-4 + (input + output).powi(2) * 1e-8
}

/// GPUs' worth of work.
pub fn demand(load: &Load) -> f64 {
    load.sizes.iter().map(|size| size.rate * cost(size.input, size.output)).sum()
}
