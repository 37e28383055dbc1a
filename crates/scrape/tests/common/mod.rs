//! Servers that behave and misbehave, on sockets of their own.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part; what cannot be set up should fail there"
)]

use autoscaler_scrape::{Access, ScrapeConfig, ScrapeError, Scraper, Target};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with one connection; it gets the request's text.
pub(crate) type Serve = Arc<dyn Fn(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Answers every request with its own line of this name (lower case), or `none`.
pub(crate) fn echo(name: &'static str) -> Serve {
    Arc::new(move |mut stream| {
        Box::pin(async move {
            while let Some(head) = request(&mut stream).await {
                let sent = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name)).unwrap_or("none");
                let _ = stream.write_all(page(&format!("{sent}\n")).as_bytes()).await;
            }
        })
    })
}

/// A server, and how many connections it has seen.
pub(crate) async fn server(serve: Serve) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    (url, connections)
}

/// Reads one request's head.
pub(crate) async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Answers every request of a connection with the same bytes.
pub(crate) fn always(answer: impl Into<Vec<u8>>) -> Serve {
    let answer: Arc<Vec<u8>> = Arc::new(answer.into());
    Arc::new(move |mut stream| {
        let answer = Arc::clone(&answer);
        Box::pin(async move {
            while request(&mut stream).await.is_some() {
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        })
    })
}

/// Answers with `head` and then with `part` for ever.
pub(crate) fn endless(head: &'static str, part: Vec<u8>) -> Serve {
    let part = Arc::new(part);
    Arc::new(move |mut stream| {
        let part = Arc::clone(&part);
        Box::pin(async move {
            request(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            while !part.is_empty() && stream.write_all(&part).await.is_ok() {}
            std::future::pending::<()>().await;
        })
    })
}

pub(crate) fn page(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn target(url: &str) -> Target {
    Target { id: url.to_owned(), url: url.to_owned(), access: Access::default() }
}

pub(crate) fn scraper(change: impl FnOnce(&mut ScrapeConfig)) -> Scraper {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut config = ScrapeConfig { max_page_bytes: 10_000, ..ScrapeConfig::default() };
    change(&mut config);
    Scraper::new(config)
}

pub(crate) async fn one(scraper: &Scraper, target: Target) -> Result<String, ScrapeError> {
    let mut answers = scraper.sweep(&[target]).await;
    answers.pop().unwrap().1.map(|page| String::from_utf8_lossy(&page.body).into_owned())
}
