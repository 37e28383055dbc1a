//! Label selectors as `/scale` gives them: one text. Kubernetes' grammar (apimachinery `pkg/labels/selector.go`): `a=b`, `a==b`,
//! `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, joined by commas.

use kube::core::{Expression, Selector as Kube, SelectorExt as _};
use std::collections::BTreeMap;

/// Which pods are a target's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Selector(Kube);

impl Selector {
    /// Reads a selector's text. One without a requirement is refused: it would take every pod of the namespace for the
    /// target's.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is no label selector");
        let mut found = Vec::new();
        for part in parts(text) {
            found.push(requirement(part.trim()).ok_or_else(refuse)?);
        }
        if found.is_empty() {
            return Err("the target has no label selector, so its pods are not known".to_owned());
        }
        Ok(Self(found.into_iter().collect()))
    }

    /// Adds `key=value`.
    pub(crate) fn and(&mut self, key: &str, value: &str) {
        self.0.extend(Expression::Equal(key.to_owned(), value.to_owned()));
    }

    /// Whether a pod with these labels is selected.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.matches(labels)
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The requirements of a text: commas within parentheses do not part.
fn parts(text: &str) -> Vec<&str> {
    let (mut found, mut from, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => {
                found.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[from..]);
    if text.trim().is_empty() { Vec::new() } else { found }
}

fn requirement(text: &str) -> Option<Expression> {
    if let Some(key) = text.strip_prefix('!') {
        return Some(Expression::DoesNotExist(name(key)?));
    }
    if let Some((key, values)) = text.split_once(" notin ") {
        return Some(Expression::NotIn(name(key)?, set(values)?));
    }
    if let Some((key, values)) = text.split_once(" in ") {
        return Some(Expression::In(name(key)?, set(values)?));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Expression::NotEqual(name(key)?, label(value)?));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Expression::Equal(name(key)?, label(value)?));
    }
    Some(Expression::Exists(name(text)?))
}

fn set(text: &str) -> Option<std::collections::BTreeSet<String>> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    inner.split(',').map(label).collect()
}

fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let sound = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (!text.is_empty() && text.chars().all(sound)).then(|| text.to_owned())
}

fn label(text: &str) -> Option<String> {
    let text = text.trim();
    let sound = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.chars().all(sound).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        text.split_whitespace().filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    }

    #[test]
    fn every_form_of_requirement_is_understood() {
        for (text, matching, other) in [
            ("app=a", "app=a x=1", "app=b"),
            ("app==a", "app=a", "x=1"),
            ("app!=a", "app=b", "app=a"),
            ("app in (a,b)", "app=b", "app=c"),
            ("app notin (a, b)", "app=c", "app=a"),
            ("app", "app=anything", "x=1"),
            ("!app", "x=1", "app=a"),
            ("app=a,tier in (x,y),!gone", "app=a tier=y", "app=a tier=z"),
            ("model.aibrix.ai/name=m", "model.aibrix.ai/name=m", "model.aibrix.ai/name=n"),
        ] {
            let selector = Selector::parse(text).unwrap();
            assert!(selector.matches(&labels(matching)), "{text} selects {matching}");
            assert!(!selector.matches(&labels(other)), "{text} does not select {other}");
        }
    }

    #[test]
    fn a_selector_of_everything_or_nothing_readable_is_refused() {
        for text in ["", "  ", ",", "a=b,", "a in b", "a in (b", "a b", "a=(b)", "=b"] {
            assert!(Selector::parse(text).is_err(), "{text:?}");
        }
    }
}
