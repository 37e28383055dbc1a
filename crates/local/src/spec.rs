//! What a group of replicas is: the command, its ports and GPUs, and the patience one has with it.
//!
//! Plain data with defaults. It must not know how replicas are run, nor the manifest it was read from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The name of the port that the placeholder `{port}` stands for; `{port:http}` is the same port.
pub const MAIN_PORT: &str = "http";

/// How to run one group of identical replicas.
///
/// In `command` and `env` values these placeholders are filled in for each start of a replica: `{port}` (the main
/// port), `{port:NAME}` (a further port, named by its first use), `{index}` (the number in the replica's id) and
/// `{name}` (the replica's id, such as `chat-3`). A brace that follows `$` or another brace, or that holds anything
/// but lower-case letters, digits, `-`, `_` and one `:`, is ordinary text, so that shell variables, JSON and chat
/// templates pass through.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// The group's name: lower-case letters, digits and `-`, at most 40 characters. Replica ids begin with it.
    pub name: String,
    /// Program and arguments. The program is looked up on `PATH`, or relative to `working_dir` if it has a `/`.
    pub command: Vec<String>,
    /// Environment variables added to this process's own.
    pub env: BTreeMap<String, String>,
    /// Where the command runs; this process's own working directory if absent.
    pub working_dir: Option<PathBuf>,
    /// Whole GPUs per replica, given to it as `CUDA_VISIBLE_DEVICES`.
    pub gpus_per_replica: u32,
    /// How a replica is found to be ready.
    pub readiness: Readiness,
    /// A replica that is not ready this long after its start is stopped and tried again.
    pub start_timeout: Duration,
    /// Time between `SIGTERM` and `SIGKILL`.
    pub drain_timeout: Duration,
    /// How long to wait before a crashed replica is started again.
    pub restart: RestartPolicy,
    /// Bounds on what is kept of each replica's output.
    pub log: LogLimits,
}

impl GroupSpec {
    /// A group with the defaults: no GPU, `GET /health` on the main port, 10 minutes to start, 30 s to drain.
    pub fn new(name: impl Into<String>, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            name: name.into(),
            command: command.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            working_dir: None,
            gpus_per_replica: 0,
            readiness: Readiness::default(),
            start_timeout: Duration::from_mins(10),
            drain_timeout: Duration::from_secs(30),
            restart: RestartPolicy::default(),
            log: LogLimits::default(),
        }
    }
}

/// How readiness is probed, at `127.0.0.1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Readiness {
    /// What is asked.
    pub check: ReadinessCheck,
    /// The name of the port that is asked.
    pub port: String,
    /// Time between probes while the replica is not ready. A ready replica is probed five times more rarely.
    pub interval: Duration,
    /// Time allowed for one probe.
    pub timeout: Duration,
    /// Consecutive failed probes after which a ready replica is no longer ready. It is not stopped for that.
    pub failure_threshold: u32,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            check: ReadinessCheck::Http { path: "/health".to_owned() },
            port: MAIN_PORT.to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            failure_threshold: 3,
        }
    }
}

/// What makes one probe succeed.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadinessCheck {
    /// `GET path` answers with a 2xx status.
    Http {
        /// The path, beginning with `/`, with a query if need be.
        path: String,
    },
    /// A TCP connection is accepted.
    Tcp,
}

/// The wait before a crashed replica is started again: it doubles from crash to crash.
#[derive(Clone, Debug, PartialEq)]
pub struct RestartPolicy {
    /// Wait after the first crash.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
    /// A replica that was ready for this long before it crashed starts over from `initial`.
    pub stable_after: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            max: Duration::from_mins(1),
            // Twice the longest wait: a replica that crashes once a minute does not count as healed.
            stable_after: Duration::from_mins(2),
        }
    }
}

/// Bounds on the output that is kept, per replica.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLimits {
    /// Lines kept in memory.
    pub lines: usize,
    /// Bytes of text kept in memory.
    pub bytes: usize,
    /// Bytes after which a longer line is cut.
    pub line_bytes: usize,
    /// Size in bytes at which the log file is rotated.
    pub file_bytes: u64,
    /// Files kept, the current one included.
    pub files: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { lines: 1000, bytes: 256 << 10, line_bytes: 8 << 10, file_bytes: 5 << 20, files: 2 }
    }
}
