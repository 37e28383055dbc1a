//! What is said about a manifest: severity, field path, message, what is allowed. Must not know any rule.

use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Accepted, but not what was probably meant; the message says what is done instead.
    Warning,
    /// Refused.
    Error,
}

impl Severity {
    /// The word that stands before a message; errors stand alone.
    fn prefix(self) -> &'static str {
        match self {
            Self::Error => "",
            Self::Warning => "warning: ",
            Self::Note => "note: ",
        }
    }
}

/// One finding. Rendered as `path: message (allowed: …)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The field, as `spec.metricsSources[0].targetValue`; empty for a whole document.
    pub path: String,
    /// What is wrong, or what is done.
    pub message: String,
    /// What would be right.
    pub allowed: Option<String>,
}

impl Diagnostic {
    /// A finding without a hint.
    pub fn new(severity: Severity, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity, path: path.into(), message: message.into(), allowed: None }
    }

    /// A refusal.
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, path, message)
    }

    /// Accepted, but not as written.
    pub fn warning(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, path, message)
    }

    /// Worth knowing.
    pub fn note(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, path, message)
    }

    /// With what would be right.
    #[must_use]
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Whether this refuses the object.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.severity.prefix())?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.allowed {
            Some(allowed) => write!(f, " (allowed: {allowed})"),
            None => Ok(()),
        }
    }
}

/// Whether anything in the list refuses the object.
pub fn any_error(found: &[Diagnostic]) -> bool {
    found.iter().any(Diagnostic::is_error)
}

/// Errors of one file that are kept: far more than anyone mends in one sitting.
pub const MAX_ERRORS: usize = 10_000;
/// Warnings and notes of one file that are kept. They have a limit of their own, so that a flood of them hides no error.
pub const MAX_REMARKS: usize = 1_000;

/// How many findings there are, by what they mean for the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Refusals.
    pub(crate) errors: usize,
    /// Warnings and notes.
    pub(crate) remarks: usize,
}

impl Tally {
    /// Counts one more; false where the list has enough of its severity already.
    pub(crate) fn admits(&mut self, severity: Severity) -> bool {
        let (count, limit) = match severity {
            Severity::Error => (&mut self.errors, MAX_ERRORS),
            Severity::Warning | Severity::Note => (&mut self.remarks, MAX_REMARKS),
        };
        *count += 1;
        *count <= limit
    }

    /// What was counted and not kept.
    pub(crate) fn left_out(self) -> Self {
        let Self { errors, remarks } = self;
        Self { errors: errors.saturating_sub(MAX_ERRORS), remarks: remarks.saturating_sub(MAX_REMARKS) }
    }

    /// Adds findings that were counted and dropped elsewhere.
    pub(crate) fn add(&mut self, dropped: Self) {
        self.errors += dropped.errors;
        self.remarks += dropped.remarks;
    }

    /// Says how many findings are not shown; nothing where all are.
    pub(crate) fn cut(self) -> Option<Diagnostic> {
        let left = self.left_out();
        let severity = if left.errors > 0 { Severity::Error } else { Severity::Note };
        let message = match (left.errors, left.remarks) {
            (0, 0) => return None,
            (errors, 0) => format!("{errors} more errors are left out"),
            (0, remarks) => format!("{remarks} more warnings and notes are left out"),
            (errors, remarks) => format!("{errors} more errors and {remarks} more warnings and notes are left out"),
        };
        Some(Diagnostic::new(severity, "", message))
    }
}

/// Characters of a manifest's text that a message quotes at most.
const QUOTE_LIMIT: usize = 60;

/// A value as a message quotes it: on one line, and cut where it is long.
pub(crate) fn quote(text: &str) -> String {
    if text.chars().count() <= QUOTE_LIMIT {
        return format!("{text:?}");
    }
    format!("{:?}…", text.chars().take(QUOTE_LIMIT).collect::<String>())
}

/// Names longer than this are not compared: nobody mistypes that much.
const COMPARED_LENGTH: usize = 64;

/// The known name that `word` was probably meant to be, if one is near enough.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > COMPARED_LENGTH {
        return None;
    }
    let folded = word.to_ascii_lowercase();
    // A third of the word may differ, so that "metricSources" finds its plural and "foo" finds nothing.
    let limit = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(&folded, &name.to_ascii_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let known = ["metricsSources", "maxReplicas", "minReplicas"];
        assert_eq!(nearest("metricSources", known), Some("metricsSources"));
        assert_eq!(nearest("MaxReplicas", known), Some("maxReplicas"));
        assert_eq!(nearest("replicas", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }

    #[test]
    fn a_finding_reads_path_message_and_what_is_allowed() {
        let found = Diagnostic::error("spec.maxReplicas", "must be above 0").allowed("1 or more");
        assert_eq!(found.to_string(), "spec.maxReplicas: must be above 0 (allowed: 1 or more)");
        assert_eq!(Diagnostic::warning("", "empty").to_string(), "warning: empty");
    }

    #[test]
    fn a_long_value_is_quoted_in_part_and_on_one_line() {
        assert_eq!(quote("a\nb"), "\"a\\nb\"");
        assert!(quote(&"ü".repeat(5000)).chars().count() < 70);
    }
}
