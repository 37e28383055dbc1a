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

/// Wanted names whose problems are told apart. Beyond it every family counts as affected, which is the safe side.
const MAX_AFFECTED_NAMES: usize = 256;

/// Which of the wanted names have lines that were not read: the first problem of each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Affected<'a> {
    names: Vec<(&'a str, Problem)>,
    others: Option<Problem>,
}

impl<'a> Affected<'a> {
    pub(crate) fn add(&mut self, name: &'a str, problem: Problem) {
        if self.names.iter().any(|(known, _)| *known == name) {
            return;
        }
        if self.names.len() < MAX_AFFECTED_NAMES {
            self.names.push((name, problem));
        } else {
            self.others.get_or_insert(problem);
        }
    }

    /// The first problem of the names for which `is_part` says yes.
    pub(crate) fn first(&self, is_part: impl Fn(&str) -> bool) -> Option<Problem> {
        self.names.iter().find(|(name, _)| is_part(name)).map(|(_, problem)| *problem)
    }

    /// A problem of some name that is not told apart any more.
    pub(crate) fn others(&self) -> Option<Problem> {
        self.others
    }
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
