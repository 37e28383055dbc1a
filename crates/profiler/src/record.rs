//! The file of finished runs: JSON lines in the format of AIBrix's benchmark, five rows a run.
//!
//! The first row of each run carries the whole run besides, in a field that AIBrix does not read, so that an interrupted
//! measurement goes on where it was.

use crate::run::{Ask, Run, Stopped};
use crate::slo::Slo;
use crate::stats::Stat;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What a measurement is of: runs of another one are no part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The model's name.
    pub model: String,
    /// Requests of a run, at least.
    pub requests: usize,
    /// Trace seconds of a run, at least.
    pub seconds: f64,
    /// How arrivals are spread: `poisson` or `even`.
    pub spread: String,
    /// The SLO, which decides where runs end early.
    pub slo: String,
}

/// A file of runs that can be added to.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    file: File,
    origin: Origin,
    runs: Vec<Run>,
}

/// What is wrong with a file of runs.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no row.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// It is of another measurement.
    #[error("{}: measured with {was}; this is {is} (allowed: the same, or another file)", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What it was measured with.
        was: String,
        /// What is wanted now.
        is: String,
    },
    /// It has runs, and nobody said that they are wanted.
    #[error("{}: holds {runs} finished runs; --resume {} goes on with them (or remove the file)", path.display(), path.display())]
    Taken {
        /// The file.
        path: PathBuf,
        /// How many.
        runs: usize,
    },
}

/// A larger file is not one of runs.
const MAX_BYTES: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct Row {
    input_tokens: u32,
    output_tokens: u32,
    request_rate: f64,
    seed: u32,
    model: String,
    samples: u64,
    metric: String,
    mean: f64,
    #[serde(rename = "P50", skip_serializing_if = "Option::is_none")]
    p50: Option<f64>,
    #[serde(rename = "P90", skip_serializing_if = "Option::is_none")]
    p90: Option<f64>,
    #[serde(rename = "P99", skip_serializing_if = "Option::is_none")]
    p99: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Run>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
}

impl Record {
    /// Opens the file at `path`, or makes it. Its runs are used only where `resume` says so; without, a file that has some is
    /// refused. A last line that was cut by a crash is dropped.
    pub fn open(path: &Path, origin: Origin, resume: bool) -> Result<Self, RecordError> {
        let refuse = |source| RecordError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(refuse)?;
        let mut text = String::new();
        if file.metadata().map_err(refuse)?.len() > MAX_BYTES {
            return Err(refuse(io::Error::new(io::ErrorKind::InvalidData, "larger than 256 MiB: no file of runs")));
        }
        file.read_to_string(&mut text).map_err(refuse)?;
        let runs = read(path, &text, &origin)?;
        if !resume && !runs.is_empty() {
            return Err(RecordError::Taken { path: path.to_owned(), runs: runs.len() });
        }
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(refuse)?;
        Ok(Self { path: path.to_owned(), file, origin, runs })
    }

    /// The run that was made for `ask`, if there is one.
    #[must_use]
    pub fn find(&self, ask: &Ask) -> Option<&Run> {
        self.runs.iter().find(|run| run.answers(ask))
    }

    /// How many runs the file had when it was opened.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether it had none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds a run: its rows are in the file when this returns.
    pub fn add(&mut self, run: &Run) -> Result<(), RecordError> {
        let refuse = |source| RecordError::Io { path: self.path.clone(), source };
        let mut text = String::new();
        for row in rows(run, &self.origin) {
            text.push_str(&serde_json::to_string(&row).map_err(|error| refuse(error.into()))?);
            text.push('\n');
        }
        self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush()).map_err(refuse)
    }
}

fn read(path: &Path, text: &str, origin: &Origin) -> Result<Vec<Run>, RecordError> {
    let mut runs = Vec::new();
    // What follows the last line's end was cut off.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (at, line) in whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row: Row = serde_json::from_str(line).map_err(|error| RecordError::Line {
            path: path.to_owned(),
            line: at + 1,
            message: error.to_string(),
        })?;
        let (Some(run), Some(was)) = (row.run, row.origin) else { continue };
        let same_slo = was.slo == origin.slo;
        if (Origin { slo: origin.slo.clone(), ..was.clone() }) != *origin {
            return Err(RecordError::Other { path: path.to_owned(), was: was.to_string(), is: origin.to_string() });
        }
        // Where a run was broken off for another SLO, this one may not have been decided.
        if same_slo || run.stopped.is_none() {
            runs.push(run);
        }
    }
    Ok(runs)
}

fn rows(run: &Run, origin: &Origin) -> Vec<Row> {
    let tokens = run.output_tokens.unwrap_or_else(|| f64::from(run.cell.output));
    let row = |metric: &str, mean: f64, stat: Option<Stat>| Row {
        input_tokens: run.cell.input,
        output_tokens: run.cell.output,
        request_rate: run.rate,
        seed: run.attempt,
        model: origin.model.clone(),
        samples: run.requests,
        metric: metric.to_owned(),
        mean,
        p50: stat.map(|stat| stat.p50),
        p90: stat.map(|stat| stat.p90),
        p99: stat.map(|stat| stat.p99),
        run: None,
        origin: None,
    };
    let time = |metric: &str, stat: Option<Stat>| {
        let stat = stat.unwrap_or_default();
        row(metric, stat.mean, Some(stat))
    };
    let mut first = row("TPUT", run.throughput, None);
    (first.run, first.origin) = (Some(run.clone()), Some(origin.clone()));
    vec![
        first,
        row("TT", run.throughput * tokens, None),
        time("E2E", run.e2e),
        time("TTFT", run.ttft),
        time("TPOT", run.tpot),
    ]
}

impl Origin {
    /// What an SLO is called in a file.
    #[must_use]
    pub fn slo_name(slo: &Slo) -> String {
        slo.to_string()
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { model, requests, seconds, spread, .. } = self;
        write!(f, "model {model}, at least {requests} requests and {seconds} s, {spread} arrivals")
    }
}

/// In one word, for people and for lines of JSON.
#[must_use]
pub fn verdict(slo: &Slo, run: &Run) -> &'static str {
    match (&run.refused, run.stopped) {
        (Some(_), _) => "refused",
        (_, Some(Stopped::Failed)) => "failed early",
        (_, Some(Stopped::Passed)) => "passed early",
        (_, None) if run.rate == 0.0 => {
            if slo.missed(run).is_some() {
                "misses alone"
            } else {
                "alone"
            }
        }
        (_, None) => {
            if slo.kept(run) {
                "passed"
            } else {
                "failed"
            }
        }
    }
}
