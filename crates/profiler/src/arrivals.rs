//! When the requests of a run arrive.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spread {
    /// As a Poisson process: what independent users send, and what AIBrix measures with. A replica that keeps an SLO under
    /// evenly spaced requests does not under these.
    #[default]
    Poisson,
    /// At equal distances.
    Even,
}

/// Times of `count` arrivals at `rate` a second, from 0.
///
/// The Poisson process is conditioned on its count: exactly `count` arrivals in `count / rate` seconds, so that a short run has
/// the rate that it is judged by and not one that is off by `1 / sqrt(count)`. The same seed gives the same pattern at every
/// rate, only faster: two rates are compared on the same luck.
pub(crate) fn times(spread: Spread, rate: f64, count: usize, seed: u64) -> Vec<f64> {
    if spread == Spread::Even {
        return (0..count).map(|at| at as f64 / rate).collect();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut sum = 0.0;
    // Partial sums of exponentials over their total are the order statistics of uniform draws.
    let mut times: Vec<f64> = (0..=count)
        .map(|_| {
            sum -= (1.0 - random.random::<f64>()).ln();
            sum
        })
        .collect();
    let total = times.pop().unwrap_or(1.0).max(f64::MIN_POSITIVE);
    let length = count as f64 / rate;
    for time in &mut times {
        *time *= length / total;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_in_order_and_have_their_rate_exactly() {
        for spread in [Spread::Poisson, Spread::Even] {
            let times = times(spread, 4.0, 200, 7);
            assert!(times.is_sorted() && times.len() == 200 && times[199] < 50.0, "{times:?}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_pattern_at_every_rate() {
        let (slow, fast) = (times(Spread::Poisson, 1.0, 50, 3), times(Spread::Poisson, 4.0, 50, 3));
        assert!(slow.iter().zip(&fast).all(|(slow, fast)| (slow / fast - 4.0).abs() < 1e-9));
        assert_ne!(slow, times(Spread::Poisson, 1.0, 50, 4));
    }
}
