//! Label sets, checked once and then read lazily from the page. Knows nothing of names and values of samples.

use std::borrow::Cow;

use crate::{lines::trim_blanks, problem::Reason};

/// Most labels of one sample. Engines print three to thirty (an info family); the bound keeps a hostile line from
/// making every later look at its labels slow.
pub const MAX_LABELS: usize = 64;

/// One label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value with the escapes `\\`, `\"` and `\n` resolved; borrowed where there are none.
    pub value: Cow<'a, str>,
}

/// The labels of a sample, still as text. Checked when the line was read, so going through them cannot fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Labels<'a>(&'a str);

impl<'a> Labels<'a> {
    /// Checks the labels after an opening brace; returns them and what follows the closing brace.
    pub(crate) fn scan(after_brace: &'a [u8]) -> Result<(Self, &'a [u8]), Reason> {
        let labels = trim_blanks(after_brace);
        let mut rest = labels;
        for _ in 0..=MAX_LABELS {
            if let Some(after) = rest.strip_prefix(b"}") {
                let length = labels.len() - rest.len();
                let text = str::from_utf8(&labels[..length]).map_err(|_| Reason::NotUtf8)?;
                return Ok((Self(text), after));
            }
            let (_, _, after) = split_label(rest).ok_or(Reason::BadLabels)?;
            rest = trim_blanks(after);
            if let Some(after_comma) = rest.strip_prefix(b",") {
                rest = trim_blanks(after_comma);
            } else if rest.first() != Some(&b'}') {
                return Err(Reason::BadLabels);
            }
        }
        Err(Reason::TooManyLabels)
    }

    /// The labels in the order of the page.
    pub fn iter(self) -> impl Iterator<Item = Label<'a>> {
        self.raw().map(|(name, raw)| Label { name, value: unescape(raw) })
    }

    /// The value of a label; of the first one where a page repeats a name.
    pub fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.raw().find(|(known, _)| *known == name).map(|(_, raw)| unescape(raw))
    }

    /// Whether there are no labels.
    pub fn is_empty(self) -> bool {
        self.raw().next().is_none()
    }

    /// The label set as a key that does not depend on the order of the page, leaving out some labels (`le`, say).
    /// Reads like the page: `engine="0",model_name="m",`.
    pub fn key_without(self, left_out: &[&str]) -> String {
        let mut pairs: Vec<(&str, &str)> = self.raw().filter(|(name, _)| !left_out.contains(name)).collect();
        pairs.sort_unstable();
        let mut key = String::with_capacity(pairs.iter().map(|(name, value)| name.len() + value.len() + 4).sum());
        for (name, value) in pairs {
            for part in [name, "=\"", value, "\","] {
                key.push_str(part);
            }
        }
        key
    }

    /// Whether two label sets agree, in the order of the page, but for one label. May say no for sets that differ
    /// only in order; never says yes for different sets. Costs no allocation.
    pub(crate) fn agree_without(self, other: Self, left_out: &str) -> bool {
        self.raw().filter(|(name, _)| *name != left_out).eq(other.raw().filter(|(name, _)| *name != left_out))
    }

    /// Names and values as printed, escapes unresolved.
    fn raw(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (name_end, value_range, after) = split_label(rest.as_bytes())?;
            // All positions are next to ASCII characters, so `get` never cuts one; `?` keeps this total anyway.
            let label = (rest.get(..name_end)?, rest.get(value_range)?);
            let next = rest.len() - after.len();
            rest = rest.get(next..)?.trim_start_matches([' ', '\t', ',']);
            Some(label)
        })
    }
}

/// Splits `name="value"` from the front: the end of the name, where the raw value is, and what follows.
fn split_label(bytes: &[u8]) -> Option<(usize, std::ops::Range<usize>, &[u8])> {
    let is_label_byte = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let name_end = bytes.iter().position(|byte| !is_label_byte(byte))?;
    if name_end == 0 || bytes[0].is_ascii_digit() {
        return None;
    }
    let rest = trim_blanks(&bytes[name_end..]).strip_prefix(b"=")?;
    let rest = trim_blanks(rest).strip_prefix(b"\"")?;
    let start = bytes.len() - rest.len();
    let length = quoted_length(rest)?;
    Some((name_end, start..start + length, &rest[length + 1..]))
}

/// Length of a label value up to its closing quote, or nothing where it does not close.
fn quoted_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2, // the escaped byte may be a quote
            _ => at += 1,
        }
    }
}

/// Resolves escapes. An unknown escape stays as it is, backslash included, as Prometheus' scrape parser leaves it
/// (Prometheus `model/textparse/promparse.go`).
fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => text.push('\n'),
            Some(escaped @ ('\\' | '"')) => text.push(escaped),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    Cow::Owned(text)
}
