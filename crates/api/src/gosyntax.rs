//! Numbers, durations and booleans in the syntax of Go's standard library, which is what AIBrix reads them with.
//! Must not know which field or annotation holds them.

use std::time::Duration;

/// Text that Go's parser would refuse, or a value beyond its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Go's `strconv.ParseFloat(text, 64)`: decimal and hexadecimal floats, `inf` and `nan` in any case, underscores
/// between digits. A number beyond the range of a double is refused, as Go reports it.
pub fn parse_float(text: &str) -> Result<f64, Malformed> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["inf", "infinity", "nan"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
        return text.parse().map_err(|_| Malformed);
    }
    let hex = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
    if !underscores_separate_digits(unsigned, hex.is_some()) {
        return Err(Malformed);
    }
    let value = match hex {
        Some(digits) => parse_hex(&digits.replace('_', ""))? * if text.starts_with('-') { -1.0 } else { 1.0 },
        // Words are dealt with above, so a letter other than an exponent's is a mistake here.
        None if unsigned.bytes().any(|byte| byte.is_ascii_alphabetic() && !byte.eq_ignore_ascii_case(&b'e')) => {
            return Err(Malformed);
        }
        None => text.replace('_', "").parse().map_err(|_| Malformed)?,
    };
    if value.is_finite() { Ok(value) } else { Err(Malformed) }
}

/// Whether each underscore stands between two digits, or between a base prefix and a digit.
fn underscores_separate_digits(text: &str, hex: bool) -> bool {
    let digit = |byte: Option<&u8>| byte.is_some_and(|b| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() });
    let bytes = text.as_bytes();
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_').all(|(at, _)| {
        let before = at.checked_sub(1).and_then(|i| bytes.get(i));
        (digit(before) || (hex && at == 2)) && digit(bytes.get(at + 1))
    })
}

/// Hexadecimal digits that a double can tell apart; what follows only shifts the exponent (and would round).
const HEX_DIGITS: usize = 15;
/// Beyond this a binary exponent gives 0 or infinity whatever the digits.
const EXPONENT_LIMIT: i32 = 100_000;

/// `1.8p-3` without its `0x`: mantissa, then an obligatory binary exponent.
fn parse_hex(text: &str) -> Result<f64, Malformed> {
    let (mantissa, exponent) = text.split_once(['p', 'P']).ok_or(Malformed)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Malformed);
    }
    let mut exponent = parse_exponent(exponent)?;
    exponent = exponent.saturating_sub(i32::try_from(fraction.len()).map_err(|_| Malformed)?.saturating_mul(4));
    let (mut value, mut used) = (0.0_f64, 0_usize);
    for digit in digits().filter_map(|byte| char::from(byte).to_digit(16)) {
        if used < HEX_DIGITS {
            value = value.mul_add(16.0, f64::from(digit));
            used += usize::from(used > 0 || digit > 0);
        } else {
            exponent = exponent.saturating_add(4);
        }
    }
    Ok(scale(value, exponent.clamp(-EXPONENT_LIMIT, EXPONENT_LIMIT)))
}

/// A signed decimal exponent; beyond the range of an `i32` it saturates.
fn parse_exponent(text: &str) -> Result<i32, Malformed> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    let magnitude = digits.parse().unwrap_or(i32::MAX);
    Ok(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// `value × 2^exponent` in steps that neither overflow nor lose bits before the end.
fn scale(mut value: f64, mut exponent: i32) -> f64 {
    const STEP: i32 = 512;
    while exponent != 0 && value != 0.0 && value.is_finite() {
        let step = exponent.clamp(-STEP, STEP);
        value *= 2.0_f64.powi(step);
        exponent -= step;
    }
    value
}

/// Go's `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Result<bool, Malformed> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(Malformed),
    }
}

