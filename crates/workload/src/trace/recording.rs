//! Arrivals of a recording (`up --record`): each of its ticks lists the requests that ended since the one before.

use super::{TraceError, arrival, bounded_lines};
use crate::Arrival;
use serde::Deserialize;
use std::io::BufRead;
use std::path::Path;

/// How a recording begins.
const BEGIN: &[u8] = b"{\"recording\":";

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    arrivals: Vec<(f64, u64, u64)>,
}

/// Whether a reader is about to give a recording.
pub(super) fn is_one(reader: &mut impl BufRead) -> bool {
    // What cannot be read is told by who reads on.
    reader.fill_buf().is_ok_and(|head| head.starts_with(BEGIN))
}

/// All arrivals of a recording. Requests end in another order than they arrive in, so all are read before the first is given.
pub(super) fn arrivals(
    path: &Path,
    reader: impl BufRead,
) -> Result<std::vec::IntoIter<Result<Arrival, TraceError>>, TraceError> {
    let io = |source| TraceError::Io { path: path.to_owned(), source };
    let mut next_line = bounded_lines(reader);
    let (mut text, mut number) = (Vec::new(), 0_u64);
    let mut found = Vec::new();
    while next_line(&mut text).map_err(io)? {
        number += 1;
        // A crash cuts the last line off.
        if !text.ends_with(b"\n") {
            break;
        }
        let wrong = |message: String| TraceError::Line { path: path.to_owned(), line: number, message };
        let line: Line = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        for (at, input, output) in line.arrivals {
            found.push(arrival(at, input, output, 0).map_err(wrong)?);
        }
    }
    found.sort_by(|a, b| a.at.total_cmp(&b.at));
    Ok(found.into_iter().map(Ok).collect::<Vec<_>>().into_iter())
}
