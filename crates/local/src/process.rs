//! One replica's process as the supervisor holds it: started through the guard, told to end, waited for.
//!
//! Dropping it closes the guard's lifeline, which kills the whole tree. It must not know why a replica is started.

use std::io::{self, Write};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::sleep;

use crate::guard::{GUARD_ARG, Order, Report, proc};
use crate::launch::Launch;
use crate::program;

/// Rounds of killing what a killed guard left, and the pause between them. Two are usual; the bound is for what cannot
/// be killed.
const ORPHAN_ROUNDS: u32 = 100;
const ORPHAN_PAUSE: Duration = Duration::from_millis(20);

/// How a replica's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// What code and signal do not say.
    pub(crate) reason: Option<String>,
}

/// News of a process.
#[derive(Debug)]
pub(crate) enum News {
    /// The command runs, with this process id.
    Started(u32),
    /// The command has ended and its whole tree with it.
    Ended(Exit),
}

/// A guarded process.
#[derive(Debug)]
pub(crate) struct Guarded {
    child: Child,
    guard: Option<i32>,
    /// In the environment of the guard and of all that comes of it.
    mark: String,
    reports: Lines<BufReader<UnixStream>>,
    /// The same end of the same socket. Not tokio's: that refuses to write before it has heard that it may.
    orders: StdUnixStream,
    exit: Option<Exit>,
}

/// The two ends of a replica's output.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl Guarded {
    /// Starts `launch` under a guard, which is `guard_program` in its guard mode.
    pub(crate) fn spawn(guard_program: &Path, launch: &Launch) -> io::Result<(Self, Output)> {
        check_folder(launch)?;
        program::check(launch)?;
        // Both ends are close-on-exec: no other replica inherits this one's lifeline.
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let orders = ours.try_clone()?;
        let mark = proc::new_mark();
        let reports = UnixStream::from_std(ours)?;
        let mut command = Command::new(guard_program);
        command
            .args([GUARD_ARG, "watch", "--"])
            .args(&launch.command)
            .envs(&launch.env)
            .env(proc::MARK, &mark)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(dir) = &launch.working_dir {
            command.current_dir(dir);
        }
        let mut child = command.spawn()?;
        let output = Output { stdout: child.stdout.take(), stderr: child.stderr.take() };
        let guard = child.id().and_then(|id| i32::try_from(id).ok());
        Ok((Self { child, guard, mark, reports: BufReader::new(reports).lines(), orders, exit: None }, output))
    }

    /// Waits for the next news. Cancel safe; not to be called again after [`News::Ended`].
    pub(crate) async fn next(&mut self) -> News {
        while let Ok(Some(line)) = self.reports.next_line().await {
            let exit = |code, signal| Exit { code, signal, reason: None };
            match Report::parse(&line) {
                Some(Report::Pid(pid)) => return News::Started(pid),
                Some(Report::Exit(code)) => self.exit = Some(exit(Some(code), None)),
                Some(Report::Signal(signal)) => self.exit = Some(exit(None, Some(signal))),
                None => tracing::warn!(line, "the guard said something unknown"),
            }
        }
        let status = self.child.wait().await;
        match self.exit.take() {
            Some(exit) => News::Ended(exit),
            None => News::Ended(self.abandoned(status).await),
        }
    }

    /// The guard ended without a report: it was killed, or is no guard. The command died with it (parent-death signal);
    /// what the command started is this process's child now, or becomes it when its own parent is killed.
    async fn abandoned(&self, status: io::Result<ExitStatus>) -> Exit {
        if let Some(guard) = self.guard {
            let mut left = proc::Left::by(guard, &self.mark);
            for _ in 0..ORPHAN_ROUNDS {
                if !left.kill() {
                    break;
                }
                sleep(ORPHAN_PAUSE).await;
            }
        }
        match status {
            Ok(status) => Exit {
                code: status.code(),
                signal: status.signal(),
                reason: Some("the guard process ended without a report".to_owned()),
            },
            Err(error) => Exit { code: None, signal: None, reason: Some(format!("the guard is lost: {error}")) },
        }
    }

    /// Asks the command's process group to end.
    pub(crate) fn terminate(&self) {
        self.order(Order::Terminate);
    }

    /// Kills the whole tree.
    pub(crate) fn kill(&self) {
        self.order(Order::Kill);
    }

    fn order(&self, order: Order) {
        // A guard that has gone needs no orders; the socket holds far more than the few that are ever sent.
        let _ = (&self.orders).write(&[order.byte()]);
    }
}

/// The system's own error for a missing working directory reads as if the program were missing.
fn check_folder(launch: &Launch) -> io::Result<()> {
    match &launch.working_dir {
        Some(dir) if !dir.is_dir() => {
            let message = format!("workingDir `{}` is not a directory", dir.display());
            Err(io::Error::new(io::ErrorKind::NotFound, message))
        }
        _ => Ok(()),
    }
}
