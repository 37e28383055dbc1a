//! The model's time: nanoseconds outside, picoseconds inside.
//!
//! An iteration's length is a sum of terms as small as tens of picoseconds per token. Keeping the remainder below a
//! nanosecond makes a sum over many iterations equal to the iterations one by one, whatever the grouping.

use std::time::Duration;

const NANOS_PER_SEC: f64 = 1e9;
const PICOS_PER_NANO: u64 = 1000;

/// An instant in nanoseconds since the model's own zero; reaches 584 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The model's zero.
    pub const ZERO: Self = Self(0);
    /// The last instant there is.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after zero.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant nearest to `seconds` after zero; what is not a number or negative is zero, what is too large the
    /// last instant.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is meant")]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * NANOS_PER_SEC).round() as u64)
    }

    /// Nanoseconds since zero.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since zero.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SEC
    }

    /// The time from `earlier` to this instant; zero where `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant plus `span`, at most [`Time::MAX`].
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl From<Duration> for Time {
    /// The instant `span` after zero.
    fn from(span: Duration) -> Self {
        Self::ZERO.saturating_add(span)
    }
}

/// An iteration boundary, exact to the picosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Boundary {
    nanos: u64,
    picos: u64,
}

impl Boundary {
    pub(crate) const fn at(time: Time) -> Self {
        Self { nanos: time.0, picos: 0 }
    }

    pub(crate) const fn plus_picos(self, picos: u64) -> Self {
        let total = self.picos.saturating_add(picos);
        Self { nanos: self.nanos.saturating_add(total / PICOS_PER_NANO), picos: total % PICOS_PER_NANO }
    }

    /// Picoseconds from here to `later`; zero where that has passed, saturating.
    pub(crate) const fn picos_until(self, later: Self) -> u64 {
        let whole = later.nanos.saturating_sub(self.nanos).saturating_mul(PICOS_PER_NANO);
        whole.saturating_add(later.picos).saturating_sub(self.picos)
    }

    /// The first whole nanosecond at which this boundary has been reached.
    pub(crate) const fn ceil(self) -> Time {
        Time(if self.picos > 0 { self.nanos.saturating_add(1) } else { self.nanos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_that_are_no_instant_become_the_nearest_one() {
        assert_eq!(Time::from_secs_f64(f64::NAN), Time::ZERO);
        assert_eq!(Time::from_secs_f64(-1.0), Time::ZERO);
        assert_eq!(Time::from_secs_f64(f64::INFINITY), Time::MAX);
        assert_eq!(Time::from_secs_f64(1.5), Time::from_nanos(1_500_000_000));
    }

    #[test]
    fn picoseconds_carry_into_nanoseconds_without_loss() {
        let mut stepped = Boundary::default();
        for _ in 0..7 {
            stepped = stepped.plus_picos(333);
        }
        assert_eq!(stepped, Boundary::default().plus_picos(7 * 333));
        assert_eq!(stepped.ceil(), Time::from_nanos(3));
        assert_eq!(Boundary::default().picos_until(stepped), 7 * 333);
    }
}
