//! The wait before the next start of a replica that crashed. Pure.

use std::time::Duration;

use crate::spec::RestartPolicy;

/// Doubling waits, from crash to crash of one replica.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The wait after a life that was ready for `ready_for` in the end (zero if it never was).
    pub(crate) fn after(&mut self, ready_for: Duration, policy: &RestartPolicy) -> Duration {
        let was_stable = !ready_for.is_zero() && ready_for >= policy.stable_after;
        let wait = match self.last {
            Some(last) if !was_stable => last.saturating_mul(2).min(policy.max),
            _ => policy.initial,
        };
        self.last = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_maximum_and_start_over_after_a_stable_life() {
        let policy = RestartPolicy::default();
        let mut backoff = Backoff::default();
        let mut seconds = |ready| backoff.after(Duration::from_secs(ready), &policy).as_secs();
        assert_eq!([0; 8].map(&mut seconds), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(seconds(119), 60, "not stable for long enough");
        assert_eq!(seconds(120), 1);
        assert_eq!(seconds(0), 2);
    }
}
