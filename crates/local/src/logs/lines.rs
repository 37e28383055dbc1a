//! Bytes to lines: at newlines and carriage returns (progress bars), cut at a limit. Pure.

/// Put where a line was cut.
const CUT: &str = " … [cut]";

/// Collects bytes into lines of a bounded length.
#[derive(Debug)]
pub(crate) struct Splitter {
    line: Vec<u8>,
    limit: usize,
    cut: bool,
    after_return: bool,
}

impl Splitter {
    pub(crate) fn new(limit: usize) -> Self {
        Self { line: Vec::new(), limit, cut: false, after_return: false }
    }

    /// Gives every line that `bytes` complete to `take`.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut take: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let is_return = bytes[end] == b'\r';
            let is_second_half = end == 0 && self.after_return && !is_return;
            self.extend(&bytes[..end]);
            if !is_second_half {
                self.end_line(&mut take);
            }
            self.after_return = is_return;
            bytes = &bytes[end + 1..];
        }
        self.after_return &= bytes.is_empty();
        self.extend(bytes);
    }

    /// Gives the last line, if it has no end.
    pub(crate) fn finish(mut self, mut take: impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.end_line(&mut take);
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = self.limit - self.line.len();
        self.cut |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self, take: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        if self.cut {
            take(&format!("{text}{CUT}"));
        } else {
            take(&text);
        }
        self.line.clear();
        self.cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(limit: usize, chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut splitter = Splitter::new(limit);
        for chunk in chunks {
            splitter.feed(chunk, |line| lines.push(line.to_owned()));
        }
        splitter.finish(|line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn lines_end_at_newlines_returns_and_the_end_however_they_arrive() {
        assert_eq!(split(99, &[b"a\nb", b"b\r", b"\nc\r50%\r60%\n\nend"]), ["a", "bb", "c", "50%", "60%", "", "end"]);
        assert_eq!(split(99, &[b"a\r", b"b\n", b"\n"]), ["a", "b", ""]);
        assert_eq!(split(99, &[b""]), Vec::<String>::new());
    }

    #[test]
    fn a_long_line_is_cut_and_what_is_not_utf8_replaced() {
        assert_eq!(split(4, &[b"abc", b"defg", b"hij\nabcd\n"]), ["abcd … [cut]", "abcd"]);
        assert_eq!(split(9, &[b"\xffa\n"]), ["\u{fffd}a"]);
    }
}
