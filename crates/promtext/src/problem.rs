//! What was wrong with a page: a count, and the first few lines with a reason. Knows nothing of parsing.

use std::fmt;

/// How many problems are kept with line and reason; the rest is only counted.
/// Eight lines show the pattern, and a page of pure garbage must not cost memory.
pub const MAX_REPORTED_PROBLEMS: usize = 8;

/// Why a line was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The line does not begin with a metric name followed by `{` or a blank.
    BadName,
    /// A `TYPE` line of a wanted family names no known type.
    BadType,
    /// A second `TYPE` line contradicts the first, which stands.
    ConflictingType,
    /// A label is not `name="value"`, or the braces do not close on the line.
    BadLabels,
    /// More labels than [`MAX_LABELS`](crate::MAX_LABELS).
    TooManyLabels,
    /// Labels are not UTF-8.
    NotUtf8,
    /// No value after the name and labels.
    NoValue,
    /// The value is not a decimal number, `NaN` or an infinity.
    BadValue,
    /// The timestamp is not a finite number.
    BadTimestamp,
    /// Something other than an exemplar follows value and timestamp.
    TrailingText,
    /// More wanted samples than [`MAX_SAMPLES`](crate::MAX_SAMPLES); this one was dropped.
    TooManySamples,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "does not begin with a metric name",
            Self::BadType => "TYPE names no known metric type",
            Self::ConflictingType => "TYPE contradicts an earlier one",
            Self::BadLabels => "labels are malformed or not closed",
            Self::TooManyLabels => "too many labels",
            Self::NotUtf8 => "labels are not UTF-8",
            Self::NoValue => "has no value",
            Self::BadValue => "the value is not a number",
            Self::BadTimestamp => "the timestamp is not a number",
            Self::TrailingText => "text after the value",
            Self::TooManySamples => "too many samples, this one was dropped",
        })
    }
}

/// One line that was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// Line number, the first line being 1.
    pub line: usize,
    /// What was wrong with it.
    pub reason: Reason,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// All problems of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    total: usize,
    first: Vec<Problem>,
}

impl Problems {
    pub(crate) fn add(&mut self, line: usize, reason: Reason) {
        self.total += 1;
        if self.first.len() < MAX_REPORTED_PROBLEMS {
            self.first.push(Problem { line, reason });
        }
    }

    /// How many lines were not read.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The first of them, at most [`MAX_REPORTED_PROBLEMS`].
    pub fn first(&self) -> &[Problem] {
        &self.first
    }

    /// Whether every line that was looked at could be read.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}
