//! Sweeps over real sockets: slow, endless, huge, redirecting and refusing servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

use autoscaler_scrape::{Access, Auth, ScrapeConfig, ScrapeError, Scraper, Secret, Target, TlsOptions};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with one connection; it gets the request's text.
type Serve = Arc<dyn Fn(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A server, and how many connections it has seen.
async fn server(serve: Serve) -> (String, Arc<AtomicUsize>) {
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
async fn request(stream: &mut TcpStream) -> Option<String> {
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
fn always(answer: impl Into<Vec<u8>>) -> Serve {
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
fn endless(head: &'static str, part: Vec<u8>) -> Serve {
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

fn page(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn target(url: &str) -> Target {
    Target { id: url.to_owned(), url: url.to_owned(), access: Access::default() }
}

fn scraper(change: impl FnOnce(&mut ScrapeConfig)) -> Scraper {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut config = ScrapeConfig { max_page_bytes: 10_000, ..ScrapeConfig::default() };
    change(&mut config);
    Scraper::new(config)
}

async fn one(scraper: &Scraper, target: Target) -> Result<String, ScrapeError> {
    let mut answers = scraper.sweep(&[target]).await;
    answers.pop().unwrap().1.map(|page| String::from_utf8_lossy(&page.body).into_owned())
}

#[tokio::test]
async fn connections_are_kept_between_sweeps() {
    let (url, connections) = server(always(page("a 1\n"))).await;
    let scraper = scraper(|_| {});
    for _ in 0..5 {
        assert_eq!(one(&scraper, target(&url)).await.unwrap(), "a 1\n");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn one_that_hangs_holds_up_nobody_and_answers_keep_their_order() {
    let (good, _) = server(always(page("a 1\n"))).await;
    let (hangs, _) = server(endless("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Vec::new())).await;
    let scraper = scraper(|config| config.request_timeout = Duration::from_millis(300));
    let mut targets: Vec<Target> = (0..50).map(|_| target(&good)).collect();
    targets[7] = target(&hangs);
    let answers = scraper.sweep(&targets).await;
    assert_eq!(answers.len(), 50);
    for (index, (id, answer)) in answers.iter().enumerate() {
        assert_eq!(id, &targets[index].id);
        assert_eq!(answer.is_ok(), index != 7, "{index}: {answer:?}");
    }
    assert_eq!(answers[7].1.as_ref().unwrap_err(), &ScrapeError::Timeout);
}

#[tokio::test]
async fn the_sweep_ends_at_its_own_deadline_even_where_slots_are_few() {
    let (hangs, _) = server(endless("HTTP/1.1 200 OK\r\n", Vec::new())).await;
    let scraper = scraper(|config| {
        config.max_concurrent = 1;
        config.request_timeout = Duration::from_millis(200);
        config.sweep_timeout = Duration::from_millis(500);
    });
    let targets: Vec<Target> = (0..100).map(|_| target(&hangs)).collect();
    let answers = scraper.sweep(&targets).await;
    assert!(answers.iter().all(|(_, answer)| answer.as_ref().unwrap_err() == &ScrapeError::Timeout));
}

#[tokio::test]
async fn what_is_too_large_is_cut_off_whether_it_says_so_or_not() {
    let scraper = scraper(|_| {});
    let (huge, _) = server(always(page(&"x".repeat(20_000)))).await;
    let chunk = b"1000\r\n".iter().copied().chain(vec![b'x'; 0x1000]).chain(*b"\r\n").collect();
    let (chunked, _) = server(endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk)).await;
    for url in [huge, chunked] {
        assert_eq!(one(&scraper, target(&url)).await, Err(ScrapeError::TooLarge { limit: 10_000 }));
    }
}

#[tokio::test]
async fn a_small_compressed_page_that_unpacks_to_a_huge_one_is_cut_off() {
    // 64 KiB of zeros, compressed by gzip.
    let packed: Vec<u8> = include_bytes!("zeros.gz").to_vec();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len()).into_bytes();
    answer.extend(packed);
    let (url, _) = server(always(answer)).await;
    let scraper = scraper(|config| config.accept_gzip = true);
    assert_eq!(one(&scraper, target(&url)).await, Err(ScrapeError::TooLarge { limit: 10_000 }));
}

#[tokio::test]
async fn a_redirect_is_refused_and_the_token_goes_nowhere_else() {
    let (elsewhere, visits) = server(always(page("a 1\n"))).await;
    let (url, _) =
        server(always(format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n"))).await;
    let mut target = target(&url);
    target.access.auth = Auth::Bearer(Secret::text("s3cret"));
    assert_eq!(one(&scraper(|_| {}), target).await, Err(ScrapeError::Redirected));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_token_is_sent_read_anew_from_its_file_and_never_printed() {
    let echo: Serve = Arc::new(|mut stream| {
        Box::pin(async move {
            while let Some(head) = request(&mut stream).await {
                let sent =
                    head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization")).unwrap_or("none");
                let _ = stream.write_all(page(sent).as_bytes()).await;
            }
        })
    });
    let (url, _) = server(echo).await;
    let file = std::env::temp_dir().join(format!("autoscaler-scrape-token-{}", std::process::id()));
    let mut target = target(&url);
    target.access.auth = Auth::Bearer(Secret::file(file.clone()));
    let scraper = scraper(|_| {});
    for token in ["first", "second"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        assert!(one(&scraper, target.clone()).await.unwrap().ends_with(&format!("Bearer {token}")));
    }
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(one(&scraper, target).await, Err(ScrapeError::Secret(_))));
    assert!(!format!("{:?}", Secret::text("s3cret")).contains("s3cret"));
}

#[tokio::test]
async fn failures_are_told_apart() {
    let scraper = scraper(|_| {});
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert!(matches!(one(&scraper, target(&nobody)).await, Err(ScrapeError::Connect(_))));
    let (url, _) = server(always("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")).await;
    assert_eq!(one(&scraper, target(&url)).await, Err(ScrapeError::Status(500)));
    let (url, _) = server(always("what?\r\n\r\n")).await;
    assert!(matches!(one(&scraper, target(&url)).await, Err(ScrapeError::Broken(_))));
    assert!(matches!(one(&scraper, target("file:///etc/passwd")).await, Err(ScrapeError::Address(_))));
}

#[tokio::test]
async fn garbage_is_a_page_and_left_to_whoever_reads_it() {
    let (url, _) = server(always(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\xff\x00{\n".to_vec())).await;
    assert!(one(&scraper(|_| {}), target(&url)).await.is_ok());
}

#[tokio::test]
async fn certificates_that_are_none_are_told() {
    let mut target = target("https://127.0.0.1:1/");
    target.access.tls = TlsOptions {
        ca_pem: Some(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n".to_vec().into()),
        ..TlsOptions::default()
    };
    assert!(matches!(one(&scraper(|_| {}), target).await, Err(ScrapeError::Tls(_) | ScrapeError::Connect(_))));
}
