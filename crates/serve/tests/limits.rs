//! What clients that take too much are given, and that others are served all the same.

#![allow(clippy::unwrap_used, reason = "tests")]

use axum::Router;
use axum::routing::{get, post};
use bounded_serve::{Limits, serve};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Far longer than anything takes.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(50);

async fn start(limits: Limits) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/echo", post(async |body: String| body))
        .route("/never", get(std::future::pending::<&'static str>));
    let stop = CancellationToken::new();
    let until = stop.clone();
    let task = tokio::spawn(async move { serve(listener, router, limits, until.cancelled()).await });
    (address, stop, task)
}

/// Sends a text, and reads until the server closes.
async fn ask(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

const HELLO: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

fn patient() -> Limits {
    Limits { connections: 8, head: LONG, answer: LONG, grace: LONG }
}

#[tokio::test]
async fn a_client_that_says_nothing_or_half_a_head_is_let_go_and_makes_room() {
    let (address, ..) = start(Limits { connections: 1, head: SHORT, ..patient() }).await;
    for text in ["", "GET / HTTP/1.1\r\nhost"] {
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(text.as_bytes()).await.unwrap();
        // There is one place, and it is taken until the slow one is let go.
        assert!(ask(address, HELLO).await.ends_with("hello"));
        let mut rest = Vec::new();
        let _ = slow.read_to_end(&mut rest).await;
    }
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_others_to_end() {
    let (address, ..) = start(Limits { connections: 2, ..patient() }).await;
    let open = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let mut third = TcpStream::connect(address).await.unwrap();
    third.write_all(HELLO.as_bytes()).await.unwrap();
    let mut byte = [0];
    assert!(tokio::time::timeout(SHORT, third.read(&mut byte)).await.is_err(), "nobody has ended yet");
    drop(open);
    assert_eq!(third.read(&mut byte).await.unwrap(), 1);
}

#[tokio::test]
async fn a_body_that_does_not_come_and_an_answer_that_does_not_either_are_408() {
    let (address, ..) = start(Limits { answer: SHORT, ..patient() }).await;
    let half = "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 9\r\n\r\nhalf";
    for text in [half, "GET /never HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"] {
        let answer = ask(address, text).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

#[tokio::test]
async fn the_end_lets_go_of_idle_connections_and_cuts_busy_ones_after_the_grace() {
    let (address, stop, task) = start(patient()).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    stop.cancel();
    task.await.unwrap();

    let (address, stop, task) = start(Limits { grace: SHORT, ..patient() }).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // Answered after the other's request was taken in.
    assert!(ask(address, HELLO).await.ends_with("hello"));
    stop.cancel();
    task.await.unwrap();
}
