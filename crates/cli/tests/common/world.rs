//! A local world: `up FILE --json` in a folder of its own, watched line by line, and ended with the test.

use super::{GUARD, http::Client};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tempfile::TempDir;

/// A name that no other test and no other run of this one uses: it marks a world's processes.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("model-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A running world.
pub(crate) struct World {
    child: Child,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    folder: TempDir,
    /// Everything that was printed so far.
    pub(crate) seen: Vec<Value>,
    pub(crate) gateway: String,
    pub(crate) dashboard: String,
    pub(crate) client: Client,
}

/// How a world ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<Value>,
    pub(crate) stderr: String,
}

impl Ended {
    /// The summary, which must be the last line of a good end.
    #[track_caller]
    pub(crate) fn summary(&self) -> &Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        let last = self.lines.last().unwrap();
        assert_eq!(last["type"], "summary", "{last}");
        last
    }

    /// The summary of a run that answered all of `requests`.
    #[track_caller]
    pub(crate) fn answered(&self, requests: u64) -> &Value {
        let summary = self.summary();
        assert_eq!(summary["requests"], requests, "{summary}");
        assert_eq!(summary["succeeded"], requests, "{summary}");
        assert_eq!((&summary["failed"], &summary["aborted"]), (&Value::from(0), &Value::from(0)), "{summary}");
        summary
    }
}

impl World {
    /// Starts a world ten times as fast as life, and waits until it listens.
    pub(crate) fn start(manifest: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("world.yaml");
        super::write(&file, manifest);
        let file = file.to_str().unwrap().to_owned();
        Self::launch(folder, std::iter::once(file.as_str()).chain(more.iter().copied()))
    }

    /// Starts the built-in world, which has no file.
    pub(crate) fn quickstart() -> Self {
        Self::launch(tempfile::tempdir().unwrap(), std::iter::empty())
    }

    fn launch<'a>(folder: TempDir, more: impl Iterator<Item = &'a str>) -> Self {
        let ports = ["up", "--json", "--gateway", "127.0.0.1:0", "--dashboard", "127.0.0.1:0", "--speed", "10"];
        let arguments: Vec<&str> = ports.into_iter().chain(more).collect();
        let mut child = super::command(&arguments).current_dir(folder.path()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let stderr = Arc::new(Mutex::new(String::new()));
        collect(child.stderr.take().unwrap(), Arc::clone(&stderr));
        let (gateway, dashboard) = (String::new(), String::new());
        let mut world =
            Self { child, lines, stderr, folder, seen: Vec::new(), gateway, dashboard, client: Client::new() };
        let start = world.wait_for("the start line", |line| line["type"] == "start");
        assert_eq!(world.seen.len(), 1, "start is the first line: {:?}", world.seen);
        start["gateway"].as_str().unwrap().clone_into(&mut world.gateway);
        start["dashboard"].as_str().unwrap().clone_into(&mut world.dashboard);
        world
    }

    /// The manifest's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("world.yaml")
    }

    /// The next line that `wanted` likes; lines before it are passed over.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + GUARD;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON line: {line:?}"));
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("{what} did not come; {}", self.story()),
                Err(RecvTimeoutError::Disconnected) => panic!("the world ended before {what}; {}", self.story()),
            }
        }
    }

    /// Waits until an autoscaler has exactly so many ready replicas, and none on their way.
    #[track_caller]
    pub(crate) fn wait_for_ready(&mut self, autoscaler: &str, ready: u64) -> Value {
        self.wait_for(&format!("{ready} ready replicas of {autoscaler}"), |line| {
            is(line, "state", autoscaler) && line["ready"] == ready && line["pending"] == 0
        })
    }

    /// The page's JSON.
    #[track_caller]
    pub(crate) fn state(&self) -> Value {
        self.client.get(&format!("{}/api/v1/state", self.dashboard)).unwrap().json()
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// Reads on to the end of the run.
    pub(crate) fn end(mut self) -> Ended {
        let until = Instant::now() + GUARD;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(serde_json::from_str(&line).unwrap()),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the world does not end; {}", self.story()),
            }
        }
        let code = self.child.wait().unwrap().code();
        let stderr = self.stderr.lock().unwrap().clone();
        Ended { code, lines: std::mem::take(&mut self.seen), stderr }
    }

    /// Asks the program to end, and reads on to the end of the run.
    pub(crate) fn terminate(self) -> Ended {
        self.signal("TERM");
        self.end()
    }

    fn story(&self) -> String {
        let mut story = format!("standard error: {}\nlast lines:\n", self.stderr.lock().unwrap());
        for line in self.seen.iter().rev().take(30).rev() {
            let _ = writeln!(story, "{line}");
        }
        story
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The guards of the replicas see it and end them.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut pipe: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut bytes) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    });
}

/// Whether a line is of this type and autoscaler.
pub(crate) fn is(line: &Value, kind: &str, autoscaler: &str) -> bool {
    line["type"] == kind && line["autoscaler"] == autoscaler
}

/// Whether a line tells this of a replica whose name begins so.
pub(crate) fn told(line: &Value, replica: &str, event: &str) -> bool {
    let starts = |field: &str, with: &str| line[field].as_str().is_some_and(|text| text.starts_with(with));
    line["type"] == "replica" && starts("replica", replica) && starts("event", event)
}

/// Sends a signal to a process.
pub(crate) fn signal(name: &str, process: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().unwrap();
    assert!(status.success(), "process {process} is gone already");
}

/// The processes whose command line contains `marker`: replicas and their guards.
#[cfg(target_os = "linux")]
pub(crate) fn processes(marker: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let words = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    words.filter(|line| line.contains(marker)).collect()
}
