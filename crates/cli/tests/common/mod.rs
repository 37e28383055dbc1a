//! What the tests of the binary share: running a command to its end, and a local world that is watched line by line.
//! Every wait is for an event, with a guard against hanging; nothing here knows what a test is about.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of it is test code")]

pub(crate) mod http;
pub(crate) mod manifest;
pub(crate) mod world;

use serde_json::Value;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_aibrix-autoscaler");

/// Longer than anything takes on a busy machine: only a hanging program meets it.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Standard output as JSON lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The command must have ended well.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The command must have ended with `code`, and said each of `parts` on standard error.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in standard error: {self:#?}");
        }
        self
    }
}

/// The binary, with an environment that changes nothing.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RUST_LOG").env_remove("OPENAI_API_KEY");
    command
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    end_of(command(arguments).spawn().unwrap())
}

/// Runs a command that reads `input` from standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A program that refuses its arguments does not read.
    std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    end_of(child)
}

/// Waits for the end of a process, and kills one that hangs.
fn end_of(mut child: Child) -> Output {
    let (stdout, stderr) = (all_of(child.stdout.take().unwrap()), all_of(child.stderr.take().unwrap()));
    let texts = stdout.recv_timeout(GUARD).and_then(|stdout| Ok((stdout, stderr.recv_timeout(GUARD)?)));
    let Ok((stdout, stderr)) = texts else {
        let _ = child.kill();
        panic!("the program hangs");
    };
    Output { code: child.wait().unwrap().code(), stdout, stderr }
}

fn all_of(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// Waits for something that no event tells.
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + GUARD;
    while !holds() {
        assert!(Instant::now() < until, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A file of the repository.
pub(crate) fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Writes a file so that no reader sees half of it.
pub(crate) fn write(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}
