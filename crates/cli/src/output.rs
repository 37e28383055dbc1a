//! What goes to the terminal: errors, logging, and standard output that may be a closed pipe or a full disk.

use anyhow::Context;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing_subscriber::EnvFilter;

/// Arguments that each may be right, and do not go together: the exit code is that of wrong usage.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Prints an error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some libraries repeat their cause in their own message.
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Logs go to standard error; `RUST_LOG` has the last word.
pub(crate) fn start_logging(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let ansi = std::io::stderr().is_terminal();
    // Only a second logger could make this fail, and there is none.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).try_init();
}

const UNWRITABLE: &str = "standard output cannot be written";

/// Writes to standard output. A reader that has seen enough is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context(UNWRITABLE),
    }
}

/// Standard output for a long run, which is not to end for want of a disk: writing never fails, what went wrong is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stdout(Arc<Mutex<Option<io::Error>>>);

impl Stdout {
    /// The first thing that went wrong.
    pub(crate) fn outcome(&self) -> anyhow::Result<()> {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), Err).context(UNWRITABLE)
    }

    fn keep(&self, result: io::Result<()>) {
        let Err(error) = result else { return };
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if error.kind() != io::ErrorKind::BrokenPipe && failed.is_none() {
            tracing::warn!(%error, "{UNWRITABLE}");
            *failed = Some(error);
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.keep(io::stdout().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.keep(io::stdout().flush());
        Ok(())
    }
}

/// As YAML.
pub(crate) fn yaml(value: &serde_json::Value) -> anyhow::Result<String> {
    serde_saphyr::to_string(value).context("cannot be written as YAML")
}

/// Writes a line to standard error for people.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
