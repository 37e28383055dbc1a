//! One number from a Prometheus server (or one that speaks its API: Thanos, Mimir, `VictoriaMetrics`): an instant query.

use super::error::{SourceError, malformed, words};
use super::get::within;
use autoscaler_scrape::{Access, Ask, Reply, Scraper};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::time::Duration;

/// The largest answer that is read, in bytes. One number is meant; this is some thousands of series, so that their count can
/// be told.
const MAX_BYTES: usize = 1 << 20;

/// Asks `query` at the server's present, and gives its one number: a scalar, or a vector of one series. No series, NaN and
/// infinities are errors, and so are several series: which of them is meant, or whether their sum is, only the query's author
/// knows. The server's warnings are not looked at.
///
/// `url` is the base, without a trailing slash. The query is sent by POST, since it may be long, and by GET to servers
/// that refuse that (405, or 501). The deadline is also told to the server, which then gives up as well.
pub(crate) async fn prometheus(
    http: &Scraper,
    url: &str,
    query: &str,
    access: &Access,
    deadline: Duration,
) -> Result<f64, SourceError> {
    let url = format!("{url}/api/v1/query");
    let timeout = format!("{}ms", deadline.as_millis().max(1));
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", query)
        .append_pair("timeout", &timeout)
        .finish();
    let reply = within(deadline, async {
        let post = Ask { url: &url, access, form: Some(&form), deadline, max_bytes: MAX_BYTES };
        let reply = http.ask(post).await?;
        if !matches!(reply.status, 405 | 501) {
            return Ok(reply);
        }
        let url = format!("{url}?{form}");
        Ok(http.ask(Ask { url: &url, form: None, ..post }).await?)
    })
    .await;
    match reply {
        // The text of this one is about the API server's lists.
        Err(SourceError::TooLarge { limit }) => Err(SourceError::Malformed(format!(
            "it is larger than {limit} bytes, where one number is needed; aggregate, with sum(…) for example"
        ))),
        reply => read(&reply?),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: String,
    data: Option<Data>,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar(Value),
    Vector(Vec<Sample>),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

/// A time and a number's text.
type Value = (IgnoredAny, String);

/// One series; without a value where it is a native histogram.
#[derive(Deserialize)]
struct Sample {
    value: Option<Value>,
}

fn read(reply: &Reply) -> Result<f64, SourceError> {
    let body: Body = match serde_json::from_slice(&reply.body) {
        Ok(body) => body,
        Err(error) if reply.status == 200 => return Err(malformed(&error)),
        // A proxy's page: without a token, say.
        Err(_) => return Err(status(reply)),
    };
    match (reply.status, body.status.as_str(), body.data) {
        (200, "success", Some(data)) => number(data),
        (_, "error", _) => Err(SourceError::Query { kind: words(&body.error_type), message: words(&body.error) }),
        (200, ..) => Err(SourceError::Malformed("it is neither a success nor an error".to_owned())),
        _ => Err(status(reply)),
    }
}

fn status(reply: &Reply) -> SourceError {
    if reply.status == 429 {
        return SourceError::Busy { after: None };
    }
    let message = match reply.status {
        401 | 403 => "the token of `secretRef` is missing, or not accepted".to_owned(),
        404 => "no Prometheus API is there; check endpoint and path".to_owned(),
        _ => words(&String::from_utf8_lossy(&reply.body)),
    };
    SourceError::Status { code: reply.status, message }
}

fn number(data: Data) -> Result<f64, SourceError> {
    let (_, text) = match data {
        Data::Scalar(value) => value,
        Data::Vector(samples) => match <[Sample; 1]>::try_from(samples) {
            Ok([sample]) => sample.value.ok_or_else(|| wrong("a native histogram"))?,
            Err(none) if none.is_empty() => {
                return Err(SourceError::Empty("the query gives no series, which is not 0".to_owned()));
            }
            Err(several) => {
                let hint = "aggregate the query, with sum(…) for example";
                return Err(SourceError::Several { count: several.len(), hint });
            }
        },
        Data::Matrix(_) => return Err(wrong("a range of values for each series (a matrix)")),
        Data::String(_) => return Err(wrong("a string")),
    };
    // Rust reads NaN and Inf, with a sign and in any case, as Prometheus writes them.
    let value: f64 = text.parse().map_err(|_| SourceError::Malformed(format!("{:?} is not a number", words(&text))))?;
    if value.is_finite() { Ok(value) } else { Err(SourceError::NotFinite) }
}

fn wrong(what: &str) -> SourceError {
    SourceError::Malformed(format!("the query gives {what}, where one number is needed"))
}

#[cfg(test)]
mod tests;
