//! The last lines of a log, within a number of lines and of bytes. Pure.

use std::collections::VecDeque;

use super::LogLine;

/// Forgets the oldest lines beyond its bounds.
#[derive(Debug)]
pub(crate) struct Ring {
    lines: VecDeque<LogLine>,
    bytes: usize,
    max_lines: usize,
    max_bytes: usize,
}

impl Ring {
    pub(crate) fn new(max_lines: usize, max_bytes: usize) -> Self {
        Self { lines: VecDeque::new(), bytes: 0, max_lines, max_bytes }
    }

    pub(crate) fn push(&mut self, line: LogLine) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > self.max_lines || self.bytes > self.max_bytes {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }

    /// The last `count` lines, oldest first.
    pub(crate) fn tail(&self, count: usize) -> Vec<LogLine> {
        self.lines.iter().skip(self.lines.len().saturating_sub(count)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Stream;

    fn texts(max_lines: usize, max_bytes: usize, count: usize) -> Vec<String> {
        let mut ring = Ring::new(max_lines, max_bytes);
        for text in ["aaaa", "bbb", "cc", "d"] {
            ring.push(LogLine { stream: Stream::Stdout, text: text.into() });
        }
        ring.tail(count).iter().map(|line| line.text.to_string()).collect()
    }

    #[test]
    fn the_oldest_go_first_by_lines_and_by_bytes() {
        assert_eq!(texts(3, 99, 9), ["bbb", "cc", "d"]);
        assert_eq!(texts(9, 5, 9), ["cc", "d"]);
        assert_eq!(texts(9, 99, 2), ["cc", "d"]);
        assert_eq!(texts(9, 0, 9), Vec::<String>::new());
    }
}
