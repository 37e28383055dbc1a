//! The guard itself: starts the command, passes orders on, reaps, and sweeps up at the end.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use super::{GUARD_ARG, Order, Report, proc};

/// The guard failed before it had started the command.
const FAILED: u8 = 125;
/// Pause between two rounds of killing what is left; a round kills one generation at least.
const SWEEP_PAUSE: Duration = Duration::from_millis(20);

pub(super) fn run(program: &OsStr, arguments: &[OsString]) -> ExitCode {
    // One thread: a second one could reap a child between the look at its id and the signal to it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(watch(program, arguments))) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("the guard of `{}` failed: {error}", program.display());
            ExitCode::from(FAILED)
        }
    }
}

async fn watch(program: &OsStr, arguments: &[OsString]) -> io::Result<u8> {
    // A session of its own: no Ctrl-C and no hang-up of the supervisor's terminal reaches the replica, which is to be
    // drained first. Refused only to a group leader, as when it is run from a shell by hand.
    let _ = rustix::process::setsid();
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let lifeline = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // The same socket, so non-blocking too; reports are a few bytes and always fit.
    let mut reports = lifeline.try_clone()?;
    lifeline.set_nonblocking(true)?;
    let mut tree = Tree::start(program, arguments)?;
    let _ = writeln!(reports, "{}", Report::Pid(tree.root.as_raw_nonzero().get().unsigned_abs()));
    let status = tree.attend(UnixStream::from_std(lifeline)?).await;
    tree.sweep().await;
    let (report, code) = outcome(status);
    // Nobody reads it if the supervisor is gone.
    let _ = writeln!(reports, "{report}");
    Ok(code)
}

fn outcome(status: WaitStatus) -> (Report, u8) {
    let byte = |code| u8::try_from(code).unwrap_or(u8::MAX);
    if let Some(signal) = status.terminating_signal() {
        return (Report::Signal(signal), byte(128 + signal));
    }
    let code = status.exit_status().unwrap_or_default();
    (Report::Exit(code), byte(code))
}

/// The command and all that it starts.
struct Tree {
    root: Pid,
    root_status: Option<WaitStatus>,
    child_ended: Signals,
    /// Signals meant for the guard are meant for the command: service managers signal every process at once.
    passed_on: [Signals; 3],
}

impl Tree {
    fn start(program: &OsStr, arguments: &[OsString]) -> io::Result<Self> {
        // Before the start, so that no end is missed.
        let child_ended = signal(SignalKind::child())?;
        let passed_on =
            [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?];
        let child = Command::new(this_program()?)
            .args([GUARD_ARG, "exec", &std::process::id().to_string(), "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()?;
        let root = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { root, root_status: None, child_ended, passed_on })
    }

    /// Until the command has ended.
    async fn attend(&mut self, mut lifeline: UnixStream) -> WaitStatus {
        let mut supervised = true;
        loop {
            if let Some(status) = self.root_status {
                return status;
            }
            let mut order = [0];
            let [terminate, interrupt, hangup] = &mut self.passed_on;
            tokio::select! {
                _ = self.child_ended.recv() => {
                    self.reap();
                }
                read = lifeline.read(&mut order), if supervised => {
                    // An end or an error: the supervisor is gone.
                    supervised = matches!(read, Ok(1..));
                    self.obey(if supervised { Order::parse(order[0]) } else { Some(Order::Kill) });
                }
                _ = terminate.recv() => self.signal_group(Signal::TERM),
                _ = interrupt.recv() => self.signal_group(Signal::INT),
                _ = hangup.recv() => self.signal_group(Signal::HUP),
            }
        }
    }

    fn obey(&self, order: Option<Order>) {
        match order {
            // To each process of the group once: a second one makes some servers quit without draining.
            Some(Order::Terminate) => self.signal_group(Signal::TERM),
            Some(Order::Kill) => {
                self.signal_group(Signal::KILL);
                if self.root_status.is_none() {
                    // In case the command has left its own group.
                    let _ = kill_process(self.root, Signal::KILL);
                }
            }
            None => {}
        }
    }

    fn signal_group(&self, signal: Signal) {
        // The group's id is not reused while the root is not reaped.
        if self.root_status.is_none() {
            let _ = kill_process_group(self.root, signal);
        }
    }

    /// Takes note of every child that has ended; false if none is left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.root => self.root_status = Some(status),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Kills what the command left behind, until nothing is left. What cannot be killed (a process in an
    /// uninterruptible wait still holds its GPU) is waited for.
    async fn sweep(&mut self) {
        if cfg!(not(target_os = "linux")) {
            // All that can be done there. Whoever is left in the group keeps the group's id from being reused.
            let _ = kill_process_group(self.root, Signal::KILL);
        }
        while self.reap() {
            proc::kill_children(rustix::process::getpid().as_raw_nonzero().get());
            tokio::select! {
                _ = self.child_ended.recv() => {}
                () = tokio::time::sleep(SWEEP_PAUSE) => {}
            }
        }
    }
}

/// This binary, even if its file was replaced since the start.
pub(crate) fn this_program() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}
