//! Appends finished requests to a file, as JSON lines that the GPU optimizer reads as its load (docs/optimizer.md). Knows the
//! gateway's records and a disk; must not hold up either the gateway or the run.
//!
//! The gateway queues a bounded number of records and passes over what does not fit. A thread of its own writes them: a disk that is
//! full or gone costs records, which is told, and those that come when it has room again are written again.

use anyhow::Context;
use gateway::{Event, Outcome, RequestRecord};
use serde::Serialize;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

/// A file of this size is moved to `FILE.1`, over the one before: some 400,000 requests.
const MAX_BYTES: u64 = 64 << 20;
/// Records that are written at once.
const MAX_BATCH: usize = 4096;

/// Told of trouble and of its end.
pub(crate) type Tell = Box<dyn Fn(String) + Send>;

/// One line: seconds since the Unix epoch by the machine's clock; tokens where the request was answered in full.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    arrival: f64,
    end: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    model: &'a str,
    group: &'a str,
    outcome: &'static str,
}

impl<'a> Line<'a> {
    /// None for what no replica was or would be loaded with: requests that lead nowhere, or are wrong.
    fn of(record: &'a RequestRecord) -> Option<Self> {
        let group = record.group.as_deref()?;
        if matches!(record.outcome, Outcome::Unroutable | Outcome::BadRequest) {
            return None;
        }
        let arrival = record.arrival_epoch_seconds();
        let tokens = |count: Option<u64>| count.filter(|_| record.succeeded());
        Some(Self {
            arrival,
            end: arrival + record.duration.as_secs_f64(),
            input_tokens: tokens(record.prompt_tokens),
            output_tokens: tokens(record.output_tokens),
            model: record.model.as_deref().unwrap_or(group),
            group,
            outcome: record.outcome.as_str(),
        })
    }
}

/// The file, and what became of it.
struct Log {
    path: PathBuf,
    file: File,
    lost: u64,
    tell: Tell,
}

/// Resolves when the last record has been written.
pub(crate) struct Writing(oneshot::Receiver<()>);

impl Writing {
    /// Waits for the last record, but not for a disk that does not answer.
    pub(crate) async fn finish(self, patience: Duration) {
        if tokio::time::timeout(patience, self.0).await.is_err() {
            tracing::warn!("the last records of requests may be missing: the disk does not answer");
        }
    }
}

