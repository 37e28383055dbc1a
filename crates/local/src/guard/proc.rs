//! Finding processes by parent or session, from `/proc` (Linux; elsewhere nothing is found).
//!
//! All of `/proc` is read because `/proc/PID/task/TID/children` is missing from kernels built without
//! `CONFIG_PROC_CHILDREN`. It is read only where a tree is to end, never while all is well.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// What `/proc/PID/stat` says of a process (proc(5)).
struct Stat {
    pid: i32,
    parent: i32,
    session: i32,
}

/// Kills the children of `parent`. Safe from the reuse of process ids if `parent` is this process and reaps on this
/// thread only: a child's id is free only after it was reaped.
pub(super) fn kill_children(parent: i32) {
    kill_where(|stat| stat.parent == parent);
}

/// Kills what is left of a session whose leader died; true if there was anything. A session's id is not given away
/// while the session has members.
pub(crate) fn kill_session(session: i32) -> bool {
    kill_where(|stat| stat.session == session)
}

fn kill_where(matches: impl Fn(&Stat) -> bool) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    let mut any = false;
    for entry in entries.flatten() {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.bytes().all(|c| c.is_ascii_digit()));
        if !is_process {
            continue;
        }
        let Ok(text) = fs::read(entry.path().join("stat")) else { continue };
        let Some(stat) = parse(&String::from_utf8_lossy(&text)) else { continue };
        if matches(&stat)
            && let Some(pid) = Pid::from_raw(stat.pid)
        {
            any = true;
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    any
}

/// `None` for a zombie too: it is as good as gone, and only its parent can remove it.
fn parse(stat: &str) -> Option<Stat> {
    let (pid, rest) = stat.split_once(" (")?;
    // The name may hold anything, parentheses too; the last one ends it.
    let mut fields = rest.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Stat { pid: pid.parse().ok()?, parent, session })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_does_not_confuse_the_fields() {
        let stat = parse("42 (a) S (b c) S 7 42 9 0 -1 4194304").unwrap();
        assert_eq!((stat.pid, stat.parent, stat.session), (42, 7, 9));
        assert!(parse("42 (a) Z 7 42 9 0").is_none());
        assert!(parse("").is_none());
    }
}
