//! Which headers cross the proxy (RFC 9110 section 7.6) and what the proxy says of itself. Pure.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::error::Refusal;

/// Names the group of a request that names no model.
pub(crate) const X_MODEL: HeaderName = HeaderName::from_static("x-model");
/// Lowers the request's deadline; seconds, fractions allowed.
const X_REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Headers that concern one connection only.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes the headers of one hop, those that `Connection` names included.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Turns a client's headers into those for a replica. `Host` and `Content-Length` are left to the HTTP client, which
/// knows the address and the buffered body; `Expect` was answered here.
pub(crate) fn for_upstream(headers: &mut HeaderMap, peer: IpAddr) {
    strip_hop_by_hop(headers);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::EXPECT);
    if let Some(host) = headers.remove(header::HOST) {
        headers.entry(X_FORWARDED_HOST).or_insert(host);
    }
    headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
    let mut chain: Vec<u8> = Vec::new();
    for value in headers.get_all(X_FORWARDED_FOR) {
        chain.extend_from_slice(value.as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(peer.to_string().as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&chain) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

/// True if the client asks for another protocol that we would have to speak. `h2c` is only an offer (Java's HTTP client
/// makes it on every request) and RFC 9110 lets a server ignore it.
pub(crate) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::UPGRADE)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .any(|protocol| !protocol.trim().eq_ignore_ascii_case("h2c"))
}

/// The time limit that the request states for itself. A value that is not a positive number is refused rather
/// than ignored, as a client that sets it relies on it.
pub(crate) fn request_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let Some(value) = headers.get(X_REQUEST_TIMEOUT) else { return Ok(None) };
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
    match seconds {
        Some(seconds) if seconds > 0.0 && seconds.is_finite() => {
            Ok(Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
        }
        _ => Err(Refusal::bad_request("invalid_timeout", "x-request-timeout must be a positive number of seconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn headers_of_one_hop_and_those_named_by_connection_do_not_cross() {
        let mut headers = map(&[
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("authorization", "Bearer k"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["authorization"]);
    }

    #[test]
    fn the_chain_of_forwarders_grows_by_the_peer() {
        let mut headers = map(&[("x-forwarded-for", "1.2.3.4"), ("host", "api.example"), ("expect", "100-continue")]);
        for_upstream(&mut headers, IpAddr::from([9, 9, 9, 9]));
        assert_eq!(headers["x-forwarded-for"], "1.2.3.4, 9.9.9.9");
        assert_eq!(headers["x-forwarded-host"], "api.example");
        assert!(!headers.contains_key("host") && !headers.contains_key("expect"));
    }

    #[test]
    fn an_offer_of_h2c_is_ignored_and_a_websocket_is_not() {
        assert!(!wants_upgrade(&map(&[("upgrade", "h2c")])));
        assert!(wants_upgrade(&map(&[("upgrade", "websocket")])));
        assert!(!wants_upgrade(&map(&[])));
    }

    #[test]
    fn a_timeout_is_a_positive_number_of_seconds() {
        let timeout = |text| request_timeout(&map(&[("x-request-timeout", text)]));
        assert_eq!(timeout("2.5").unwrap(), Some(Duration::from_millis(2500)));
        assert_eq!(timeout("1e300").unwrap(), Some(Duration::MAX));
        assert_eq!(request_timeout(&map(&[])).unwrap(), None);
        for bad in ["0", "-1", "NaN", "inf", "soon", ""] {
            assert!(timeout(bad).is_err(), "{bad}");
        }
    }
}
