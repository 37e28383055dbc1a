//! A histogram of durations of fixed size. Knows nothing of what the durations mean.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest duration told apart, in microseconds: a day. Longer ones count as a day.
const MAX_MICROS: u64 = 86_400_000_000;
/// Significant digits: 1 % precision in about 30 KiB.
const DIGITS: u8 = 2;

/// Durations with percentiles to 1 % and an exact sum.
#[derive(Debug, Clone)]
pub(crate) struct Latency {
    /// `None` only if the library refused the constants above, in which case nothing is recorded.
    values: Option<Histogram<u64>>,
    sum: Duration,
}

impl Latency {
    pub(crate) fn new() -> Self {
        Self { values: Histogram::new_with_bounds(1, MAX_MICROS, DIGITS).ok(), sum: Duration::ZERO }
    }

    pub(crate) fn record(&mut self, time: Duration) {
        self.sum += time;
        if let Some(values) = &mut self.values {
            values.saturating_record(micros(time));
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.values.as_ref().map_or(0, Histogram::len)
    }

    pub(crate) fn sum(&self) -> Duration {
        self.sum
    }

    /// How many were at most `bound`, to the histogram's precision.
    pub(crate) fn count_up_to(&self, bound: Duration) -> u64 {
        self.values.as_ref().map_or(0, |values| values.count_between(0, micros(bound)))
    }

    /// Zero if there are none.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        self.values.as_ref().map_or(Duration::ZERO, |values| Duration::from_micros(values.value_at_quantile(quantile)))
    }

    /// Zero if there are none.
    pub(crate) fn max(&self) -> Duration {
        self.quantile(1.0)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(MAX_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_percent_and_the_longest_durations_do_not_overflow() {
        let mut latency = Latency::new();
        assert_eq!((latency.count(), latency.quantile(0.99)), (0, Duration::ZERO));
        (1..=1000).for_each(|millis| latency.record(Duration::from_millis(millis)));
        let p99 = latency.quantile(0.99).as_secs_f64();
        assert!((p99 / 0.99 - 1.0).abs() < 0.01, "{p99}");
        assert_eq!(latency.count_up_to(Duration::from_secs(2)), 1000);
        latency.record(Duration::from_secs(u64::MAX / 4));
        assert_eq!(latency.count(), 1001);
    }
}
