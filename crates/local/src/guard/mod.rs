//! The guard: a small process between the supervisor and each replica that leaves nothing behind.
//!
//! A supervisor that is killed with `SIGKILL` cannot stop its replicas, so something that outlives it must. Each
//! replica is started through this same binary in a hidden mode:
//!
//! ```text
//! supervisor ──socket──► BINARY __guard watch -- command…      its own session; adopts orphans of the replica
//!                          └── BINARY __guard exec PID -- …    its own process group; becomes the command by exec
//!                                └── whatever the command starts
//! ```
//!
//! - The guard's standard input is one end of a socket whose other end only the supervisor holds. Whenever and however
//!   the supervisor dies, even before the guard has started, the guard reads an end of file and kills the tree. (A
//!   parent-death signal would not do: it is sent when the *thread* that started the child ends, and it can be missed
//!   when the parent dies first.) Orders and reports pass over the same socket, so the supervisor never signals a
//!   process by a number that might have been given to another meanwhile.
//! - The guard is a child subreaper (Linux): a grandchild whose parent is gone becomes the guard's child, whatever
//!   group or session it moved to. When the command ends, the guard kills its children until it has none.
//! - The `exec` step asks for a parent-death signal (Linux) and then becomes the command, so that the command dies with
//!   a guard that is killed. The guard's main thread starts it and lives as long as the guard does.
//! - The supervisor is a child subreaper too (Linux): what a killed guard leaves becomes its child, and is killed. Only
//!   where guard and supervisor are both killed outright, in that order and at once, may a process that made a session
//!   of its own escape.
//!
//! Elsewhere than on Linux the command's process group is killed, best effort.
//!
//! A binary that supervises must call [`intercept`] first of all in `main`. Nothing here may know what a replica is.

mod exec;
mod orders;
pub(crate) mod proc;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) use orders::{Order, Report};
pub(crate) use watch::this_program;

/// The first argument that makes a binary a guard; [`intercept`] looks for it.
pub const GUARD_ARG: &str = "__guard";

/// Wrong use of the guard mode, as for any command.
const USAGE: u8 = 2;

/// Runs the guard if this process was started as one; call it first in `main`, before any thread or runtime is started,
/// and exit with the code it gives.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     if let Some(code) = local_world::guard::intercept() {
///         return code;
///     }
///     // …
///     std::process::ExitCode::SUCCESS
/// }
/// ```
#[must_use]
pub fn intercept() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    (args.next()? == GUARD_ARG).then(|| guard_main(args))
}

/// The guard mode's own arguments, those after [`GUARD_ARG`]: `watch -- command…` or `exec PID -- command…`.
///
/// Returns when the command and all that it started have ended, with the command's code (128 + N after signal N).
/// It must not be called inside an async runtime.
pub fn guard_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let Some(split) = args.iter().position(|arg| arg == "--") else { return usage() };
    let (mode, command) = (&args[..split], &args[split + 1..]);
    let Some((program, arguments)) = command.split_first() else { return usage() };
    match mode {
        [mode] if mode == "watch" => watch::run(program, arguments),
        [mode, guard] if mode == "exec" => match guard.to_str().and_then(|pid| pid.parse().ok()) {
            Some(guard) => exec::run(guard, program, arguments),
            None => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{GUARD_ARG} is for internal use: {GUARD_ARG} watch -- COMMAND… | {GUARD_ARG} exec PID -- COMMAND…");
    ExitCode::from(USAGE)
}
