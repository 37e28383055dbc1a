//! The last step before the command: tie its life to the guard's, then become it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// As shells say it: the command was not found.
const NOT_FOUND: u8 = 127;
/// As shells say it: the command was found and could not be run.
const NOT_RUN: u8 = 126;

/// Becomes the command; returns only if that fails.
pub(super) fn run(guard: i32, program: &OsString, arguments: &[OsString]) -> ExitCode {
    if !tie_to(guard) {
        return ExitCode::from(NOT_RUN);
    }
    let error = Command::new(program).args(arguments).exec();
    eprintln!("cannot start `{}`: {error}", program.display());
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN })
}

/// False if the guard is gone already. The parent is looked at after the signal is asked for, so its death cannot slip
/// between the two.
#[cfg(target_os = "linux")]
fn tie_to(guard: i32) -> bool {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        // The guard's own watch still holds; only its own violent death would leave the command behind.
        eprintln!("no parent-death signal: {error}");
    }
    getppid().is_some_and(|parent| parent.as_raw_nonzero().get() == guard)
}

#[cfg(not(target_os = "linux"))]
fn tie_to(_guard: i32) -> bool {
    true
}
