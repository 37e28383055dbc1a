//! Names of traces in Redis. Knows no value.
//!
//! A model's name may contain anything, also what separates; the last separator counts, since what follows it is digits,
//! or digits, a dot and a writer without `_`.

const PREFIX: &str = "aibrix:";
const INFIX: &str = "_request_trace_";

/// Longest name of a writer, in bytes: as long as a label of a host's name.
pub const MAX_WRITER_LENGTH: usize = 63;

/// A key, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<'a> {
    /// The model's name.
    pub model: &'a str,
    /// End of the interval in Unix seconds.
    pub at: u64,
    /// Who wrote it: only in keys of [`key_of_writer`].
    pub writer: Option<&'a str>,
}

/// The key of a model's trace; `at` is the end of its interval in Unix seconds, a multiple of the interval.
#[must_use]
pub fn key(model: &str, at: u64) -> String {
    format!("{PREFIX}{model}{INFIX}{at}")
}

/// What all keys of a model begin with. Keys of others begin with it too, if the model's name is a part of theirs: go by
/// [`parse_key`]. Escape it where it goes into a pattern.
#[must_use]
pub fn prefix(model: &str) -> String {
    format!("{PREFIX}{model}{INFIX}")
}

/// The same for one of several writers, an extension of this project: `aibrix:{model}_request_trace_{at}.{writer}`.
/// Nothing where the writer's name is not 1 to 63 letters, digits and hyphens. AIBrix's reader takes what ends in `_` and digits for a
/// key, and passes over these.
#[must_use]
pub fn key_of_writer(model: &str, at: u64, writer: &str) -> Option<String> {
    is_writer(writer).then(|| format!("{}.{writer}", key(model, at)))
}

/// Model and end of the interval of a key; nothing where it is none of [`key`].
#[must_use]
pub fn parse_key(key: &str) -> Option<(&str, u64)> {
    parse_key_with_writer(key).filter(|key| key.writer.is_none()).map(|key| (key.model, key.at))
}

/// A key taken apart, of [`key`] or [`key_of_writer`].
#[must_use]
pub fn parse_key_with_writer(key: &str) -> Option<Key<'_>> {
    let (model, rest) = key.strip_prefix(PREFIX)?.rsplit_once(INFIX)?;
    let (at, writer) = match rest.split_once('.') {
        Some((at, writer)) => (at, Some(writer)),
        None => (rest, None),
    };
    let digits = !at.is_empty() && at.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || !writer.is_none_or(is_writer) {
        return None;
    }
    Some(Key { model, at: at.parse().ok()?, writer })
}

fn is_writer(name: &str) -> bool {
    (1..=MAX_WRITER_LENGTH).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
