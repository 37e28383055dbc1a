//! A value that was looked for: fresh, stale, or absent with the reason. "Not there" is never zero and never NaN.

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// What became of one attempt to read a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading {
    /// A value to act upon.
    Fresh(f64),
    /// The last value, too old to act upon.
    Stale {
        /// The value when it was last read.
        value: f64,
        /// How long ago that was.
        age: Span,
    },
    /// No value.
    Absent(Why),
}

/// Why a value is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// Nobody delivered a value.
    NotRead,
    /// A value came that is not a finite number.
    NotFinite,
    /// A value came that this metric cannot have (a negative load).
    Negative,
    /// The source failed; the text says how.
    Failed(String),
}

impl Reading {
    /// A reading of a load: finite and not negative, else absent.
    #[must_use]
    pub fn load(value: f64) -> Self {
        if !value.is_finite() {
            Self::Absent(Why::NotFinite)
        } else if value < 0.0 {
            Self::Absent(Why::Negative)
        } else {
            Self::Fresh(value)
        }
    }

    /// The value, where it is fresh and can be a load, however the reading was made.
    #[must_use]
    pub fn fresh(&self) -> Option<f64> {
        match self.checked() {
            Self::Fresh(value) => Some(value),
            _ => None,
        }
    }

    /// The same reading, or absent where its value cannot be a load.
    #[must_use]
    pub fn checked(&self) -> Self {
        match self {
            Self::Fresh(value) => Self::load(*value),
            Self::Stale { value, .. } => match Self::load(*value) {
                Self::Fresh(_) => self.clone(),
                unsound => unsound,
            },
            Self::Absent(_) => self.clone(),
        }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRead => f.write_str("was not read"),
            Self::NotFinite => f.write_str("is not a finite number"),
            Self::Negative => f.write_str("is negative"),
            Self::Failed(how) => f.write_str(how),
        }
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fresh(value) => write!(f, "{value}"),
            Self::Stale { value, age } => write!(f, "{value}, {:.0} s old", age.as_secs()),
            Self::Absent(why) => write!(f, "{why}"),
        }
    }
}
