//! One sample line. Knows nothing of families and of what is wanted.

use crate::{
    labels::Labels,
    lines::{split_word, trim_blanks},
    problem::Reason,
};

/// One sample of a wanted family, borrowed from the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// Full name as printed, suffixes included (`x_bucket`).
    pub name: &'a str,
    /// Labels, read lazily.
    pub labels: Labels<'a>,
    /// The value, which may be NaN or infinite: that is for the caller to judge.
    pub value: f64,
    /// Timestamp as printed: milliseconds in text 0.0.4, seconds in `OpenMetrics`.
    pub timestamp: Option<f64>,
}

impl<'a> Sample<'a> {
    /// Reads what follows the name: labels, value, timestamp; an exemplar is passed over.
    pub(crate) fn parse(name: &'a str, after_name: &'a [u8]) -> Result<Self, Reason> {
        let rest = trim_blanks(after_name);
        let (labels, rest) = match rest.strip_prefix(b"{") {
            Some(after_brace) => Labels::scan(after_brace)?,
            None => (Labels::default(), rest),
        };
        let (value, rest) = split_word(trim_blanks(rest));
        if value.is_empty() {
            return Err(Reason::NoValue);
        }
        let value = number(value).ok_or(Reason::BadValue)?;
        let (timestamp, rest) = split_timestamp(trim_blanks(rest))?;
        if !is_end(rest) {
            return Err(Reason::TrailingText);
        }
        Ok(Self { name, labels, value, timestamp })
    }
}

fn split_timestamp(rest: &[u8]) -> Result<(Option<f64>, &[u8]), Reason> {
    if is_end(rest) {
        return Ok((None, rest));
    }
    let (word, rest) = split_word(rest);
    let timestamp = number(word).filter(|value| value.is_finite()).ok_or(Reason::BadTimestamp)?;
    Ok((Some(timestamp), trim_blanks(rest)))
}

/// Nothing more, or an exemplar, which begins with `#`.
fn is_end(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b'#'))
}

/// A number as Prometheus reads it: decimal, `NaN`, `Inf` with sign, in any case. Hexadecimal and underscores are
/// refused there (prometheus/common `expfmt/text_parse.go`) and by Rust's own parser alike.
pub(crate) fn number(word: &[u8]) -> Option<f64> {
    str::from_utf8(word).ok()?.parse().ok()
}
