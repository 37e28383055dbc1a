//! The controller as a program of its own, and what the machine says of it.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use crate::common::GUARD;
use crate::common::cluster::Cluster;
use crate::common::plane::ADMIN;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running controller; ends with the value.
pub(crate) struct Program {
    child: Child,
    metrics: String,
    pub(crate) began: Instant,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program's path: the first argument.
pub(crate) fn path() -> Option<String> {
    let path = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    if path.is_none() {
        println!(
            "give the program: cargo build --release && cargo bench -p autoscaler-kube -- \"$PWD/target/release/aibrix-autoscaler\""
        );
    }
    path
}

/// The number after the path at this place.
pub(crate) fn number(at: usize, otherwise: u32) -> u32 {
    let arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    arguments.skip(at).find_map(|text| text.parse().ok()).unwrap_or(otherwise)
}

impl Program {
    /// Starts it on a cluster of our own, with its defaults.
    pub(crate) fn start(path: &str, cluster: &mut Cluster) -> Option<Self> {
        let kubeconfig = cluster.world.own()?.kubeconfig(ADMIN);
        let port = |_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let [health, metrics] = [0, 1].map(port);
        let began = Instant::now();
        let child = Command::new(path)
            .args(["controller", "--health", &health, "--metrics", &metrics])
            .args(["--lease-namespace", &cluster.namespace])
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, metrics: format!("http://{metrics}/metrics"), began })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its metrics page; empty while it has none.
    pub(crate) async fn page(&self, client: &reqwest::Client) -> BTreeMap<String, f64> {
        let Ok(answer) = client.get(&self.metrics).send().await else { return BTreeMap::new() };
        let text = answer.text().await.unwrap_or_default();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let read =
            |line: &str| line.rsplit_once(' ').and_then(|(key, value)| Some((key.to_owned(), value.parse().ok()?)));
        lines.filter_map(read).collect()
    }

    /// Waits until so many objects are decided on; answers how long that took from the start.
    pub(crate) async fn decides(&self, client: &reqwest::Client, objects: usize) -> Duration {
        loop {
            let page = self.page(client).await;
            let decided = page.keys().filter(|key| key.starts_with("aibrix_autoscaler_scale_action")).count();
            if decided >= objects {
                return self.began.elapsed();
            }
            assert!(self.began.elapsed() < GUARD, "{decided} of {objects} are decided on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Processor time of a process so far, in seconds.
pub(crate) fn processor(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // After the name, which may have blanks; ticks are hundredths of a second on Linux.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Resident memory of a process, in MiB.
pub(crate) fn memory(id: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}
