//! A recording: what a world observed and what was decided, as JSON lines that `decide` and `simulate` read.
//!
//! The first line is `{"recording": 1, "epoch": …}`; an autoscaler's line, `{"autoscaler": …}`, stands before its first tick, and
//! again where its manifest has changed; each tick is one of `decide`'s, with what was decided and the requests that ended. A
//! disk that is slow or full loses lines, which the end says; it never delays a decision.

use crate::decide::input::Tick;
use serde::Serialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// The format's version.
pub const VERSION: u32 = 1;
/// Lines that wait for the disk.
const QUEUE: usize = 4096;

/// The first line, by whose first field a recording is told.
#[derive(Serialize)]
struct Header<'a> {
    recording: u32,
    epoch: &'a str,
}

/// Writes a recording; clones write to the same one, which is complete when [`Writing::finish`] has returned.
#[derive(Debug, Clone)]
pub struct Recorder {
    lines: SyncSender<String>,
    lost: Arc<AtomicU64>,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writing {
    thread: JoinHandle<std::io::Result<()>>,
    lost: Arc<AtomicU64>,
}

impl Recorder {
    /// Creates the file, or empties it; `epoch` is the calendar's time of zero seconds, RFC 3339.
    pub fn create(path: &Path, epoch: &str) -> std::io::Result<(Self, Writing)> {
        let file = File::create(path)?;
        let (lines, waiting) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || write(file, &waiting))?;
        let recorder = Self { lines, lost: Arc::clone(&lost) };
        recorder.line(&Header { recording: VERSION, epoch });
        Ok((recorder, Writing { thread, lost }))
    }

    /// An autoscaler, under the name by which its ticks know it.
    pub fn autoscaler(&self, name: &str, mut object: Value) {
        object["metadata"]["name"] = name.into();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|key, _| matches!(key.as_str(), "name" | "annotations" | "labels"));
        }
        self.line(&json!({ "autoscaler": object }));
    }

    /// A tick.
    pub fn tick(&self, tick: &Tick) {
        self.line(tick);
    }

    fn line(&self, line: &impl Serialize) {
        let Ok(text) = serde_json::to_string(line) else { return };
        if self.lines.try_send(text).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Writing {
    /// Waits until everything is written, once no recorder is left. The error says what is missing.
    pub fn finish(self) -> std::io::Result<()> {
        let outcome = self.thread.join().unwrap_or_else(|_| Err(std::io::Error::other("the recorder ended")));
        let lost = self.lost.load(Ordering::Relaxed);
        outcome.and_then(|()| match lost {
            0 => Ok(()),
            lost => Err(std::io::Error::other(format!("{lost} lines are missing: the disk was too slow"))),
        })
    }
}

fn write(file: File, waiting: &Receiver<String>) -> std::io::Result<()> {
    let mut file = BufWriter::new(file);
    while let Ok(line) = waiting.recv() {
        writeln!(file, "{line}")?;
        // What waits is written at once, and what is written can be read.
        while let Ok(line) = waiting.try_recv() {
            writeln!(file, "{line}")?;
        }
        file.flush()?;
    }
    file.flush()
}
