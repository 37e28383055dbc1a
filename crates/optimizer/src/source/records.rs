//! The load of a model from a file of request records that a gateway appends to: JSON lines with `arrival` and `end` (Unix
//! seconds), `inputTokens` and `outputTokens`. Must not know what is planned.

use request_monitor::records::Records as Counter;
use request_monitor::{Batch, Size};
use serde::Deserialize;
use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Most bytes of one turn, some 100,000 records; what is more comes with the next turns.
const MAX_BYTES: u64 = 16 << 20;
/// What ended longer ago than this when the file is first read is of no account.
const PAST_SECONDS: f64 = 600.0;

/// What has been read of a file.
#[derive(Debug, Default)]
pub(crate) struct Records {
    counter: Counter,
    file: Option<Reading>,
    /// A line that was not complete yet.
    rest: Vec<u8>,
}

/// The file that is read, also where it has been moved, and how far it has been.
#[derive(Debug)]
struct Reading {
    file: File,
    offset: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    arrival: f64,
    end: f64,
    #[serde(default)]
    input_tokens: Option<f64>,
    #[serde(default)]
    output_tokens: Option<f64>,
    /// A gateway of several models may write them all to one file.
    #[serde(default, borrow)]
    model: Option<Cow<'a, str>>,
}

impl Records {
    /// Reads what was appended about a model. Fails where the file cannot be read, or lines of it; the others count.
    pub(crate) fn read(
        &mut self,
        path: &Path,
        model: &str,
        now: f64,
    ) -> Result<Option<Batch>, (Option<Batch>, String)> {
        let begins = self.file.is_none();
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
            match serde_json::from_slice::<Record<'_>>(line) {
                Ok(record) if record.model.as_ref().is_some_and(|own| own != model) => {}
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

    /// What was appended. A file that was moved away is read to its end before the one that has its name now.
    fn appended(&mut self, path: &Path) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let begins = self.file.is_none();
        let there = std::fs::metadata(path);
        if let Some(Reading { file, offset }) = &mut self.file {
            let about = file.metadata()?;
            // A file that has become shorter was begun anew.
            if *offset > about.len() {
                self.rest.clear();
                *offset = 0;
            }
            file.seek(SeekFrom::Start(*offset))?;
            *offset += file.take(MAX_BYTES).read_to_end(&mut bytes)? as u64;
            let same = there.as_ref().is_ok_and(|there| (there.dev(), there.ino()) == (about.dev(), about.ino()));
            if same || *offset < about.len() {
                return Ok(bytes);
            }
            // Whoever moved it away has written to it for the last time, so that half a line stays half.
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(whole);
            if whole == 0 {
                self.rest.clear();
            }
        }
        // Where there is none of the name now, what was read counts, and the next turn says so.
        if bytes.is_empty() || there.is_ok() {
            let mut file = File::open(path)?;
            let length = file.metadata()?.len();
            let from = if begins { length.saturating_sub(MAX_BYTES) } else { 0 };
            file.seek(SeekFrom::Start(from))?;
            let room = MAX_BYTES.saturating_sub(bytes.len() as u64);
            let offset = from + (&mut file).take(room).read_to_end(&mut bytes)? as u64;
            self.file = Some(Reading { file, offset });
        }
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
        assert!(records.read(&path, "m", 1000.0).is_err(), "no file yet");
        append(&line(1.0));
        append(&line(990.0));
        let batch = records.read(&path, "m", 1000.0).unwrap().unwrap();
        assert_eq!((batch.arrivals, batch.completions()), (Some(1.0), 1.0), "what is long past is left out");
        let next = line(1005.0);
        append(&next[..20]);
        assert_eq!(records.read(&path, "m", 1010.0).unwrap().unwrap().arrivals, Some(0.0));
        append(&next[20..]);
        assert_eq!(records.read(&path, "m", 1020.0).unwrap().unwrap().arrivals, Some(1.0));
        append("odd\n");
        append(&line(1021.0));
        let (batch, error) = records.read(&path, "m", 1030.0).unwrap_err();
        assert!(batch.unwrap().arrivals == Some(1.0) && error.contains("a line"), "{error}");
        // Rotated: another file of the same name.
        std::fs::write(&path, line(1035.0)).unwrap();
        assert_eq!(records.read(&path, "m", 1040.0).unwrap().unwrap().arrivals, Some(1.0));
    }

    #[test]
    fn a_file_that_was_moved_away_is_read_to_its_end_and_then_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let (old, new) = (line(990.0) + &line(991.0), line(1002.0));
        std::fs::write(&path, &old[..old.len() / 2]).unwrap();
        let mut records = Records::default();
        assert_eq!(records.read(&path, "m", 1000.0).unwrap().unwrap().arrivals, Some(1.0));
        std::fs::write(&path, &old).unwrap();
        std::fs::rename(&path, folder.path().join("records.1")).unwrap();
        std::fs::write(&path, &new).unwrap();
        assert_eq!(records.read(&path, "m", 1010.0).unwrap().unwrap().arrivals, Some(2.0));
        std::fs::rename(&path, folder.path().join("records.1")).unwrap();
        assert!(records.read(&path, "m", 1020.0).is_err(), "nothing new, and no file");
        std::fs::write(&path, line(1025.0)).unwrap();
        assert_eq!(records.read(&path, "m", 1030.0).unwrap().unwrap().arrivals, Some(1.0));
    }

    #[test]
    fn requests_for_other_models_in_the_same_file_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let of = |model: &str| line(990.0).replace('}', &format!(",\"model\":\"{model}\"}}"));
        std::fs::write(&path, of("m") + &of("other") + &of("m\\u0062") + &line(991.0)).unwrap();
        assert_eq!(Records::default().read(&path, "m", 1000.0).unwrap().unwrap().arrivals, Some(2.0));
        assert_eq!(Records::default().read(&path, "mb", 1000.0).unwrap().unwrap().arrivals, Some(2.0));
    }
}