/// Go's `time.ParseDuration` (`"300s"`, `"1h30m"`, `"1.5h"`); `Ok(None)` is a well-formed negative duration.
pub fn parse_duration(text: &str) -> Result<Option<Duration>, Malformed> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Some(Duration::ZERO));
    }
    if rest.is_empty() {
        return Err(Malformed);
    }
    let mut nanoseconds: u64 = 0;
    while !rest.is_empty() {
        let (term, after) = parse_term(rest)?;
        nanoseconds = nanoseconds.checked_add(term).ok_or(Malformed)?;
        rest = after;
    }
    // Go holds durations in a signed 64-bit count of nanoseconds.
    if i64::try_from(nanoseconds).is_err() {
        return Err(Malformed);
    }
    Ok((!negative || nanoseconds == 0).then(|| Duration::from_nanos(nanoseconds)))
}

/// Units, longer spellings before their prefixes.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// One `1.5h`, in nanoseconds, and the text after it.
fn parse_term(text: &str) -> Result<(u64, &str), Malformed> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => digits(after),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(Malformed);
    }
    let (name, unit) = UNITS.iter().find(|(name, _)| rest.starts_with(name)).ok_or(Malformed)?;
    let after = &rest[name.len()..];
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Malformed)? };
    // Beyond 18 digits a fraction is below a nanosecond even of an hour.
    let fraction = &fraction[..fraction.len().min(18)];
    let part: f64 = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().map_err(|_| Malformed)? };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 ≤ part < 1, so this is below an hour"
    )]
    let part = (part * *unit as f64) as u64;
    let term = whole.checked_mul(*unit).and_then(|whole| whole.checked_add(part)).ok_or(Malformed)?;
    Ok((term, after))
}

/// The leading ASCII digits, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_as_go_reads_them() {
        for (text, value) in [
            ("50", 50.0),
            ("0.5", 0.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("+1E-2", 0.01),
            ("-7", -7.0),
            ("0x1p-2", 0.25),
            ("0X1.8p1", 3.0),
            ("-0x.8p0", -0.5),
            ("0x_1p4", 16.0),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1p-1074", f64::from_bits(1)),
            ("1_000", 1000.0),
            ("1_23.50_0_0e+1_2", 1.235e14),
            ("1e-400", 0.0),
        ] {
            assert_eq!(parse_float(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn floats_that_go_refuses_are_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "abc",
            "100m",
            "1Gi",
            "1e",
            "e1",
            ".",
            "+",
            "--1",
            "1e400",
            "0x1",
            "0x",
            "0xp1",
            "0x1p",
            "0x1p400000",
            "_1",
            "1_",
            "1__0",
            "1_.5",
            "1._5",
            "1e_2",
            "0x1.g",
            "1.2.3",
            "١",
        ] {
            assert_eq!(parse_float(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn infinities_and_nan_are_numbers_to_go() {
        for text in ["inf", "+Inf", "INFINITY"] {
            assert_eq!(parse_float(text), Ok(f64::INFINITY), "{text}");
        }
        assert_eq!(parse_float("-inf"), Ok(f64::NEG_INFINITY));
        assert!(parse_float("NaN").unwrap().is_nan());
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("300s", 300_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("+5s", 5_000_000_000),
            ("100ms", 100_000_000),
            ("1m1s1ms1us1ns", 61_001_001_001),
            ("2µs", 2_000),
            ("-0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Some(Duration::from_nanos(nanoseconds))), "{text}");
        }
        assert_eq!(parse_duration("-5s"), Ok(None));
        for text in ["", "300", "5 s", "s", "1d", "1h30", ".s", "1e3s", "9999999999999h", "+-5s", "3.s.", "5S"] {
            assert_eq!(parse_duration(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn booleans_are_read_as_go_reads_them() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_bool(text), Ok(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_bool(text), Ok(false), "{text}");
        }
        for text in ["", "yes", "tRUE", "on", " true"] {
            assert_eq!(parse_bool(text), Err(Malformed), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "[-+0-9a-fxXpP._ehmsnuµ]{0,40}|\\PC{0,40}") {
            let _ = parse_float(&text);
            let _ = parse_duration(&text);
            let _ = parse_bool(&text);
        }

        #[test]
        fn every_finite_double_survives_its_own_notation(bits in proptest::prelude::any::<u64>()) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                proptest::prop_assert_eq!(parse_float(&format!("{value:e}")), Ok(value));
            }
        }
    }
}
