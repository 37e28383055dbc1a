//! Sweeps over real sockets: slow, endless, huge, redirecting and refusing servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

mod common;

use autoscaler_scrape::{Access, Auth, ScrapeError, Secret, Target, TlsOptions};
use common::{Serve, always, echo, endless, one, page, request, scraper, server, target};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

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
    let (url, _) = server(echo("authorization")).await;
    let file = std::env::temp_dir().join(format!("autoscaler-scrape-token-{}", std::process::id()));
    let mut target = target(&url);
    target.access.auth = Auth::Bearer(Secret::file(file.clone()));
    let scraper = scraper(|_| {});
    for token in ["first", "second"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        assert!(one(&scraper, target.clone()).await.unwrap().trim().ends_with(&format!("Bearer {token}")));
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

#[tokio::test]
async fn each_page_is_given_out_as_it_comes_and_dated_then() {
    let (good, _) = server(always(page("a 1\n"))).await;
    let (hangs, _) = server(endless("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Vec::new())).await;
    let scraper = scraper(|_| {});
    let mut seen = Vec::new();
    let each = |index: usize, page: Result<autoscaler_scrape::Page, ScrapeError>| {
        seen.push((index, page.map(|page| page.received.elapsed()), Instant::now()));
    };
    scraper.sweep_each(&[target(&hangs), target(&good)], each).await;
    let [(first, good_page, early), (second, hung, late)] = seen.try_into().unwrap();
    assert_eq!((first, second), (1, 0), "the one that hangs comes last");
    assert!(good_page.unwrap() < late.duration_since(early), "its date is not the sweep's end");
    assert_eq!(hung, Err(ScrapeError::Timeout));
}

#[tokio::test]
async fn all_pages_on_their_way_have_a_bound_together() {
    // Each says that more is to come, so that all are held at once until the deadline.
    let unfinished = format!("HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n{}", "x".repeat(4_000));
    let (url, _) = server(always(unfinished)).await;
    let scraper = scraper(|config| {
        config.max_bytes_in_flight = 10_000;
        config.request_timeout = Duration::from_millis(500);
    });
    let targets: Vec<Target> = (0..5).map(|_| target(&url)).collect();
    let refused = |answers: &[(String, Result<autoscaler_scrape::Page, ScrapeError>)]| {
        answers
            .iter()
            .filter(|(_, page)| page.as_ref().is_err_and(|error| matches!(error, ScrapeError::NoRoom { .. })))
            .count()
    };
    assert!(refused(&scraper.sweep(&targets).await) >= 1);
    let (good, _) = server(always(page("a 1\n"))).await;
    assert!(one(&scraper, target(&good)).await.is_ok(), "what was held is given back");
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_has_to_end_with_a_line() {
    let closing = |body: &'static str, kind: &'static str| -> Serve {
        Arc::new(move |mut stream| {
            Box::pin(async move {
                request(&mut stream).await;
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {kind}\r\n\r\n");
                let _ = stream.write_all((head + body).as_bytes()).await;
            })
        })
    };
    let plain = "text/plain; version=0.0.4";
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let scraper = scraper(|_| {});
    for (body, kind, whole) in [
        ("a 1\nb 12\n", plain, true),
        ("a 1\nb 1", plain, false),
        ("a 1\n# EOF\n", openmetrics, true),
        ("a 1\n", openmetrics, false),
    ] {
        let (url, _) = server(closing(body, kind)).await;
        let answer = one(&scraper, target(&url)).await;
        let as_expected = if whole { answer.is_ok() } else { matches!(answer, Err(ScrapeError::CutOff(_))) };
        assert!(as_expected, "{body:?}: {answer:?}");
    }
    let (url, _) = server(always(page("a 1\nb 1"))).await;
    assert!(one(&scraper, target(&url)).await.is_ok(), "where the length is told, it is whole");
    let (url, _) = server(always("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\na 1\n")).await;
    let scraper = common::scraper(|config| config.request_timeout = Duration::from_millis(300));
    assert!(one(&scraper, target(&url)).await.is_err(), "where less comes than was told, it is not");
}

#[tokio::test]
async fn trap_10_the_text_format_is_asked_for_and_any_content_type_is_read() {
    let scraper = scraper(|_| {});
    let (url, _) = server(echo("accept:")).await;
    let sent = one(&scraper, target(&url)).await.unwrap();
    assert!(sent.contains("text/plain;version=0.0.4") && !sent.contains("openmetrics"), "{sent}");
    let (url, _) = server(echo("accept-encoding:")).await;
    assert_eq!(one(&scraper, target(&url)).await.unwrap(), "none\n");
    for kind in ["text/plain; version=1.0.0; charset=utf-8", "text/plain; version=0.0.4", "text/plain; charset=utf-8"] {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 4\r\n\r\na 1\n");
        let (url, _) = server(always(answer)).await;
        assert_eq!(one(&scraper, target(&url)).await.unwrap(), "a 1\n", "{kind}");
    }
}

#[tokio::test]
async fn a_page_that_drips_beyond_the_deadline_is_given_up() {
    let drips: Serve = Arc::new(|mut stream| {
        Box::pin(async move {
            request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
            let mut drip = tokio::time::interval(Duration::from_millis(20));
            while stream.write_all(b"x").await.is_ok() {
                drip.tick().await;
            }
        })
    });
    let (url, _) = server(drips).await;
    let scraper = scraper(|config| {
        config.request_timeout = Duration::from_millis(200);
        config.max_page_bytes = 200_000;
    });
    let start = Instant::now();
    assert_eq!(one(&scraper, target(&url)).await, Err(ScrapeError::Timeout));
    assert!(start.elapsed() < Duration::from_secs(2), "progress does not buy time");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_it_was_idle_costs_no_page() {
    // Answers one request of each connection, and ends the connection at the second without a word.
    let once: Serve = Arc::new(|mut stream| {
        Box::pin(async move {
            request(&mut stream).await;
            let _ = stream.write_all(page("a 1\n").as_bytes()).await;
            request(&mut stream).await;
        })
    });
    let (url, connections) = server(once).await;
    let scraper = scraper(|_| {});
    for _ in 0..3 {
        assert_eq!(one(&scraper, target(&url)).await.unwrap(), "a 1\n");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn user_and_password_are_sent_as_basic_and_a_user_with_a_colon_is_refused() {
    let (url, _) = server(echo("authorization")).await;
    let scraper = scraper(|_| {});
    let with_user = |user: &str| {
        let auth = Auth::Basic { user: user.to_owned(), password: Secret::text("open sesame") };
        Target { access: Access { auth, ..Access::default() }, ..target(&url) }
    };
    let sent = one(&scraper, with_user("ali")).await.unwrap();
    assert!(sent.trim().ends_with("Basic YWxpOm9wZW4gc2VzYW1l"), "{sent}");
    assert!(matches!(one(&scraper, with_user("a:b")).await, Err(ScrapeError::Secret(_))));
}

#[tokio::test]
async fn a_secret_may_come_from_the_environment_and_a_missing_variable_is_told_by_name() {
    let (url, _) = server(echo("authorization")).await;
    let scraper = scraper(|_| {});
    let from = |name: &str| {
        let auth = Auth::Bearer(Secret::env(name));
        Target { access: Access { auth, ..Access::default() }, ..target(&url) }
    };
    // Cargo sets this one for tests.
    let sent = one(&scraper, from("CARGO_PKG_NAME")).await.unwrap();
    assert!(sent.trim().ends_with("Bearer autoscaler-scrape"), "{sent}");
    let error = one(&scraper, from("AUTOSCALER_SCRAPE_NOT_SET")).await.unwrap_err().to_string();
    assert!(error.contains("AUTOSCALER_SCRAPE_NOT_SET"), "{error}");
}

#[tokio::test]
async fn replicas_are_reached_over_ipv6() {
    // A machine without IPv6 has nothing to test.
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let serve = always(page("a 1\n"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    assert_eq!(one(&scraper(|_| {}), target(&url)).await.unwrap(), "a 1\n");
}

#[test]
fn a_target_does_not_print_what_its_address_may_carry_beside_the_place() {
    let mut target = target("http://user:pass@replica:8000/metrics?token=s3cret#s3cret");
    target.id = "replica".to_owned();
    let printed = format!("{target:?}");
    assert!(printed.contains("http://replica:8000/metrics"), "{printed}");
    assert!(!printed.contains("s3cret") && !printed.contains("pass"), "{printed}");
}
