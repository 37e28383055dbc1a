//! The load of a model from a file of request records that a gateway appends to: JSON lines with `arrival` and `end` (Unix
//! seconds), `inputTokens` and `outputTokens`. Must not know what is planned.

use request_monitor::records::Records as Counter;
use request_monitor::{Batch, Size};
use serde::Deserialize;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Most bytes of one turn, some 100,000 records; what is more comes with the next turns.
const MAX_BYTES: u64 = 16 << 20;
/// What ended longer ago than this when the file is first read is of no account.
const PAST_SECONDS: f64 = 600.0;

/// What has been read of a file.
#[derive(Debug, Default)]
pub(crate) struct Records {
    counter: Counter,
    offset: Option<u64>,
    /// A line that was not complete yet.
    rest: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    arrival: f64,
    end: f64,
    #[serde(default)]
    input_tokens: Option<f64>,
    #[serde(default)]
    output_tokens: Option<f64>,
}

impl Records {
    /// Reads what was appended. Fails where the file cannot be read, or lines of it; the others count.
    pub(crate) fn read(&mut self, path: &Path, now: f64) -> Result<Option<Batch>, (Option<Batch>, String)> {
        let begins = self.offset.is_none();
        let bytes = self.appended(path).map_err(|error| (None, format!("{}: {error}", path.display())))?;
        let mut lines: Vec<u8> = std::mem::take(&mut self.rest);
        lines.extend(bytes);
        let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.rest = lines.split_off(whole);
        if self.rest.len() as u64 > MAX_BYTES {
            self.rest.clear();
        }
        let (mut bad, mut earliest) = (None, now);
        for (at, line) in lines.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_slice::<Record>(line) {
                Ok(record) if begins && (record.end < now - PAST_SECONDS || record.arrival < now - PAST_SECONDS) => {}
                Ok(record) => {
                    earliest = earliest.min(record.arrival);
                    self.counter.arrived(record.arrival);
                    let size = record.input_tokens.zip(record.output_tokens);
                    self.counter.ended(record.end, size.map(|(input, output)| Size { input, output }));
                }
                // The first line after a jump into the file is a part of one.
                Err(_) if begins && at == 0 => {}
                Err(error) => _ = bad.get_or_insert_with(|| format!("{}: a line: {error}", path.display())),
            }
        }
        let batch = self.counter.batch(earliest, now);
        match bad {
            Some(error) => Err((batch, error)),
            None => Ok(batch),
        }
    }

    fn appended(&mut self, path: &Path) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        // A file that has become shorter is another one.
        let known = self.offset.filter(|offset| *offset <= length);
        if known.is_none() {
            self.rest.clear();
        }
        let from = known.unwrap_or(if self.offset.is_some() { 0 } else { length.saturating_sub(MAX_BYTES) });
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        self.offset = Some(from + bytes.len() as u64);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn line(arrival: f64) -> String {
        format!("{{\"arrival\":{arrival},\"end\":{},\"inputTokens\":100,\"outputTokens\":20}}\n", arrival + 1.0)
    }

    #[test]
    fn what_is_appended_counts_once_and_half_a_line_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let append = |text: &str| {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        let mut records = Records::default();
        assert!(records.read(&path, 1000.0).is_err(), "no file yet");
        append(&line(1.0));
        append(&line(990.0));
        let batch = records.read(&path, 1000.0).unwrap().unwrap();
        assert_eq!((batch.arrivals, batch.completions()), (Some(1.0), 1.0), "what is long past is left out");
        let next = line(1005.0);
        append(&next[..20]);
        assert_eq!(records.read(&path, 1010.0).unwrap().unwrap().arrivals, Some(0.0));
        append(&next[20..]);
        assert_eq!(records.read(&path, 1020.0).unwrap().unwrap().arrivals, Some(1.0));
        append("odd\n");
        append(&line(1021.0));
        let (batch, error) = records.read(&path, 1030.0).unwrap_err();
        assert!(batch.unwrap().arrivals == Some(1.0) && error.contains("a line"), "{error}");
        // Rotated: another file of the same name.
        std::fs::write(&path, line(1035.0)).unwrap();
        assert_eq!(records.read(&path, 1040.0).unwrap().unwrap().arrivals, Some(1.0));
    }
}
