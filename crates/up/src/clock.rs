//! Trace time: what the controller, the engines and the report count in. At speed N it runs N times faster than the
//! machine's clock.

use autoscaler_core::{Span, Timestamp};
use std::time::{Duration, Instant, SystemTime};

/// A clock that starts at zero.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    epoch: SystemTime,
    speed: f64,
}

impl Clock {
    /// A clock that starts now; `speed` is trace seconds per second.
    #[must_use]
    pub fn start(speed: f64) -> Self {
        Self { start: Instant::now(), epoch: SystemTime::now(), speed }
    }

    /// Trace seconds per second.
    #[must_use]
    pub fn speed(self) -> f64 {
        self.speed
    }

    /// Trace seconds since the start.
    #[must_use]
    pub fn now(self) -> f64 {
        self.at(Instant::now())
    }

    /// Trace seconds from the start to `instant`; negative before it.
    #[must_use]
    pub fn at(self, instant: Instant) -> f64 {
        let seconds = match instant.checked_duration_since(self.start) {
            Some(after) => after.as_secs_f64(),
            None => -self.start.duration_since(instant).as_secs_f64(),
        };
        seconds * self.speed
    }

    /// The calendar's time at `seconds` of trace time: schedules follow the trace, too.
    #[must_use]
    pub fn timestamp(self, seconds: f64) -> Timestamp {
        let epoch = self.epoch.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_secs(epoch.as_secs_f64()) + Span::from_secs(seconds)
    }

    /// When the clock started.
    #[must_use]
    pub fn epoch(self) -> SystemTime {
        self.epoch
    }

    /// Machine time of a span of trace seconds.
    #[must_use]
    pub fn machine(self, trace_seconds: f64) -> Duration {
        Duration::try_from_secs_f64(trace_seconds / self.speed).unwrap_or(Duration::MAX)
    }

    /// Trace seconds of a span of machine time.
    #[must_use]
    pub fn trace(self, machine: Duration) -> f64 {
        machine.as_secs_f64() * self.speed
    }
}
