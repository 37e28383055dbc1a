//! `up --json`: JSON lines only, each with a `type` (the design's contract 4.4).

use crate::tally::Summary;
use crate::view::Point;
use autoscaler_runtime::decide::output::Line as DecisionLine;
use serde::Serialize;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// One line.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Line {
    /// First.
    #[serde(rename_all = "camelCase")]
    Start {
        /// When `at` is zero (RFC 3339).
        epoch: String,
        /// Trace seconds per second.
        speed: f64,
        /// Where requests go.
        gateway: String,
        /// Where the page is.
        dashboard: Option<String>,
    },
    /// A decision.
    Decision(DecisionLine),
    /// Once a second of trace time, per autoscaler.
    State {
        /// Whose.
        autoscaler: String,
        /// The state.
        #[serde(flatten)]
        point: Point,
    },
    /// Something happened to a replica.
    Replica {
        /// Trace seconds.
        at: f64,
        /// Which.
        replica: String,
        /// What.
        event: String,
    },
    /// A problem that does not stop the run.
    Warning {
        /// Trace seconds.
        at: f64,
        /// What.
        message: String,
    },
    /// Last.
    Summary(Summary),
}

/// Where lines go. A reader that went away ends the output, not the run.
#[derive(Clone, Default)]
pub struct Lines(Option<Arc<Mutex<Box<dyn Write + Send>>>>);

impl Lines {
    /// Lines to a writer.
    #[must_use]
    pub fn to(writer: Box<dyn Write + Send>) -> Self {
        Self(Some(Arc::new(Mutex::new(writer))))
    }

    /// Whether anybody reads.
    #[must_use]
    pub fn on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes one line.
    pub fn write(&self, line: &Line) {
        let Some(writer) = &self.0 else { return };
        let Ok(mut text) = serde_json::to_vec(line) else { return };
        text.push(b'\n');
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        // A broken pipe means that nobody reads any more; the replicas still have to be drained.
        let _ = writer.write_all(&text).and_then(|()| writer.flush());
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("on", &self.on()).finish()
    }
}
