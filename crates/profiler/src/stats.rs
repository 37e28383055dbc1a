//! The statistics that AIBrix keeps of a latency: mean and three percentiles, in seconds.

use serde::{Deserialize, Serialize};

/// Which statistic an SLO is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Percentile {
    /// The arithmetic mean; AIBrix writes 0.
    Mean,
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 99th percentile.
    P99,
}

impl Percentile {
    /// From AIBrix's number: 0 (the mean), 50, 90 or 99.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Mean, Self::P50, Self::P90, Self::P99].into_iter().find(|this| this.number() == number)
    }

    /// AIBrix's number.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Mean => 0,
            Self::P50 => 50,
            Self::P90 => 90,
            Self::P99 => 99,
        }
    }

    /// How many of `count` values may reach a limit before the percentile surely does. None for the mean, where it depends on
    /// the values.
    #[must_use]
    pub fn allowed_misses(self, count: usize) -> Option<usize> {
        let number = usize::try_from(self.number()).ok().filter(|number| *number > 0)?;
        let last = count.saturating_sub(1);
        // The lower of the two values that are interpolated.
        Some(last - last * number / 100)
    }
}

impl std::fmt::Display for Percentile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            other => write!(f, "P{}", other.number()),
        }
    }
}

/// Statistics of one latency, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Stat {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
}

impl Stat {
    /// Of these values; none of no values. Percentiles interpolate linearly between values, as numpy does, which AIBrix's
    /// tool uses.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        let at = |number| percentile(&sorted, number);
        Some(Self { mean, p50: at(50), p90: at(90), p99: at(99) })
    }

    /// The one that is asked for.
    #[must_use]
    pub fn get(&self, which: Percentile) -> f64 {
        match which {
            Percentile::Mean => self.mean,
            Percentile::P50 => self.p50,
            Percentile::P90 => self.p90,
            Percentile::P99 => self.p99,
        }
    }
}

fn percentile(sorted: &[f64], number: usize) -> f64 {
    let last = sorted.len() - 1;
    let (below, hundredths) = (last * number / 100, last * number % 100);
    let low = sorted[below];
    if hundredths == 0 { low } else { low + (sorted[below + 1] - low) * hundredths as f64 / 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_numpys() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let stat = Stat::of(&values).unwrap();
        assert_eq!((stat.mean, stat.p50), (50.5, 50.5));
        assert!((stat.p90 - 90.1).abs() < 1e-9 && (stat.p99 - 99.01).abs() < 1e-9, "{stat:?}");
        assert_eq!(Stat::of(&[]), None);
    }

    proptest! {
        #[test]
        fn more_misses_than_allowed_surely_reach_the_limit(count in 1_usize..500, spare in 0.0_f64..1.0) {
            for which in [Percentile::P50, Percentile::P90, Percentile::P99] {
                let allowed = which.allowed_misses(count).unwrap();
                let values = |misses: usize| {
                    let value = |at| if at < misses { 2.0 } else { spare };
                    Stat::of(&(0..count).map(value).collect::<Vec<_>>()).unwrap().get(which)
                };
                prop_assert!(values(allowed + 1) >= 2.0 - 1e-12);
                prop_assert!(values(allowed.saturating_sub(1)) < 2.0);
            }
        }
    }
}
