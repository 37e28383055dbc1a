//! What the gateway costs: requests per second and latency through it and without it, in the same process and run.
//!
//! `cargo run --release -p gateway --example overhead [SECONDS] [CONNECTIONS]`. Client, engine and gateway share the
//! machine's cores, so at saturation the ratio of throughput counts the proxy's CPU against the client's and engine's.
#![allow(clippy::print_stdout, reason = "a measuring program prints its result")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use gateway::{Gateway, GatewayConfig, GroupConfig};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Direct and proxied runs take turns this often, so that a change of the machine's speed meets both.
const ROUNDS: u32 = 4;
/// Chunks of a streamed answer.
const CHUNKS: usize = 64;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u32>());
    let seconds = args.next().transpose()?.unwrap_or(8);
    let connections = args.next().transpose()?.unwrap_or(32) as usize;
    let turn = Duration::from_secs(u64::from(seconds)) / ROUNDS / 2;

    let engine = start_engine().await?;
    let proxy = start_gateway(engine).await?;
    println!("{:<28}{:>10}{:>10}{:>10}{:>10}", "", "req/s", "p50 µs", "p99 µs", "requests");
    for (name, path) in [("json answer", "/v1/completions"), ("stream of 64 chunks", "/v1/stream")] {
        for parallel in [1, connections] {
            let (mut direct, mut proxied) = (Tally::new()?, Tally::new()?);
            for _ in 0..ROUNDS {
                direct.add(&drive(engine, path, parallel, turn).await?, turn)?;
                proxied.add(&drive(proxy, path, parallel, turn).await?, turn)?;
            }
            direct.print(&format!("{name}, {parallel} conn, direct"));
            proxied.print(&format!("{name}, {parallel} conn, gateway"));
            let added = |quantile| proxied.micros(quantile).saturating_sub(direct.micros(quantile));
            let ratio = proxied.rate() / direct.rate();
            println!("  throughput ratio {ratio:.2}, added p50 {} µs, p99 {} µs", added(0.5), added(0.99));
        }
    }
    Ok(())
}

struct Tally {
    times: Histogram<u64>,
    elapsed: Duration,
}

impl Tally {
    fn new() -> Result<Self, Failure> {
        Ok(Self { times: Histogram::new(3)?, elapsed: Duration::ZERO })
    }

    fn add(&mut self, times: &Histogram<u64>, elapsed: Duration) -> Result<(), Failure> {
        self.times.add(times)?;
        self.elapsed += elapsed;
        Ok(())
    }

    fn micros(&self, quantile: f64) -> u64 {
        self.times.value_at_quantile(quantile)
    }

    fn rate(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64()
    }

    fn print(&self, name: &str) {
        let (p50, p99) = (self.micros(0.5), self.micros(0.99));
        println!("{name:<36}{:>10.0}{p50:>10}{p99:>10}{:>10}", self.rate(), self.times.len());
    }
}

async fn start_engine() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(engine)));
        }
    });
    Ok(addr)
}

async fn engine(
    request: Request<Incoming>,
) -> Result<
    Response<http_body_util::Either<Full<Bytes>, impl hyper::body::Body<Data = Bytes, Error = Infallible>>>,
    Failure,
> {
    let stream = request.uri().path() == "/v1/stream";
    request.into_body().collect().await?;
    if !stream {
        let body =
            Bytes::from_static(br#"{"choices":[{"text":"x"}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#);
        let response = Response::builder().header("content-type", "application/json");
        return Ok(response.body(http_body_util::Either::Left(Full::new(body)))?);
    }
    let chunk =
        Bytes::from_static(b"data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"text\":\" token\"}],\"usage\":null}\n\n");
    let frames = (0..CHUNKS).map(move |_| Ok(Frame::data(chunk.clone())));
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let response = Response::builder().header("content-type", "text/event-stream");
    Ok(response.body(http_body_util::Either::Right(body))?)
}

async fn start_gateway(engine: SocketAddr) -> Result<SocketAddr, Failure> {
    let gateway = Gateway::new(GatewayConfig::default());
    let handle = gateway.handle();
    handle.set_group(GroupConfig::new("g", ["m"]))?;
    handle.add_replica("g", "r0", engine)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(gateway.serve(listener, std::future::pending()));
    Ok(addr)
}

/// Closed loop over kept-alive connections; latencies in microseconds until the whole answer is here.
async fn drive(
    addr: SocketAddr,
    path: &'static str,
    connections: usize,
    turn: Duration,
) -> Result<Histogram<u64>, Failure> {
    let loops = (0..connections).map(|_| tokio::spawn(client(addr, path, turn)));
    let mut all = Histogram::new(3)?;
    for times in join_all(loops).await {
        all.add(times??)?;
    }
    Ok(all)
}

async fn client(addr: SocketAddr, path: &'static str, turn: Duration) -> Result<Histogram<u64>, Failure> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let prompt = "word ".repeat(400);
    let body = Bytes::from(format!("{{\"model\":\"m\",\"stream\":true,\"prompt\":\"{prompt}\"}}"));
    let mut times = Histogram::new(3)?;
    let end = Instant::now() + turn;
    while Instant::now() < end {
        let request = Request::post(path).header("host", "x").header("content-type", "application/json");
        let began = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(request.body(Full::new(body.clone()))?).await?;
        if !response.status().is_success() {
            return Err(format!("status {}", response.status()).into());
        }
        response.into_body().collect().await?;
        times.record(u64::try_from(began.elapsed().as_micros())?)?;
    }
    Ok(times)
}
