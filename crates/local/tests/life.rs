//! One replica's life with real processes: ready, crash, timeout, stop, output.

mod common;

use std::time::Duration;

use common::{TESTBED, config, eventually, get, one_ready, replica, serving, until, within};
use local_world::{EventKind, GroupSpec, ReadinessCheck, ReplicaState, Stream, Supervisor};

#[tokio::test]
async fn a_replica_starts_on_a_free_port_and_becomes_ready() {
    let (supervisor, _) = one_ready(serving("chat", &["--delay", "50"])).await;
    let status = replica(&supervisor, "chat-0");
    assert_eq!(status.state, ReplicaState::Ready);
    assert!(status.pid.is_some() && status.started_at < status.ready_at && status.restarts == 0);
    assert_eq!(get(status.ports["http"], "/health").await, "ok");
    assert!(supervisor.shutdown(Duration::from_secs(10)).await.is_empty());
}

#[tokio::test]
async fn placeholders_reach_the_command_and_its_environment() {
    let mut spec = serving("chat", &[]);
    spec.env.insert("WHO".into(), "{name} {index} {port} {port:grpc}".into());
    let (supervisor, _) = one_ready(spec).await;
    let ports = replica(&supervisor, "chat-0").ports;
    assert_ne!(ports["http"], ports["grpc"]);
    let expected = format!("chat-0 0 {} {}", ports["http"], ports["grpc"]);
    assert_eq!(get(ports["http"], "/env/WHO").await, expected);
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_tcp_check_is_enough_for_readiness() {
    let mut spec = serving("chat", &["--never-ready", "yes"]);
    spec.readiness.check = ReadinessCheck::Tcp;
    let (supervisor, _) = one_ready(spec).await;
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_crash_is_followed_by_a_restart_with_growing_back_off() {
    let supervisor = Supervisor::new(config(0)).await.unwrap();
    let mut events = supervisor.events();
    supervisor.set_group(serving("chat", &["--crash-after", "1"])).unwrap();
    supervisor.scale("chat", 1).unwrap();
    let mut waits = Vec::new();
    while waits.len() < 4 {
        let exited = until(&mut events, |kind| matches!(kind, EventKind::Exited { .. })).await;
        assert_eq!(exited.kind, EventKind::Exited { code: Some(3), signal: None });
        if let EventKind::Restarting { after } =
            until(&mut events, |k| matches!(k, EventKind::Restarting { .. })).await.kind
        {
            waits.push(after.as_millis());
        }
    }
    assert_eq!(waits, [20, 40, 80, 80]);
    let status = replica(&supervisor, "chat-0");
    assert!(status.restarts >= 3);
    assert_eq!(status.last_exit.unwrap().code, Some(3));
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_replica_that_does_not_become_ready_is_stopped_and_tried_again() {
    let supervisor = Supervisor::new(config(0)).await.unwrap();
    let mut events = supervisor.events();
    let mut spec = serving("chat", &["--never-ready", "yes", "--ignore-term", "yes"]);
    spec.start_timeout = Duration::from_millis(100);
    spec.drain_timeout = Duration::from_millis(50);
    supervisor.set_group(spec).unwrap();
    supervisor.scale("chat", 1).unwrap();
    let timed_out = until(&mut events, |kind| matches!(kind, EventKind::StartTimedOut { .. })).await;
    assert_eq!(timed_out.kind, EventKind::StartTimedOut { after: Duration::from_millis(100) });
    until(&mut events, |kind| matches!(kind, EventKind::Exited { .. })).await;
    until(&mut events, |kind| matches!(kind, EventKind::Restarting { .. })).await;
    until(&mut events, |kind| matches!(kind, EventKind::Started { .. })).await;
    let last_exit = replica(&supervisor, "chat-0").last_exit.unwrap();
    assert_eq!(last_exit.reason.as_deref(), Some("was not ready within 100ms"));
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_stopped_replica_gets_the_chance_to_end_by_itself() {
    let (supervisor, _) = one_ready(serving("chat", &[])).await;
    supervisor.stop("chat-0", None).unwrap();
    assert_eq!(replica(&supervisor, "chat-0").state, ReplicaState::Stopping);
    let last = within(supervisor.ended("chat-0")).await.unwrap();
    let exit = last.last_exit.unwrap();
    assert_eq!((last.state, exit.code, exit.signal), (ReplicaState::Stopped, Some(0), None));
    assert!(last.pid.is_none() && last.ports.is_empty());
    let output = supervisor.tail("chat-0", 100).unwrap();
    assert!(output.iter().any(|line| line.stream == Stream::Stdout && &*line.text == "asked to end"), "{output:?}");
}

#[tokio::test]
async fn an_order_given_right_after_the_start_is_not_lost() {
    for _ in 0..10 {
        let supervisor = Supervisor::new(config(0)).await.unwrap();
        supervisor.set_group(serving("chat", &[])).unwrap();
        supervisor.scale("chat", 1).unwrap();
        tokio::task::yield_now().await;
        supervisor.stop("chat-0", Some(Duration::from_hours(1))).unwrap();
        let last = within(supervisor.ended("chat-0")).await.unwrap();
        assert_eq!(last.state, ReplicaState::Stopped);
    }
}

#[tokio::test]
async fn a_replica_that_ignores_the_request_to_end_is_killed() {
    let (supervisor, _) = one_ready(serving("chat", &["--ignore-term", "yes"])).await;
    supervisor.stop("chat-0", Some(Duration::from_hours(1))).unwrap();
    // The earlier deadline holds.
    supervisor.stop("chat-0", Some(Duration::from_millis(50))).unwrap();
    let last = within(supervisor.ended("chat-0")).await.unwrap();
    assert_eq!((last.state, last.last_exit.unwrap().signal), (ReplicaState::Stopped, Some(9)));
}

#[tokio::test]
async fn readiness_is_lost_and_regained_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let sick = dir.path().join("sick");
    let (supervisor, mut events) = one_ready(serving("chat", &["--unhealthy-while", sick.to_str().unwrap()])).await;
    let before = replica(&supervisor, "chat-0");
    std::fs::write(&sick, "").unwrap();
    let lost = until(&mut events, |kind| matches!(kind, EventKind::NotReady { .. })).await;
    assert_eq!(lost.kind, EventKind::NotReady { reason: "status 503".into() });
    assert_eq!(replica(&supervisor, "chat-0").state, ReplicaState::NotReady);
    std::fs::remove_file(&sick).unwrap();
    let again = until(&mut events, |kind| matches!(kind, EventKind::Ready { .. })).await;
    assert_eq!(replica(&supervisor, "chat-0").pid, before.pid);
    let EventKind::Ready { after } = again.kind else { panic!("{again:?}") };
    assert!(after < again.at - before.ready_at.unwrap(), "it counts from the loss and not from the start: {after:?}");
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_flood_of_output_neither_blocks_the_replica_nor_outgrows_its_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = config(0);
    settings.log_dir = Some(dir.path().to_owned());
    let supervisor = Supervisor::new(settings).await.unwrap();
    let mut events = supervisor.events();
    let mut spec = serving("chat", &["--flood", "20000000"]);
    spec.log.file_bytes = 100_000;
    supervisor.set_group(spec).unwrap();
    supervisor.scale("chat", 1).unwrap();
    until(&mut events, |kind| matches!(kind, EventKind::Ready { .. })).await;
    let tail = supervisor.tail("chat-0", usize::MAX).unwrap();
    assert!(tail.len() <= 1000 && tail.iter().map(|line| line.text.len()).sum::<usize>() <= 256 << 10);
    supervisor.shutdown(Duration::from_secs(10)).await;
    // The writer may be at its last lines still, and between two names of a file.
    let sizes = || -> Vec<u64> {
        let files = std::fs::read_dir(dir.path()).unwrap().flatten();
        files.filter_map(|file| Some(file.metadata().ok()?.len())).collect()
    };
    eventually("two files", || sizes().len() == 2).await;
    assert!(sizes().iter().all(|size| *size <= 100_000), "{:?}", sizes());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_and_tried_again() {
    let supervisor = Supervisor::new(config(0)).await.unwrap();
    let mut events = supervisor.events();
    supervisor.set_group(GroupSpec::new("chat", ["no-such-engine", "{port}"])).unwrap();
    supervisor.scale("chat", 1).unwrap();
    let failed = until(&mut events, |kind| matches!(kind, EventKind::StartFailed { .. })).await;
    assert_eq!(failed.kind, EventKind::StartFailed { reason: "no-such-engine: no such program".to_owned() });
    until(&mut events, |kind| matches!(kind, EventKind::Restarting { .. })).await;
    let tail = supervisor.tail("chat-0", 10).unwrap();
    assert!(tail.iter().any(|line| line.text.contains("no-such-engine: no such program")), "{tail:?}");
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_missing_working_directory_is_named_and_tried_again() {
    let supervisor = Supervisor::new(config(0)).await.unwrap();
    let mut events = supervisor.events();
    let mut spec = GroupSpec::new("chat", [TESTBED, "serve", "--port", "{port}"]);
    spec.working_dir = Some("/no/such/directory".into());
    supervisor.set_group(spec).unwrap();
    supervisor.scale("chat", 1).unwrap();
    let failed = until(&mut events, |kind| matches!(kind, EventKind::StartFailed { .. })).await;
    let reason = "workingDir `/no/such/directory` is not a directory".to_owned();
    assert_eq!(failed.kind, EventKind::StartFailed { reason });
    until(&mut events, |kind| matches!(kind, EventKind::Restarting { .. })).await;
    eventually("back-off", || replica(&supervisor, "chat-0").state == ReplicaState::BackingOff).await;
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn waits_shrink_with_the_speed_and_reports_do_not() {
    let mut settings = config(0);
    settings.speed = 1000.0;
    let supervisor = Supervisor::new(settings).await.unwrap();
    let mut events = supervisor.events();
    let mut spec = serving("chat", &["--crash-after", "1"]);
    // Hours at speed 1; the test would run into its own patience.
    spec.restart.initial = Duration::from_mins(10);
    spec.restart.max = Duration::from_mins(10);
    supervisor.set_group(spec).unwrap();
    supervisor.scale("chat", 1).unwrap();
    for _ in 0..3 {
        let restarting = until(&mut events, |kind| matches!(kind, EventKind::Restarting { .. })).await;
        assert_eq!(restarting.kind, EventKind::Restarting { after: Duration::from_mins(10) });
    }
    supervisor.shutdown(Duration::from_secs(10)).await;
}
