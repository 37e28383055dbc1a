//! Label selectors, from the text that `/scale` gives (apimachinery `pkg/labels/selector.go`).

use super::view::Labels;
use std::collections::BTreeSet;

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    /// It would select every pod of the namespace, which no target means.
    #[error("the selector is empty, and would select every pod")]
    Empty,
    /// It is not understood.
    #[error("the selector {text:?} is not understood at {term:?}: {expected}")]
    Term {
        /// The selector.
        text: String,
        /// The part that is wrong.
        term: String,
        /// What is allowed.
        expected: &'static str,
    },
}

/// Requirements that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    wants: Wants,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wants {
    Among(BTreeSet<String>),
    /// Or absent.
    NotAmong(BTreeSet<String>),
    Present,
    Absent,
}

const FORMS: &str = "allowed: key=value, key==value, key!=value, key in (a,b), key notin (a,b), key, !key";
const NAMES: &str = "keys and values are letters, digits, '-', '_' and '.', keys with an optional prefix/";

impl Selector {
    /// Reads a selector.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let refuse = |term: &str, expected| SelectorError::Term { text: text.into(), term: term.into(), expected };
        if text.trim().is_empty() {
            return Err(SelectorError::Empty);
        }
        let terms = terms(text).ok_or_else(|| refuse(text, "a parenthesis has no partner"))?;
        let requirement = |term: &str| requirement(term.trim()).map_err(|expected| refuse(term, expected));
        Ok(Self(terms.into_iter().map(requirement).collect::<Result<_, _>>()?))
    }

    /// Whether labels meet every requirement.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        let found = labels.binary_search_by(|(key, _)| key.as_ref().cmp(&self.key)).ok();
        let value = found.and_then(|at| labels.get(at)).map(|(_, value)| value.as_ref());
        match &self.wants {
            Wants::Among(values) => value.is_some_and(|value| values.contains(value)),
            Wants::NotAmong(values) => value.is_none_or(|value| !values.contains(value)),
            Wants::Present => value.is_some(),
            Wants::Absent => value.is_none(),
        }
    }
}

/// Splits at commas outside parentheses.
fn terms(text: &str) -> Option<Vec<&str>> {
    let (mut terms, mut start, mut inside) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' if inside => return None,
            b'(' => inside = true,
            b')' if !inside => return None,
            b')' => inside = false,
            b',' if !inside => {
                terms.push(text.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(text.get(start..)?);
    (!inside).then_some(terms)
}

fn requirement(term: &str) -> Result<Requirement, &'static str> {
    if let Some(key) = term.strip_prefix('!') {
        return Ok(Requirement { key: key_of(key)?, wants: Wants::Absent });
    }
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = term.split_once(operator) {
            let values = BTreeSet::from([value_of(value)?]);
            let wants = if equal { Wants::Among(values) } else { Wants::NotAmong(values) };
            return Ok(Requirement { key: key_of(key)?, wants });
        }
    }
    if let Some((head, rest)) = term.split_once('(') {
        let list = rest.strip_suffix(')').ok_or(FORMS)?;
        let values = list.split(',').map(value_of).collect::<Result<_, _>>()?;
        let mut words = head.split_whitespace();
        let wants = match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Requirement { key: key_of(key)?, wants: Wants::Among(values) },
            (Some(key), Some("notin"), None) => Requirement { key: key_of(key)?, wants: Wants::NotAmong(values) },
            _ => return Err(FORMS),
        };
        return Ok(wants);
    }
    let word = key_of(term).map_err(|_| FORMS)?;
    Ok(Requirement { key: word, wants: Wants::Present })
}

fn key_of(text: &str) -> Result<String, &'static str> {
    let key = text.trim();
    let name = key.split_once('/').map_or(key, |(_, name)| name);
    if name.is_empty() || key.starts_with('/') || name.contains('/') || !plain(&key.replacen('/', "", 1)) {
        return Err(NAMES);
    }
    Ok(key.to_owned())
}

fn value_of(text: &str) -> Result<String, &'static str> {
    let value = text.trim();
    if plain(value) { Ok(value.to_owned()) } else { Err(NAMES) }
}

fn plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
