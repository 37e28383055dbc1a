//! Paths, queries and label selectors of requests, from names that somebody wrote into a manifest. A name must not be able to
//! make a request ask for something else.

use super::error::{SourceError, words};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;

/// What a path's segment carries as it is (RFC 3986, unreserved, and the colon of Prometheus' names).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A label's value and the name part of its key: longer ones the API server refuses, in bytes.
const MAX_LABEL: usize = 63;
/// The prefix of a label's key, a DNS name, in bytes.
const MAX_PREFIX: usize = 253;

/// A name as one segment of a path. Refused is what Kubernetes refuses there: servers decode a path before they split it.
pub(super) fn segment(what: &str, name: &str) -> Result<String, SourceError> {
    if name.is_empty() || matches!(name, "." | "..") || name.contains(['/', '%']) {
        let name = words(name);
        return Err(SourceError::Unaskable(format!(
            "the {what} {name:?} cannot be asked for: it may not be empty, `.` or `..`, nor contain `/` or `%`"
        )));
    }
    Ok(utf8_percent_encode(name, PLAIN).to_string())
}

/// A query with its question mark; empty without parameters. Those without a value are left out.
pub(super) fn query(parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

/// A selector of the series with all of these labels; empty (everything) without any. Refused is what a selector cannot
/// express, so that no value reads as another selector.
pub(super) fn selector(labels: &BTreeMap<String, String>) -> Result<String, SourceError> {
    let parts = labels.iter().map(|(key, value)| {
        if is_key(key) && (value.is_empty() || is_label(value)) {
            return Ok(format!("{key}={value}"));
        }
        let (key, value) = (words(key), words(value));
        Err(SourceError::Unaskable(format!(
            "the label {key:?} with {value:?} cannot be selected by: Kubernetes takes up to {MAX_LABEL} letters, digits, `-`, \
             `_` and `.`, with a letter or digit at both ends"
        )))
    });
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join(","))
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_label(key),
        Some((prefix, name)) => is_label(name) && prefix.len() <= MAX_PREFIX && is_words(prefix),
    }
}

fn is_label(text: &str) -> bool {
    text.len() <= MAX_LABEL && is_words(text)
}

fn is_words(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn names_stay_one_segment() {
        assert_eq!(segment("metric", "vllm:num_requests_waiting").unwrap(), "vllm:num_requests_waiting");
        assert_eq!(segment("metric", "datadogmetric@ns:q?x#ä |").unwrap(), "datadogmetric%40ns:q%3Fx%23%C3%A4%20%7C");
        for name in ["", ".", "..", "../../secrets", "a/b", "a%2fb"] {
            assert!(matches!(segment("metric", name), Err(SourceError::Unaskable(_))), "{name}");
        }
    }

    #[test]
    fn queries_are_encoded_and_leave_out_what_is_empty() {
        assert_eq!(query(&[]), "");
        assert_eq!(query(&[("labelSelector", "")]), "");
        assert_eq!(query(&[("a", ""), ("b", "x in (y,z)&c=d")]), "?b=x+in+%28y%2Cz%29%26c%3Dd");
    }

    #[test]
    fn selectors_join_labels_and_refuse_what_would_read_as_another() {
        assert_eq!(selector(&labels(&[])).unwrap(), "");
        assert_eq!(
            selector(&labels(&[("queue", "chat"), ("a.b/c-d_e", "1.5"), ("none", "")])).unwrap(),
            "a.b/c-d_e=1.5,none=,queue=chat"
        );
        let long = "x".repeat(64);
        for (key, value) in [
            ("queue", "chat,other=1"),
            ("queue", "a b"),
            ("queue", "-a"),
            ("queue", &*long),
            (&*long, "a"),
            ("", "a"),
            ("a=b", "c"),
            ("/a", "b"),
            ("a/b/c", "d"),
        ] {
            assert!(matches!(selector(&labels(&[(key, value)])), Err(SourceError::Unaskable(_))), "{key} {value}");
        }
    }
}
