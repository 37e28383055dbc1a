//! CSV: `t,input_tokens,output_tokens[,ideal_prefix_hit_tokens]`, columns found by name.

use super::{TraceError, arrival};
use crate::Arrival;
use std::io::Read;
use std::path::PathBuf;

const REQUIRED: [&str; 3] = ["t", "input_tokens", "output_tokens"];
const PREFIX_HIT: &str = "ideal_prefix_hit_tokens";

/// Arrivals of a CSV file.
pub(super) fn arrivals(
    path: PathBuf,
    reader: impl Read + Send,
) -> Result<impl Iterator<Item = Result<Arrival, TraceError>> + Send, TraceError> {
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(reader);
    let header = csv.headers().map_err(|error| refuse(&path, 1, &error))?.clone();
    let column = |name: &str| header.iter().position(|field| field.eq_ignore_ascii_case(name));
    let mut columns = [0; 3];
    for (place, name) in columns.iter_mut().zip(REQUIRED) {
        let message = format!("no column {name}; allowed: {},{PREFIX_HIT} with a header", REQUIRED.join(","));
        *place = column(name).ok_or_else(|| TraceError::Line { path: path.clone(), line: 1, message })?;
    }
    let hit = column(PREFIX_HIT);
    Ok(csv.into_records().map(move |record| {
        let record = record.map_err(|error| refuse(&path, error.position().map_or(0, csv::Position::line), &error))?;
        let line = record.position().map_or(0, csv::Position::line);
        read(&record, columns, hit).map_err(|message| TraceError::Line { path: path.clone(), line, message })
    }))
}

fn read(record: &csv::StringRecord, columns: [usize; 3], hit: Option<usize>) -> Result<Arrival, String> {
    let [time, input, output] = columns.map(|column| record.get(column).unwrap_or_default());
    let at: f64 = time.parse().map_err(|_| format!("t {time:?} is not a number"))?;
    let hit = hit.and_then(|column| record.get(column)).filter(|text| !text.is_empty());
    arrival(
        at,
        tokens("input_tokens", input)?,
        tokens("output_tokens", output)?,
        hit.map_or(Ok(0), |text| tokens(PREFIX_HIT, text))?,
    )
}

/// Whole numbers; exporters write some as `12.0`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
fn tokens(name: &str, text: &str) -> Result<u64, String> {
    let refuse = || format!("{name} {text:?} is not a whole number from 0");
    text.parse::<u64>().or_else(|_| match text.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.fract() == 0.0 && value < 1e15 => Ok(value as u64),
        _ => Err(refuse()),
    })
}

fn refuse(path: &std::path::Path, line: u64, error: &impl ToString) -> TraceError {
    TraceError::Line { path: path.to_owned(), line, message: error.to_string() }
}
