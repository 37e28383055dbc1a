//! What replicas print: always read, so that no replica ever blocks on its output, and kept within bounds.
//!
//! The last lines are in memory, more of them in files. Where the disk is full or slow, lines are lost and counted;
//! nothing waits for it.

mod file;
mod folder;
mod lines;
mod ring;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use file::LogFile;
pub(crate) use file::LogWriter;
pub(crate) use folder::TemporaryFolder;
use lines::Splitter;
use ring::Ring;

use crate::spec::LogLimits;

/// One read from a pipe; a pipe holds 64 KiB on Linux.
const READ_BYTES: usize = 16 << 10;

/// Where a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Not the replica's own: a remark on its starts and ends.
    Note,
}

/// A line of a replica's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where it was written to.
    pub stream: Stream,
    /// The line without its end, as UTF-8 (what is not is replaced), cut where it is too long.
    pub text: Arc<str>,
}

/// The log of one replica over all its lives.
#[derive(Debug)]
pub(crate) struct ReplicaLog {
    ring: Mutex<Ring>,
    file: LogFile,
    line_bytes: usize,
}

impl ReplicaLog {
    /// A log in `dir/NAME.log`.
    pub(crate) fn new(dir: &Path, name: &str, limits: &LogLimits, writer: &LogWriter) -> Self {
        Self {
            ring: Mutex::new(Ring::new(limits.lines, limits.bytes)),
            file: writer.file(dir.join(format!("{name}.log")), limits),
            line_bytes: limits.line_bytes,
        }
    }

    /// Adds a remark.
    pub(crate) fn note(&self, text: &str) {
        self.add(Stream::Note, text);
    }

    fn add(&self, stream: Stream, text: &str) {
        self.file.append(text);
        let line = LogLine { stream, text: text.into() };
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The last `count` lines, oldest first.
    pub(crate) fn tail(&self, count: usize) -> Vec<LogLine> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).tail(count)
    }

    /// Reads `from` to its end.
    pub(crate) async fn pump(&self, stream: Stream, mut from: impl AsyncRead + Unpin) {
        let mut splitter = Splitter::new(self.line_bytes);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match from.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => splitter.feed(&buffer[..read], |line| self.add(stream, line)),
            }
        }
        splitter.finish(|line| self.add(stream, line));
    }

    /// Removes the log's files.
    pub(crate) fn remove_files(&self) {
        self.file.remove();
    }

    /// Lines that did not get into the file.
    pub(crate) fn lost(&self) -> u64 {
        self.file.lost()
    }
}
