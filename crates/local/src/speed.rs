//! Trace time and machine time: at speed N every wait is N times shorter.
//!
//! Specs and reports are in trace time, timers run in machine time; this is the only place that converts.

use std::time::Duration;

/// Trace seconds per machine second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed(f64);

impl Speed {
    /// `None` unless `speed` is positive and finite.
    pub(crate) fn new(speed: f64) -> Option<Self> {
        (speed.is_finite() && speed > 0.0).then_some(Self(speed))
    }

    /// Trace time → machine time.
    pub(crate) fn machine(self, trace: Duration) -> Duration {
        scaled(trace, 1.0 / self.0)
    }

    /// As [`Self::machine`], but speed alone shortens nothing below `floor`: what the operating system needs to start
    /// a process or to answer on loopback does not run faster.
    pub(crate) fn machine_at_least(self, trace: Duration, floor: Duration) -> Duration {
        self.machine(trace).max(trace.min(floor))
    }

    /// Machine time → trace time.
    pub(crate) fn trace(self, machine: Duration) -> Duration {
        scaled(machine, self.0)
    }
}

fn scaled(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_divided_down_to_a_floor_and_reports_multiplied() {
        let speed = Speed::new(10.0).unwrap();
        let (second, floor) = (Duration::from_secs(1), Duration::from_millis(250));
        assert_eq!(speed.machine(second), Duration::from_millis(100));
        assert_eq!(speed.machine_at_least(second, floor), floor);
        assert_eq!(speed.machine_at_least(Duration::from_millis(20), floor), Duration::from_millis(20));
        assert_eq!(speed.trace(second), Duration::from_secs(10));
    }

    #[test]
    fn nonsense_is_no_speed() {
        assert!([0.0, -1.0, f64::NAN, f64::INFINITY].iter().all(|speed| Speed::new(*speed).is_none()));
    }
}
