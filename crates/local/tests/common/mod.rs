//! What the tests with real processes share: a supervisor over the test helper, and a look at who is alive.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of it is test code")]

use std::future::Future;
use std::time::Duration;

use local_world::{Config, Event, EventKind, Gpus, GroupSpec, ReplicaState, ReplicaStatus, Supervisor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast::Receiver;
use tokio::time::{sleep, timeout};

/// The helper, which has the guard mode too.
pub const TESTBED: &str = env!("CARGO_BIN_EXE_local-world-testbed");
/// Only there so that a failing test ends.
const PATIENCE: Duration = Duration::from_mins(1);

pub fn config(gpus: u32) -> Config {
    Config { gpus: Gpus::Count(gpus), guard_program: Some(TESTBED.into()), ..Config::default() }
}

/// A group that serves on its port, with further arguments; quick to probe and to try again.
pub fn serving(name: &str, arguments: &[&str]) -> GroupSpec {
    let mut command = vec![TESTBED, "serve", "--port", "{port}"];
    command.extend(arguments);
    let mut spec = GroupSpec::new(name, command);
    spec.readiness.interval = Duration::from_millis(20);
    spec.restart.initial = Duration::from_millis(20);
    spec.restart.max = Duration::from_millis(80);
    spec
}

/// A supervisor with one group of one replica, ready, and the events since.
pub async fn one_ready(spec: GroupSpec) -> (Supervisor, Receiver<Event>) {
    let supervisor = Supervisor::new(config(0)).await.unwrap();
    let mut events = supervisor.events();
    let name = spec.name.clone();
    supervisor.set_group(spec).unwrap();
    supervisor.scale(&name, 1).unwrap();
    until(&mut events, |kind| matches!(kind, EventKind::Ready { .. })).await;
    (supervisor, events)
}

/// The next event of a kind, skipping others.
pub async fn until(events: &mut Receiver<Event>, wanted: impl Fn(&EventKind) -> bool) -> Event {
    within(async {
        loop {
            let event = events.recv().await.unwrap();
            if wanted(&event.kind) {
                return event;
            }
        }
    })
    .await
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("the test waited in vain")
}

/// Waits for something that no event tells.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let polled = async {
        while !holds() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(PATIENCE, polled).await.is_ok(), "{what} did not come true");
}

pub fn replica(supervisor: &Supervisor, id: &str) -> ReplicaStatus {
    supervisor.status().into_iter().find(|status| status.id.as_str() == id).expect("a replica of this id")
}

pub fn states(supervisor: &Supervisor) -> Vec<(String, ReplicaState)> {
    supervisor.status().into_iter().map(|status| (status.id.to_string(), status.state)).collect()
}

pub async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Processes (zombies aside) whose environment holds `marker`: replicas, their guards and all descendants.
#[cfg(target_os = "linux")]
pub fn alive(marker: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let marked = |pid: &u32| {
        // A zombie's is empty.
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(marker.len()).any(|window| window == marker.as_bytes())
    };
    pids.filter(marked).collect()
}
