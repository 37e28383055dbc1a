//! Finding processes by parent or session, from `/proc` (Linux; elsewhere nothing is found).
//!
//! All of `/proc` is read because `/proc/PID/task/TID/children` is missing from kernels built without
//! `CONFIG_PROC_CHILDREN`. It is read only where a tree is to end, never while all is well.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

/// The variable that tells one guard's tree from all others.
pub(crate) const MARK: &str = "AIBRIX_AUTOSCALER_GUARD";

/// What `/proc/PID/stat` says of a process (proc(5)).
struct Stat {
    pid: i32,
    parent: i32,
    session: i32,
    /// As good as gone; only its parent can remove it.
    is_zombie: bool,
}

/// Lets orphans become this process's children, as those of a guard that was killed must: nobody else would end them.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(getpid()))?;
    Ok(())
}

/// A value of [`MARK`] that no other guard on this machine has.
pub(crate) fn new_mark() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", own_pid(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// What a dead guard left behind: members of its session, and this process's children that carry its mark. One that is
/// in neither (it left the session and cleared its environment) is not found.
pub(crate) struct Left<'a> {
    session: i32,
    mark: &'a str,
    /// Children of this process that were killed, until they are reaped.
    killed: BTreeSet<i32>,
}

impl<'a> Left<'a> {
    /// What is left by the guard that had this process id and mark.
    pub(crate) fn by(guard: i32, mark: &'a str) -> Self {
        Self { session: guard, mark, killed: BTreeSet::new() }
    }

    /// One round: kills what lives, reaps what does not; true if there was anything. Killing one makes its children
    /// this process's. A session's id is not given away while the session has members, nor a child's before it is
    /// reaped, which nobody else does for these.
    pub(crate) fn kill(&mut self) -> bool {
        let own = own_pid();
        let mut any = false;
        for stat in all() {
            let is_child = stat.parent == own;
            let is_left = stat.session == self.session || (is_child && carries(stat.pid, self.mark));
            // A zombie's environment is gone.
            if !is_left && !self.killed.contains(&stat.pid) {
                continue;
            }
            any = true;
            match (stat.is_zombie, is_child) {
                (false, true) => {
                    kill(stat.pid);
                    self.killed.insert(stat.pid);
                }
                (false, false) => kill(stat.pid),
                (true, true) => self.reap(stat.pid),
                // Its parent is killed in this round, and then it is a child.
                (true, false) => {}
            }
        }
        any
    }

    fn reap(&mut self, pid: i32) {
        // Its id may be given to another from now on.
        self.killed.remove(&pid);
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

fn own_pid() -> i32 {
    getpid().as_raw_nonzero().get()
}

/// Whether the environment that a process began with has this mark.
fn carries(pid: i32, mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
}

/// Kills the children of `parent`. Safe from the reuse of process ids if `parent` is this process and reaps on this
/// thread only: a child's id is free only after it was reaped.
pub(super) fn kill_children(parent: i32) {
    all().filter(|stat| stat.parent == parent && !stat.is_zombie).for_each(|stat| kill(stat.pid));
}

fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn all() -> impl Iterator<Item = Stat> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.bytes().all(|c| c.is_ascii_digit()));
        let text = is_process.then(|| fs::read(entry.path().join("stat")).ok())??;
        parse(&String::from_utf8_lossy(&text))
    })
}

fn parse(stat: &str) -> Option<Stat> {
    let (pid, rest) = stat.split_once(" (")?;
    // The name may hold anything, parentheses too; the last one ends it.
    let mut fields = rest.rsplit_once(") ")?.1.split(' ');
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Stat { pid: pid.parse().ok()?, parent, session, is_zombie })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_does_not_confuse_the_fields() {
        let stat = parse("42 (a) S (b c) S 7 42 9 0 -1 4194304").unwrap();
        assert_eq!((stat.pid, stat.parent, stat.session, stat.is_zombie), (42, 7, 9, false));
        assert!(parse("42 (a) Z 7 42 9 0").unwrap().is_zombie);
        assert!(parse("").is_none());
    }
}
