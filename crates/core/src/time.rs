//! Points in time and spans of it, as whole microseconds. Must not know any clock: every time is an argument.

use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};

const MICROS: f64 = 1_000_000.0;

/// A point in time, in microseconds since the Unix epoch (or since the zero of a recording's own clock).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

/// A span of time in microseconds; negative spans are allowed and mean "before".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span(pub i64);

impl Timestamp {
    /// The point `seconds` after zero; not-a-number becomes zero and anything out of range saturates.
    #[must_use]
    pub fn from_secs(seconds: f64) -> Self {
        Self(micros(seconds))
    }

    /// Seconds since zero.
    #[must_use]
    pub fn as_secs(self) -> f64 {
        self.0 as f64 / MICROS
    }

    /// The whole second that this point lies in (rounded towards the past).
    #[must_use]
    pub fn second(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The span from `earlier` to this point; negative where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `seconds`; not-a-number becomes zero and anything out of range saturates.
    #[must_use]
    pub fn from_secs(seconds: f64) -> Self {
        Self(micros(seconds))
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The span in seconds.
    #[must_use]
    pub fn as_secs(self) -> f64 {
        self.0 as f64 / MICROS
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a float to integer cast saturates, and NaN becomes 0")]
fn micros(seconds: f64) -> i64 {
    (seconds * MICROS).round() as i64
}
