//! What arguments may be: read and refused here, so that wrong usage ends with exit code 2 and with what is allowed.

use clap::builder::RangedU64ValueParser;
use workload::score::Slo;
use workload::synth;

/// Reads a time such as `30s`, `2m` or `1.5`, in seconds.
pub(crate) fn duration(text: &str) -> Result<f64, String> {
    synth::seconds(text)
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
        .ok_or_else(|| "allowed: a time such as 30s, 2m or 1.5 (seconds)".to_owned())
}

/// Reads a time above zero.
pub(crate) fn span(text: &str) -> Result<std::time::Duration, String> {
    let seconds = duration(text)?;
    if seconds < 0.001 {
        return Err("allowed: a time above 0, such as 5s".to_owned());
    }
    std::time::Duration::try_from_secs_f64(seconds).map_err(|_| "allowed: a time such as 5s".to_owned())
}

/// Reads a speed.
pub(crate) fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed <= 1e4 => Ok(speed),
        _ => Err("allowed: a number above 0, at most 10000".to_owned()),
    }
}

/// Reads `ttft=2s,tpot=100ms`.
pub(crate) fn slo(text: &str) -> Result<Slo, String> {
    let mut slo = Slo::default();
    for pair in text.split(',') {
        match pair.split_once('=') {
            Some(("ttft", value)) => slo.ttft = duration(value)?,
            Some(("tpot", value)) => slo.tpot = duration(value)?,
            _ => return Err("allowed: ttft=2s,tpot=100ms".to_owned()),
        }
    }
    Ok(slo)
}

/// Takes a synthetic load's text if it can be read; its length and seed are other arguments.
pub(crate) fn shape(text: &str) -> Result<String, String> {
    synth::parse(text, None, 0).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Takes the address of an HTTP endpoint.
pub(crate) fn endpoint(text: &str) -> Result<String, String> {
    let allowed = "allowed: an address with http:// or https://, such as http://127.0.0.1:8080";
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(text.to_owned()),
        _ => Err(allowed.to_owned()),
    }
}

/// Reads a share from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("allowed: a number from 0 to 1, such as 0.01".to_owned()),
    }
}

/// Reads a count of at least one.
pub(crate) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_needs_a_scheme_of_http_and_a_host() {
        for good in ["http://127.0.0.1:8080", "https://models.example/v1", "http://[::1]:80/"] {
            assert_eq!(endpoint(good).as_deref(), Ok(good));
        }
        for bad in ["", "foo", "127.0.0.1:8080", "localhost:8080", "ftp://x", "http://", "http://a:99999"] {
            assert!(endpoint(bad).is_err_and(|said| said.contains("such as http://127.0.0.1:8080")), "{bad}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_what_is_allowed() {
        assert!(speed("0").is_err() && speed("nan").is_err() && speed("1e9").is_err() && speed("5").is_ok());
        assert!(share("1.1").is_err() && share("-0").is_ok() && share("nan").is_err() && share("1").is_ok());
        assert!(duration("-1").is_err() && duration("inf").is_err() && duration("2m") == Ok(120.0));
        assert!(slo("ttft").is_err() && slo("ttft=x").is_err());
        assert_eq!(slo("tpot=50ms"), Ok(Slo { tpot: 0.05, ..Slo::default() }));
    }

    #[test]
    fn a_load_is_refused_with_the_forms_that_there_are() {
        assert!(shape("poisson:rate=2,input=3").is_ok());
        assert!(shape("posson").is_err_and(|said| said.contains("burst:base=2")));
    }
}
