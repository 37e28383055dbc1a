//! Traces of real requests: CSV, CSV.gz, Mooncake's JSONL, and recordings of the product, read one arrival at a time.

mod csv_form;
mod mooncake;
mod recording;

use crate::Arrival;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// What is wrong with a trace: file, line, and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong and what is allowed.
        message: String,
    },
}

/// Which part of a trace is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Window {
    /// Arrivals before this many seconds are skipped; times are counted from here.
    pub from: f64,
    /// Arrivals this many seconds after `from`, or later, are left out; none takes all.
    pub length: Option<f64>,
}

/// Arrivals of a trace, in order.
pub struct Trace {
    lines: Box<dyn Iterator<Item = Result<Arrival, TraceError>> + Send>,
    path: PathBuf,
    window: Window,
    last: f64,
    read: u64,
    over: bool,
}

/// A line longer than this is no line of a trace; reading it whole would let one file fill the memory.
const MAX_LINE: u64 = 1 << 20;
/// More tokens than any engine's context.
const MAX_TOKENS: u32 = 100_000_000;

impl Trace {
    /// Opens a trace; the form is told by the name: `.csv`, `.csv.gz`, `.jsonl`, `.jsonl.gz`.
    pub fn open(path: &Path, window: Window) -> Result<Self, TraceError> {
        let file = File::open(path).map_err(|source| TraceError::Io { path: path.to_owned(), source })?;
        let name = path.to_string_lossy().to_ascii_lowercase();
        let (name, reader): (&str, Box<dyn Read + Send>) = match name.strip_suffix(".gz") {
            Some(inner) => (inner, Box::new(MultiGzDecoder::new(BufReader::new(file)))),
            None => (&name, Box::new(file)),
        };
        let mut reader = BufReader::with_capacity(1 << 16, reader);
        let extension = Path::new(name).extension().and_then(std::ffi::OsStr::to_str);
        let lines: Box<dyn Iterator<Item = _> + Send> = match extension {
            Some("jsonl") if recording::is_one(&mut reader) => Box::new(recording::arrivals(path, reader)?),
            Some("jsonl") => Box::new(mooncake::arrivals(path.to_owned(), reader)),
            Some("csv") => Box::new(csv_form::arrivals(path.to_owned(), reader)?),
            _ => {
                let message = "unknown form of trace; allowed: .csv, .csv.gz, .jsonl, .jsonl.gz".to_owned();
                return Err(TraceError::Line { path: path.to_owned(), line: 1, message });
            }
        };
        Ok(Self { lines, path: path.to_owned(), window, last: 0.0, read: 0, over: false })
    }

    /// Reads all arrivals of a trace.
    pub fn read_all(path: &Path, window: Window) -> Result<Vec<Arrival>, TraceError> {
        Self::open(path, window)?.collect()
    }

    fn checked(&mut self, arrival: Arrival) -> Result<Arrival, TraceError> {
        self.read += 1;
        if arrival.at < self.last {
            let message = format!("time {} goes back behind {}; arrivals have to be in order", arrival.at, self.last);
            // The header of a CSV file is its first line.
            return Err(TraceError::Line { path: self.path.clone(), line: self.read + 1, message });
        }
        self.last = arrival.at;
        Ok(arrival)
    }
}

impl Iterator for Trace {
    type Item = Result<Arrival, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            let arrival = match self.lines.next()?.and_then(|arrival| self.checked(arrival)) {
                Ok(arrival) => arrival,
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            };
            let at = arrival.at - self.window.from;
            if self.window.length.is_some_and(|length| at >= length) {
                self.over = true;
                return None;
            }
            if at >= 0.0 {
                return Some(Ok(Arrival { at, ..arrival }));
            }
        }
        None
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace").field("path", &self.path).field("read", &self.read).finish_non_exhaustive()
    }
}

/// Checks one request's numbers; a request of no tokens counts as one token, as engines count it.
fn arrival(at: f64, input: u64, output: u64, hit: u64) -> Result<Arrival, String> {
    if !at.is_finite() || at < 0.0 {
        return Err(format!("time {at} is not allowed; allowed: seconds from 0"));
    }
    let tokens = |name: &str, count: u64| match u32::try_from(count) {
        Ok(count) if count <= MAX_TOKENS => Ok(count),
        _ => Err(format!("{name} {count} is not allowed; allowed: 0 to {MAX_TOKENS}")),
    };
    let input_tokens = tokens("input_tokens", input)?.max(1);
    let output_tokens = tokens("output_tokens", output)?.max(1);
    let prefix_hit_tokens = tokens("prefix hit tokens", hit)?.min(input_tokens);
    Ok(Arrival { at, input_tokens, output_tokens, prefix_hit_tokens })
}

/// The lines of a reader, each bounded.
fn bounded_lines(mut reader: impl BufRead) -> impl FnMut(&mut Vec<u8>) -> std::io::Result<bool> {
    move |line| {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', line)?;
        if read as u64 == MAX_LINE && !line.ends_with(b"\n") {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "line longer than 1 MiB"));
        }
        Ok(read > 0)
    }
}
