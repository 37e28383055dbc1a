//! Lines and metric names as byte slices. Knows nothing of labels, values or what is wanted.

use std::io::BufRead;

/// Lines of a page with their number, without line feed, carriage return and leading blanks.
///
/// A raw line feed always ends a line: inside label values the formats write it as `\n`. So every line is a point
/// where reading can begin anew, whatever the line before it held.
#[derive(Debug, Clone)]
pub(crate) struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(page: &'a [u8]) -> Self {
        Self { rest: page, number: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = self.rest.split_at(length_with_line_feed(self.rest));
        self.rest = rest;
        self.number += 1;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some((self.number, trim_blanks(line)))
    }
}

/// Length of the first line, its line feed included.
fn length_with_line_feed(bytes: &[u8]) -> usize {
    // `skip_until` is the way to the vectorised search of the standard library; `position` goes byte by byte and
    // is several times slower. Reading from a slice cannot fail, so the fallback is never taken.
    let mut reader = bytes;
    reader.skip_until(b'\n').unwrap_or(bytes.len())
}

/// The bytes without blanks and tabs in front.
pub(crate) fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = bytes.split_first() {
        bytes = rest;
    }
    bytes
}

/// Splits off everything up to the next blank or tab.
pub(crate) fn split_word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// Whether a metric name may contain the byte: letters, digits, `_` and `:`.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

/// The page without the byte order mark that some tools put before it: it would spoil the first line's name.
pub(crate) fn without_mark(page: &[u8]) -> &[u8] {
    page.strip_prefix(b"\xef\xbb\xbf").unwrap_or(page)
}

/// The bytes at the beginning that a name may have, whatever follows them.
pub(crate) fn name_bytes(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(bytes.len());
    &bytes[..end]
}

/// The metric name at the beginning of the bytes, if there is one and `{`, a blank or the end follows it.
pub(crate) fn leading_name(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.first()?.is_ascii_digit() {
        return None;
    }
    let end = bytes.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(bytes.len());
    let ends_well = matches!(bytes.get(end), None | Some(b'{' | b' ' | b'\t'));
    (end > 0 && ends_well).then(|| &bytes[..end])
}
