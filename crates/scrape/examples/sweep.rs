//! Time and memory of a sweep: `cargo run --release -p autoscaler-scrape --example sweep -- [REPLICAS] [SWEEPS]`.
//!
//! A second process serves the pages, each replica on a port of its own, so that only the scraper's memory is counted.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints, and ends where it cannot go on")]

use autoscaler_scrape::{Access, Page, ScrapeConfig, Scraper, Target};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    raise_file_limit();
    if args.first().is_some_and(|arg| arg == "serve") {
        serve(number(1, 500)).await;
    } else {
        measure(number(0, 500), number(1, 20)).await;
    }
}

/// Listeners and connections of one process.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let hard = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard });
}

async fn measure(replicas: usize, sweeps: usize) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let program = std::env::current_exe().unwrap();
    let mut server =
        Command::new(program).args(["serve", &replicas.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
    let mut ports = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let target = |port: String| Target {
        id: port.clone(),
        url: format!("http://127.0.0.1:{port}/metrics"),
        access: Access::default(),
    };
    let targets: Vec<Target> = ports.by_ref().take(replicas).map(target).collect();
    let before = memory("VmRSS");
    let config = ScrapeConfig {
        sweep_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(5),
        ..ScrapeConfig::default()
    };
    let scraper = Scraper::new(config);
    let (mut times, mut bytes, mut failed) = (Vec::new(), 0, 0);
    for _ in 0..sweeps.max(2) {
        let start = Instant::now();
        bytes = 0;
        let each = |_, page: Result<Page, _>| match page {
            Ok(page) => bytes += page.body.len(),
            Err(_) => failed += 1,
        };
        scraper.sweep_each(&targets, each).await;
        times.push(start.elapsed());
    }
    let first = times.remove(0);
    times.sort();
    let _ = server.kill();
    let _ = server.wait();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).saturating_sub(1)];
    println!("{replicas} replicas, {} kB a sweep, {failed} pages failed", bytes / 1000);
    println!("sweep: first {first:.1?}, p50 {:.1?}, p99 {:.1?} of {}", at(50), at(99), times.len());
    println!("memory of the scraper: {before} kB before, {} kB after, {} kB at most", memory("VmRSS"), memory("VmHWM"));
}

/// A field of this process's status, in kB.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap_or("0");
    line.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

async fn serve(replicas: usize) {
    let mut body = String::new();
    for family in 0..90 {
        let _ = writeln!(
            body,
            "# HELP vllm:family_{family} Something that an engine counts.\n# TYPE vllm:family_{family} gauge"
        );
        for series in 0..5 {
            let _ = writeln!(
                body,
                "vllm:family_{family}{{engine=\"{series}\",model_name=\"a-model-of-usual-name\"}} {series}.0"
            );
        }
    }
    let page: &'static str = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).leak();
    let mut out = std::io::stdout();
    for _ in 0..replicas {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        writeln!(out, "{}", listener.local_addr().unwrap().port()).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {
                        let _ = stream.write_all(page.as_bytes()).await;
                    }
                });
            }
        });
    }
    out.flush().unwrap();
    std::future::pending::<()>().await;
}
