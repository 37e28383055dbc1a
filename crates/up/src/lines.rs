//! `up --json`: JSON lines only, each with a `type` (the design's contract 4.4).

use crate::tally::Summary;
use crate::view::Point;
use autoscaler_runtime::decide::output::Line as DecisionLine;
use serde::Serialize;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// Where lines go. Writing never waits: a thread of its own writes, so that a reader that stalls stops nothing but its
/// own lines, and one that went away ends the output and not the run.
#[derive(Clone, Default)]
pub struct Lines(Option<Arc<Queue>>);

/// Lines that may wait for the reader; beyond it `state` lines are left out, which the next one replaces anyway.
const STATE_ROOM: usize = 1024;
/// Beyond this everything but the summary is left out.
const ROOM: usize = 8 * STATE_ROOM;

struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    /// Left out and not yet said: state lines, and others.
    lost: (u64, u64),
    /// Nothing more will come.
    closed: bool,
    /// Everything is written, or nobody reads any more.
    done: bool,
}

impl Lines {
    /// Lines to a writer.
    #[must_use]
    pub fn to(writer: Box<dyn Write + Send>) -> Self {
        let queue = Arc::new(Queue { waiting: Mutex::default(), changed: Condvar::new() });
        let theirs = Arc::clone(&queue);
        let started = std::thread::Builder::new().name("lines".to_owned()).spawn(move || theirs.write_to(writer));
        if let Err(error) = started {
            tracing::error!(%error, "no lines can be written");
            return Self::default();
        }
        Self(Some(queue))
    }

    /// Whether anybody reads.
    #[must_use]
    pub fn on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes one line, or counts it as left out where too many wait already.
    pub fn write(&self, line: &Line) {
        if let Some(queue) = &self.0 {
            queue.push(line);
        }
    }

    /// Waits until everything is written, at most so long. Answers whether it was.
    #[must_use]
    pub fn finish(&self, patience: Duration) -> bool {
        self.0.as_ref().is_none_or(|queue| queue.finish(patience))
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &Line) {
        let Some(text) = line.text() else { return };
        let mut waiting = self.lock();
        if waiting.closed || waiting.done {
            return;
        }
        let (state, last) = (matches!(line, Line::State { .. }), matches!(line, Line::Summary(_)));
        if waiting.lines.len() >= if state { STATE_ROOM } else { ROOM } && !last {
            let (states, others) = &mut waiting.lost;
            *(if state { states } else { others }) += 1;
            return;
        }
        if let (states, others) = std::mem::take(&mut waiting.lost)
            && states + others > 0
        {
            let message = format!("{states} state lines and {others} others were left out: the reader is too slow");
            waiting.lines.extend(Line::Warning { at: line.at(), message }.text());
        }
        waiting.lines.push_back(text);
        drop(waiting);
        self.changed.notify_all();
    }

    fn write_to(&self, mut writer: Box<dyn Write + Send>) {
        loop {
            let idle = |waiting: &mut Waiting| waiting.lines.is_empty() && !waiting.closed;
            let waiting = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            let lines = { waiting }.lines.split_off(0);
            // A broken pipe means that nobody reads any more; the replicas still have to be drained.
            let written = lines.iter().try_for_each(|line| writer.write_all(line)).and_then(|()| writer.flush());
            if lines.is_empty() || written.is_err() {
                self.lock().done = true;
                self.changed.notify_all();
                return;
            }
        }
    }

    fn finish(&self, patience: Duration) -> bool {
        let mut waiting = self.lock();
        waiting.closed = true;
        self.changed.notify_all();
        let ended = self.changed.wait_timeout_while(waiting, patience, |waiting| !waiting.done);
        ended.unwrap_or_else(PoisonError::into_inner).0.done
    }
}

impl Line {
    fn text(&self) -> Option<Vec<u8>> {
        let mut text = serde_json::to_vec(self).ok()?;
        text.push(b'\n');
        Some(text)
    }

    /// Trace seconds.
    fn at(&self) -> f64 {
        match self {
            Self::Start { .. } => 0.0,
            Self::Decision(line) => line.at,
            Self::State { point, .. } => point.at,
            Self::Replica { at, .. } | Self::Warning { at, .. } => *at,
            Self::Summary(summary) => summary.seconds,
        }
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("on", &self.on()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A writer that takes what it is given once it is let go on.
    struct Gate {
        entered: mpsc::Sender<()>,
        open: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.entered.send(());
            // An open gate has lost its sender.
            let _ = self.open.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    struct Stalled {
        lines: Lines,
        open: mpsc::Sender<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    /// Lines whose reader has stalled after the first one.
    fn stalled() -> Stalled {
        let ((enter, entered), (open, opened)) = (mpsc::channel(), mpsc::channel());
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::to(Box::new(Gate { entered: enter, open: opened, written: Arc::clone(&written) }));
        lines.write(&warning(0.0));
        entered.recv().unwrap();
        Stalled { lines, open, written }
    }

    fn warning(at: f64) -> Line {
        Line::Warning { at, message: "w".to_owned() }
    }

    fn state(at: f64) -> Line {
        Line::State { autoscaler: "a".to_owned(), point: Point { at, ..Point::default() } }
    }

    fn parsed(written: &Mutex<Vec<u8>>) -> Vec<serde_json::Value> {
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_reader_that_stalls_costs_state_lines_and_is_told_how_many() {
        let Stalled { lines, open, written } = stalled();
        for _ in 0..STATE_ROOM + 5 {
            lines.write(&state(1.0));
        }
        lines.write(&warning(2.0));
        drop(open);
        assert!(lines.finish(LONG));
        let seen = parsed(&written);
        let states = seen.iter().filter(|line| line["type"] == "state").count();
        assert_eq!(states, STATE_ROOM);
        let [told, last] = &seen[seen.len() - 2..] else { panic!("{seen:?}") };
        let message = "5 state lines and 0 others were left out: the reader is too slow";
        assert_eq!((&told["message"], &told["at"]), (&message.into(), &2.0.into()));
        assert_eq!(last["message"], "w", "what is no state is not lost");
    }

    #[test]
    fn nothing_waits_without_bound_and_what_is_lost_is_said() {
        let Stalled { lines, open, written } = stalled();
        for _ in 0..ROOM + 3 {
            lines.write(&warning(1.0));
        }
        let tally = crate::tally::Tally::new(crate::clock::Clock::start(1.0), workload::score::Slo::default()).unwrap();
        lines.write(&Line::Summary(tally.summary(9.0, std::collections::BTreeMap::new())));
        drop(open);
        assert!(lines.finish(LONG));
        let seen = parsed(&written);
        let [told, last] = &seen[seen.len() - 2..] else { panic!("{seen:?}") };
        assert_eq!(told["message"], "0 state lines and 3 others were left out: the reader is too slow");
        assert_eq!(last["type"], "summary", "the last line always has room");
    }

    #[test]
    fn a_reader_that_never_reads_does_not_keep_the_program() {
        let Stalled { lines, open, .. } = stalled();
        lines.write(&state(1.0));
        assert!(!lines.finish(Duration::ZERO));
        drop(open);
    }

    #[test]
    fn a_reader_that_went_away_ends_the_output() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::to(Box::new(Closed));
        lines.write(&warning(0.0));
        assert!(lines.finish(LONG));
    }
}
