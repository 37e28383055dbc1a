//! Questions to a server: what is sent, what comes back with any status, and the bounds.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

mod common;

use autoscaler_scrape::{Access, Ask, Auth, Reply, ScrapeError, Secret};
use common::{always, endless, page, request, scraper, server};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn ask(url: &str, access: &Access, form: Option<&str>) -> Result<Reply, ScrapeError> {
    let ask = Ask { url, access, form, deadline: Duration::from_millis(500), max_bytes: 1000 };
    scraper(|_| {}).ask(ask).await
}

#[tokio::test]
async fn a_form_is_posted_with_the_token() {
    let (url, _) = server(Arc::new(|mut stream| {
        Box::pin(async move {
            let head = request(&mut stream).await.unwrap();
            let mut form = [0; 11];
            stream.read_exact(&mut form).await.unwrap();
            let answer = page(&format!("{head}{}", String::from_utf8_lossy(&form)));
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
    }))
    .await;
    let access = Access { auth: Auth::Bearer(Secret::text("t0ken")), ..Access::default() };
    let reply = ask(&url, &access, Some("query=up%31")).await.unwrap();
    let sent = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!(reply.status, 200);
    for part in ["POST /metrics ", "authorization: Bearer t0ken", "x-www-form-urlencoded", "\r\n\r\nquery=up%31"] {
        assert!(sent.contains(part), "{part} in {sent}");
    }
}

#[tokio::test]
async fn an_answer_of_another_status_comes_with_its_body() {
    let (url, _) = server(always("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")).await;
    let reply = ask(&url, &Access::default(), None).await;
    assert_eq!(reply, Ok(Reply { status: 400, body: "{}".into() }));
}

#[tokio::test]
async fn a_redirection_is_refused() {
    let (url, _) = server(always("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n")).await;
    assert_eq!(ask(&url, &Access::default(), None).await, Err(ScrapeError::Redirected));
}

#[tokio::test]
async fn too_much_is_refused_and_silence_ends_at_the_deadline() {
    let (url, _) = server(endless("HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 100])).await;
    assert_eq!(ask(&url, &Access::default(), None).await, Err(ScrapeError::TooLarge { limit: 1000 }));
    let (url, _) = server(endless("HTTP/1.1 200 OK\r\n\r\n", Vec::new())).await;
    assert_eq!(ask(&url, &Access::default(), None).await, Err(ScrapeError::Timeout));
}

#[tokio::test]
async fn an_address_with_a_password_is_refused() {
    let refused = ask("http://user:secret@127.0.0.1/", &Access::default(), None).await;
    assert!(matches!(refused, Err(ScrapeError::Address(_))), "{refused:?}");
}
