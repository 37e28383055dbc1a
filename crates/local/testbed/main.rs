//! What the tests run: a replica with every vice, and a process that supervises some and can be killed.
//!
//! Everything is switched by `--name value` arguments; a misuse panics, which the tests see.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test helper, built for tests only")]
#![allow(clippy::zombie_processes, reason = "leaving processes behind is what it is for")]

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use local_world::{Config, Gpus, GroupSpec, Supervisor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

fn main() -> ExitCode {
    if let Some(code) = local_world::guard::intercept() {
        return code;
    }
    let args = Args(std::env::args().skip(1).collect());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match args.0.first().map(String::as_str) {
        Some("serve") => runtime.block_on(serve(&args)),
        Some("linger") => runtime.block_on(linger(&args)),
        Some("supervise") => runtime.block_on(supervise(&args)),
        other => panic!("unknown mode {other:?}"),
    }
}

struct Args(Vec<String>);

impl Args {
    fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|arg| arg == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    fn millis(&self, name: &str) -> Option<Duration> {
        self.get(name).map(|text| Duration::from_millis(text.parse().unwrap()))
    }
}

/// Serves `/health` and `/env/NAME`, with the vices asked for.
async fn serve(args: &Args) -> ExitCode {
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    if let Some(kind) = args.get("--grandchild") {
        start_grandchild(kind);
    }
    if let Some(bytes) = args.get("--flood") {
        let bytes: usize = bytes.parse().unwrap();
        tokio::task::spawn_blocking(move || flood(bytes)).await.unwrap();
        println!("flooded");
    }
    let listening = listen(args);
    let crashing = async {
        match (args.millis("--crash-after"), args.get("--crash-when").map(PathBuf::from)) {
            (Some(after), _) => sleep(after).await,
            (None, Some(file)) => {
                while !file.exists() {
                    sleep(Duration::from_millis(5)).await;
                }
            }
            (None, None) => std::future::pending().await,
        }
    };
    let ending = async {
        loop {
            terminate.recv().await;
            println!("asked to end");
            if args.get("--ignore-term").is_none() {
                break;
            }
        }
    };
    tokio::select! {
        () = listening => ExitCode::FAILURE,
        () = crashing => ExitCode::from(3),
        () = ending => ExitCode::SUCCESS,
    }
}

async fn listen(args: &Args) {
    let port: u16 = args.get("--port").unwrap().parse().unwrap();
    sleep(args.millis("--delay").unwrap_or_default()).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let unhealthy_while = args.get("--unhealthy-while").map(PathBuf::from);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let sick = args.get("--never-ready").is_some() || unhealthy_while.as_ref().is_some_and(|file| file.exists());
        tokio::spawn(answer(stream, sick));
    }
}

async fn answer(mut stream: TcpStream, sick: bool) {
    let mut head = vec![0; 4096];
    let read = stream.read(&mut head).await.unwrap_or(0);
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match path.strip_prefix("/env/") {
        Some(name) => ("200 OK", std::env::var(name).unwrap_or_else(|_| "(unset)".into())),
        None if sick => ("503 Service Unavailable", "no".into()),
        None => ("200 OK", "ok".into()),
    };
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.write_all(text.as_bytes()).await;
}

/// `plain`: in this process's group. `escaped`: in a session of its own, its parent gone.
fn start_grandchild(kind: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["linger", "--kind", kind]).stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    if kind == "escaped" {
        // It starts one more and exits.
        child.wait().unwrap();
    }
}

async fn linger(args: &Args) -> ExitCode {
    // Ignored, as by a worker that leaves signals to its parent.
    let _terminate = signal(SignalKind::terminate()).unwrap();
    if args.get("--kind") == Some("escaped") {
        Command::new(std::env::current_exe().unwrap()).args(["linger", "--kind", "session"]).spawn().unwrap();
        return ExitCode::SUCCESS;
    }
    if args.get("--kind") == Some("session") {
        rustix::process::setsid().unwrap();
    }
    std::future::pending().await
}

fn flood(bytes: usize) {
    let line = format!("{}\n", "x".repeat(199));
    let mut out = std::io::stdout().lock();
    for _ in 0..bytes / line.len() {
        out.write_all(line.as_bytes()).unwrap();
    }
}

/// Runs replicas with grandchildren and says `ready` when they are; then waits to be killed.
async fn supervise(args: &Args) -> ExitCode {
    let program = std::env::current_exe().unwrap().display().to_string();
    let config = Config { gpus: Gpus::Count(0), log_dir: args.get("--logs").map(PathBuf::from), ..Config::default() };
    let supervisor = Supervisor::new(config).await.unwrap();
    for kind in ["plain", "escaped"] {
        let mut spec = GroupSpec::new(kind, [&program, "serve", "--port", "{port}", "--grandchild", kind]);
        spec.readiness.interval = Duration::from_millis(20);
        supervisor.set_group(spec).unwrap();
        supervisor.scale(kind, 2).unwrap();
    }
    while !supervisor.status().iter().all(|replica| replica.ready_at.is_some()) {
        sleep(Duration::from_millis(10)).await;
    }
    println!("ready");
    std::future::pending().await
}
