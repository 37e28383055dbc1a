//! Kubernetes quantities ("0.05", "50m", "1k"), as far as a tolerance or an activation threshold needs them.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Suffixes and what they multiply by (kubernetes `apimachinery/pkg/api/resource/suffix.go`).
const SUFFIXES: [(&str, f64); 16] = [
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
    ("", 1.0),
];

/// The quantity's value; none where the text is not one.
pub fn parse(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (number, suffix) = text.split_at(number.len());
    let factor = SUFFIXES.iter().find(|(name, _)| *name == suffix)?.1;
    let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !number.bytes().all(plain) {
        return None;
    }
    // Thousandths are divided rather than multiplied, so that "50m" is 0.05 to the last bit.
    let number: f64 = number.parse().ok()?;
    let value = if factor < 1.0 { number / (1.0 / factor).round() } else { number * factor };
    value.is_finite().then_some(value)
}

/// The value of a whole number or of a quantity's text.
pub fn of(value: &IntOrString) -> Option<f64> {
    match value {
        IntOrString::Int(whole) => Some(f64::from(*whole)),
        IntOrString::String(text) => parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_exponents_and_suffixes_are_read() {
        for (text, value) in
            [("0.05", 0.05), ("50m", 0.05), ("0", 0.0), ("1k", 1000.0), ("2Ki", 2048.0), ("1e3", 1000.0), ("-1", -1.0)]
        {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        assert_eq!(of(&IntOrString::Int(3)), Some(3.0));
    }

    #[test]
    fn other_text_is_not_a_quantity() {
        for text in ["", "m", "abc", "5%", "inf", "NaN", "1 k", "1kk", "0x10", "1e999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
