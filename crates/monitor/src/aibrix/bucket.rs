//! From tokens to a bucket's index and back. Knows no trace.

use crate::batch::MAX_TOKENS;

/// How an index comes of log₂(tokens).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, as it was meant.
    Nearest,
    /// To the nearest tenth, which divided by a tenth and cut off is one too low for [`TRUNCATED`]: AIBrix's writer.
    Truncated,
}

/// The indexes below 240 that AIBrix's writer never writes, since its division by 0.1 falls a hair short of them: their
/// requests are counted at the index below.
pub const TRUNCATED: [u32; 10] = [43, 81, 86, 91, 162, 167, 172, 177, 182, 187];

/// The index of a number of tokens: log₂ in steps of 1 ÷ `precision`. None and one token are both 0.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 24 times a precision of at most 1000"
)]
pub fn index(tokens: f64, precision: u32, rounding: Rounding) -> u32 {
    let octaves = tokens.clamp(1.0, MAX_TOKENS).log2();
    let steps = f64::from(precision);
    match rounding {
        Rounding::Nearest => (octaves * steps).round() as u32,
        Rounding::Truncated => {
            let step = 1.0 / steps;
            ((octaves / step).round() * step / step) as u32
        }
    }
}

/// The tokens that an index stands for, at most [`MAX_TOKENS`]. `truncated` tells that the writer counts the requests
/// of the next index here where that is one of [`TRUNCATED`]: then the middle of both is meant.
#[must_use]
pub fn tokens(index: u32, precision: u32, truncated: bool) -> f64 {
    let takes_next = truncated && precision == super::PRECISION && TRUNCATED.contains(&index.saturating_add(1));
    let middle = f64::from(index) + if takes_next { 0.5 } else { 0.0 };
    (middle / f64::from(precision.max(1))).exp2().min(MAX_TOKENS)
}
