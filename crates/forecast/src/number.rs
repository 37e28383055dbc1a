//! Conversions between kinds of numbers, each with the reason why nothing is lost, and the normal distribution's quantile.

/// The step of length `width` that `at` lies in. Times are within 1e12 and widths at least 1, so it fits.
#[allow(clippy::cast_possible_truncation, reason = "times are checked to be within 1e12 seconds")]
pub(crate) fn index_of(at: f64, width: f64) -> i64 {
    (at / width).floor() as i64
}

/// As a count: what is negative or not a number becomes 0, what is too large the largest.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating is what is meant")]
pub(crate) fn count(value: f64) -> usize {
    value as usize
}

/// Kept in single precision: seven digits are far more than a load is known to, and half as long in a saved state.
#[allow(clippy::cast_possible_truncation, reason = "digits are meant to go; the range is kept by the bound")]
pub(crate) fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// The largest load: beyond it single precision ends, and no load is.
pub(crate) const LARGEST_LOAD: f64 = 1e35;

/// Whether a saved number is a load.
pub(crate) fn sound_load(value: f64) -> bool {
    (0.0..=LARGEST_LOAD * 1e3).contains(&value)
}

/// Whether a saved index is of a step within 1e12 seconds of zero.
pub(crate) fn sound_index(index: i64) -> bool {
    index.unsigned_abs() < 1 << 41
}

/// The quantile of the standard normal distribution for `p` of 0.5 and above, to 4.5e-4 (Abramowitz and Stegun 26.2.23).
pub(crate) fn normal_quantile(p: f64) -> f64 {
    let tail = (1.0 - p).clamp(1e-12, 0.5);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (t - above / below).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_quantile_is_that_of_the_tables() {
        for (p, z) in [(0.5, 0.0), (0.9, 1.2816), (0.95, 1.6449), (0.99, 2.3263), (0.9999, 3.7190)] {
            assert!((normal_quantile(p) - z).abs() < 5e-4, "{p}");
        }
    }
}
