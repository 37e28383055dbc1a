//! How long turns took, as a Prometheus histogram has it. Plain counts; reads no clock.

use std::time::Duration;

/// Upper bounds of the buckets, in seconds. A turn has ten; the solver has five of them.
pub(crate) const BOUNDS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Turns by how long they took.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Took {
    /// Turns that took at most this bound, and more than the one before.
    counts: [u64; BOUNDS.len()],
    pub(crate) count: u64,
    /// Seconds of all together, and of the longest.
    pub(crate) sum: f64,
    pub(crate) longest: f64,
}

impl Took {
    /// One more turn.
    pub(crate) fn add(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let at = BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.count += 1;
        self.sum += seconds;
        self.longest = self.longest.max(seconds);
    }

    /// Turns that took at most each bound.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let up_to = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BOUNDS.into_iter().zip(up_to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_count_all_turns_up_to_their_bound() {
        let mut took = Took::default();
        for millis in [1, 3, 3, 40, 60_000] {
            took.add(Duration::from_millis(millis));
        }
        let of = |bound: f64| took.cumulative().find(|one| one.0 == bound).unwrap().1;
        assert_eq!((of(0.001), of(0.002), of(0.005), of(0.05), of(10.0), took.count), (1, 1, 3, 4, 4, 5));
        assert!((took.longest - 60.0).abs() < 1e-9);
    }
}