/// Writes what ends from now on, until the gateway is gone. Fails where the file cannot be opened.
pub(crate) fn begin(path: &Path, ended: Receiver<Event>, tell: Tell) -> anyhow::Result<Writing> {
    let file = open(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    let log = Log { path: path.to_owned(), file, lost: 0, tell };
    let (done, waiting) = oneshot::channel();
    let write = move || {
        log.write(ended);
        let _ = done.send(());
    };
    std::thread::Builder::new().name("requests".to_owned()).spawn(write)?;
    Ok(Writing(waiting))
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Log {
    fn write(mut self, mut ended: Receiver<Event>) {
        let mut events = Vec::new();
        while ended.blocking_recv_many(&mut events, MAX_BATCH) > 0 {
            let (mut text, mut count) = (Vec::new(), 0);
            for event in events.drain(..) {
                let Event::Finished(record) = event else { continue };
                if let Some(line) = Line::of(&record)
                    && serde_json::to_writer(&mut text, &line).is_ok()
                {
                    text.push(b'\n');
                    count += 1;
                }
            }
            if count > 0 {
                self.append(&text, count);
            }
        }
        if self.lost > 0 {
            self.say(&format!("{} requests are missing in it", self.lost));
        }
    }

    fn append(&mut self, text: &[u8], count: u64) {
        match self.try_append(text) {
            Ok(()) if self.lost > 0 => {
                let lost = std::mem::take(&mut self.lost);
                self.say(&format!("requests are written again; {lost} are missing in it"));
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    self.say(&format!(
                        "requests cannot be written, and those that end meanwhile will be missing: {error}"
                    ));
                }
                self.lost += count;
            }
        }
    }

    fn try_append(&mut self, text: &[u8]) -> std::io::Result<()> {
        let mut about = self.file.metadata()?;
        if about.is_file() && about.len() >= MAX_BYTES && self.is_at_path(&about) {
            std::fs::rename(&self.path, with_suffix(&self.path))?;
        }
        if about.is_file() && !self.is_at_path(&about) {
            self.file = open(&self.path)?;
            about = self.file.metadata()?;
        }
        self.file.write_all(text).inspect_err(|_| {
            // Half a line would spoil the next one.
            let _ = self.file.set_len(about.len());
        })
    }

    /// Whether the open file is still the one of the name: somebody may have moved it away.
    fn is_at_path(&self, about: &Metadata) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == (about.dev(), about.ino()))
    }

    fn say(&self, message: &str) {
        (self.tell)(format!("{}: {message}", self.path.display()));
    }
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::{Instant, SystemTime};

    fn record(outcome: Outcome, group: Option<&str>) -> Event {
        Event::Finished(Arc::new(RequestRecord {
            id: 1,
            group: group.map(str::to_owned),
            model: Some("chat-8b".to_owned()),
            replica: None,
            path: "/v1/completions".to_owned(),
            arrival: SystemTime::UNIX_EPOCH + Duration::from_millis(1_750_000_000_250),
            arrived: Instant::now(),
            prompt_at_arrival: None,
            prompt_tokens: Some(812),
            prompt_estimated: false,
            output_tokens: Some(64),
            output_estimated: false,
            stream: true,
            first_byte: None,
            ttft: None,
            tpot: None,
            held: Duration::ZERO,
            duration: Duration::from_millis(2500),
            status: Some(200),
            outcome,
            retries: 0,
        }))
    }

    /// Writes these to the path, and what was told.
    fn written(path: &Path, events: Vec<Event>) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (sender, receiver) = tokio::sync::mpsc::channel(100);
        for event in events {
            sender.try_send(event).unwrap();
        }
        drop(sender);
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let writing = begin(path, receiver, Box::new(move |text| tell.lock().unwrap().push(text))).unwrap();
        runtime.block_on(writing.0).unwrap();
        told.lock().unwrap().clone()
    }

    #[test]
    fn what_loaded_replicas_is_appended_and_what_led_nowhere_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests");
        std::fs::write(&path, "{}\n").unwrap();
        let events = vec![
            record(Outcome::Ok, Some("chat")),
            record(Outcome::RejectedHold, Some("chat")),
            record(Outcome::BadRequest, Some("chat")),
            record(Outcome::Unroutable, None),
        ];
        assert_eq!(written(&path, events), Vec::<String>::new());
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{}\n\
             {\"arrival\":1750000000.25,\"end\":1750000002.75,\"inputTokens\":812,\"outputTokens\":64,\
             \"model\":\"chat-8b\",\"group\":\"chat\",\"outcome\":\"ok\"}\n\
             {\"arrival\":1750000000.25,\"end\":1750000002.75,\
             \"model\":\"chat-8b\",\"group\":\"chat\",\"outcome\":\"rejected_hold\"}\n"
        );
    }

    #[test]
    fn a_large_file_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests");
        File::create(&path).unwrap().set_len(MAX_BYTES).unwrap();
        assert_eq!(written(&path, vec![record(Outcome::Ok, Some("chat"))]), Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert_eq!(std::fs::metadata(folder.path().join("requests.1")).unwrap().len(), MAX_BYTES);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_once_and_survived() {
        let events = (0..3).map(|_| record(Outcome::Ok, Some("chat"))).collect();
        let told = written(Path::new("/dev/full"), events);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("cannot be written") && told[0].contains("No space"), "{told:?}");
        assert!(told[1].contains("3 requests are missing"), "{told:?}");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_at_the_start() {
        let (_sender, receiver) = tokio::sync::mpsc::channel(1);
        let error = begin(Path::new("/nowhere/requests"), receiver, Box::new(|_| ())).err().unwrap();
        assert!(error.to_string().contains("/nowhere/requests: cannot be written"), "{error}");
    }
}
