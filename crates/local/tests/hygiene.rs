//! Nothing stays behind: after a stop, a shutdown, a drop, and the violent death of supervisor or guard.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{TESTBED, alive, config, eventually, one_ready, replica, serving, until, within};
use local_world::{Error, EventKind, GroupSpec, ReplicaState, Supervisor};
use rustix::process::{Pid, Signal, kill_process};

/// Found in the environment of every process of one test.
fn marked(mut spec: GroupSpec, marker: &str) -> GroupSpec {
    spec.env.insert("LOCAL_WORLD_TEST".into(), marker.into());
    spec
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// The guard of a replica's process.
fn parent_of(process: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_stop_takes_grandchildren_along_even_escaped_ones() {
    for kind in ["plain", "escaped"] {
        let marker = format!("stop-{kind}-{}", std::process::id());
        let (supervisor, _) = one_ready(marked(serving("chat", &["--grandchild", kind]), &marker)).await;
        assert!(alive(&marker).len() >= 3, "guard, replica and grandchild");
        supervisor.stop("chat-0", None).unwrap();
        let last = within(supervisor.ended("chat-0")).await.unwrap();
        assert_eq!(last.last_exit.unwrap().code, Some(0), "the replica itself ended in peace");
        assert_eq!(alive(&marker), [0; 0], "{kind}");
    }
}

#[tokio::test]
async fn a_crash_takes_grandchildren_along_before_the_restart() {
    let marker = format!("crash-{}", std::process::id());
    let dir = tempfile::tempdir().unwrap();
    let crash = dir.path().join("crash");
    let spec = serving("chat", &["--grandchild", "escaped", "--crash-when", crash.to_str().unwrap()]);
    let mut spec = marked(spec, &marker);
    spec.restart.initial = Duration::from_hours(1);
    spec.restart.max = Duration::from_hours(1);
    let (supervisor, mut events) = one_ready(spec).await;
    std::fs::write(&crash, "").unwrap();
    until(&mut events, |kind| matches!(kind, EventKind::Restarting { .. })).await;
    assert_eq!(alive(&marker), [0; 0]);
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_shutdown_leaves_nothing_and_may_be_repeated() {
    let marker = format!("shutdown-{}", std::process::id());
    let supervisor = Supervisor::new(config(1)).await.unwrap();
    for (name, arguments) in [
        ("good", &["--grandchild", "escaped"][..]),
        ("stubborn", &["--ignore-term", "yes", "--grandchild", "plain"]),
        ("crashing", &["--crash-after", "1"]),
        ("starting", &["--never-ready", "yes"]),
    ] {
        supervisor.set_group(marked(serving(name, arguments), &marker)).unwrap();
        supervisor.scale(name, 2).unwrap();
    }
    let mut spec = marked(serving("waiting", &[]), &marker);
    spec.gpus_per_replica = 1;
    supervisor.set_group(spec).unwrap();
    supervisor.scale("waiting", 3).unwrap();
    let up = || supervisor.status().iter().filter(|status| status.state == ReplicaState::Ready).count() >= 5;
    eventually("five ready", up).await;
    let deadline = Duration::from_millis(200);
    let (first, second) =
        within(async { tokio::join!(supervisor.shutdown(deadline), supervisor.shutdown(deadline)) }).await;
    assert!(first.is_empty() && second.is_empty());
    assert_eq!(alive(&marker), [0; 0]);
    assert!(supervisor.status().iter().all(|status| status.state.is_final()));
    assert!(matches!(supervisor.scale("good", 9), Err(Error::ShuttingDown)));
    assert!(within(supervisor.shutdown(deadline)).await.is_empty());
}

#[tokio::test]
async fn dropping_the_supervisor_kills_everything() {
    let marker = format!("drop-{}", std::process::id());
    let (supervisor, _) = one_ready(marked(serving("chat", &["--grandchild", "escaped"]), &marker)).await;
    drop(supervisor);
    eventually("the end of all", || alive(&marker).is_empty()).await;
}

#[tokio::test]
async fn a_killed_guard_takes_its_replica_along_and_is_replaced() {
    let marker = format!("guard-{}", std::process::id());
    let (supervisor, mut events) = one_ready(marked(serving("chat", &["--grandchild", "plain"]), &marker)).await;
    let command = replica(&supervisor, "chat-0").pid.unwrap();
    let before = alive(&marker);
    kill(parent_of(command));
    until(&mut events, |kind| matches!(kind, EventKind::Exited { .. })).await;
    assert!(alive(&marker).iter().all(|pid| !before.contains(pid)));
    until(&mut events, |kind| matches!(kind, EventKind::Ready { .. })).await;
    let reason = replica(&supervisor, "chat-0").last_exit.unwrap().reason;
    assert_eq!(reason.as_deref(), Some("the guard process ended without a report"));
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn what_escaped_from_a_killed_guard_is_ended_and_reaped_too() {
    let marker = format!("stray-{}", std::process::id());
    let (supervisor, mut events) = one_ready(marked(serving("chat", &["--grandchild", "escaped"]), &marker)).await;
    let command = replica(&supervisor, "chat-0").pid.unwrap();
    let before = alive(&marker);
    assert_eq!(before.len(), 3, "guard, replica and a grandchild in a session of its own");
    kill(parent_of(command));
    until(&mut events, |kind| matches!(kind, EventKind::Exited { .. })).await;
    let left: Vec<_> = before.iter().filter(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists()).collect();
    assert!(left.is_empty(), "{left:?} of {before:?} are there still, as zombies at least");
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn killing_the_supervising_process_leaves_neither_child_nor_grandchild() {
    let marker = format!("parent-{}", std::process::id());
    let logs = tempfile::tempdir().unwrap();
    let mut supervising = Command::new(TESTBED)
        .args(["supervise", "--logs", logs.path().to_str().unwrap()])
        .env("LOCAL_WORLD_TEST", &marker)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(supervising.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "ready\n");
    // Supervising process, and for each of four replicas a guard, the replica and a grandchild.
    assert_eq!(alive(&marker).len(), 13);
    kill(supervising.id());
    supervising.wait().unwrap();
    eventually("the end of all", || alive(&marker).is_empty()).await;
}

#[tokio::test]
async fn killing_the_supervising_process_at_any_moment_of_a_start_leaves_nothing() {
    for moment in 0..12 {
        let marker = format!("moment-{moment}-{}", std::process::id());
        let mut supervising = Command::new(TESTBED)
            .arg("supervise")
            .env("LOCAL_WORLD_TEST", &marker)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(moment * 4)).await;
        kill(supervising.id());
        supervising.wait().unwrap();
        eventually("the end of all", || alive(&marker).is_empty()).await;
    }
}

#[tokio::test]
async fn replicas_are_out_of_reach_of_the_terminal() {
    let (supervisor, _) = one_ready(serving("chat", &[])).await;
    let command = replica(&supervisor, "chat-0").pid.unwrap();
    // Read from /proc: inside a container our own session may have no number (its leader lives outside).
    let session = |of: &str| -> String {
        let stat = std::fs::read_to_string(format!("/proc/{of}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().to_owned()
    };
    let pid = Pid::from_raw(command.try_into().unwrap());
    assert_ne!(session(&command.to_string()), session("self"));
    assert_eq!(rustix::process::getpgid(pid).unwrap(), pid.unwrap(), "a process group of its own");
    supervisor.shutdown(Duration::from_secs(10)).await;
}
