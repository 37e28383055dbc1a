//! Kubernetes quantities as whole thousandths (apimachinery `pkg/api/resource/quantity.go`): `250m`, `1.5`, `2Gi`, `1e3`.

/// A text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a quantity; allowed: a number with one of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei, or an exponent"
)]
pub struct NotAQuantity(pub String);

const SUFFIXES: [(&str, f64); 15] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// A quantity in thousandths of its unit, rounded up as Kubernetes' `MilliValue` does. Values beyond the range
/// saturate.
pub fn milli(text: &str) -> Result<i64, NotAQuantity> {
    let refuse = || NotAQuantity(text.to_owned());
    let trimmed = text.trim();
    // `1E3` has an exponent, `1E` the suffix for 10^18: the suffix is the rest after the number proper.
    let (number, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| trimmed.strip_suffix(suffix).map(|number| (number, *factor)))
        .unwrap_or((trimmed, 1.0));
    let decimal = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if !decimal {
        return Err(refuse());
    }
    let value: f64 = number.parse().map_err(|_| refuse())?;
    from_number(value * factor).ok_or_else(refuse)
}

/// A plain number in thousandths, rounded up; none where it is not finite.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "a float to integer cast saturates")]
pub fn from_number(value: f64) -> Option<i64> {
    let thousandths = value * 1000.0;
    if !thousandths.is_finite() {
        return None;
    }
    // A decimal fraction such as 0.07 is not exact in binary; what is a whole thousandth but for that stays one.
    let nearest = thousandths.round();
    Some(if (thousandths - nearest).abs() < 1e-6 { nearest } else { thousandths.ceil() } as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_does() {
        let cases = [
            ("250m", 250),
            ("1", 1000),
            ("1.5", 1500),
            ("0.07", 70),
            ("2Gi", 2_147_483_648_000),
            ("1k", 1_000_000),
            ("1e3", 1_000_000),
            ("100u", 1),
            ("-1", -1000),
            ("1E", i64::MAX),
        ];
        for (text, expected) in cases {
            assert_eq!(milli(text), Ok(expected), "{text}");
        }
        for text in ["", "m", "1Zi", "abc", "1 000", "NaN", "inf", "1e999"] {
            assert!(milli(text).is_err(), "{text}");
        }
    }
}
