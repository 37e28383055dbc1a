//! Queries to a server on a socket of its own: what is sent, and what is made of each answer.

use super::*;
use autoscaler_scrape::{Auth, ScrapeConfig, Secret};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Reads one request, head and body.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let shown = String::from_utf8_lossy(&text).to_ascii_lowercase();
        if let Some((head, body)) = shown.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return String::from_utf8(text).unwrap();
            }
        }
        assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0, "a whole request");
    }
}

/// A server for these answers (status and body), in this order; its task gives the requests.
async fn server(answers: Vec<(u16, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let mut requests = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(request(&mut stream).await);
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
        requests
    });
    (url, served)
}

async fn ask(url: &str, access: &Access) -> Result<f64, SourceError> {
    let http = Scraper::new(ScrapeConfig::default());
    prometheus(&http, url, "sum(queue{model=\"m\"})", access, Duration::from_secs(5)).await
}

async fn answered(status: u16, body: String) -> Result<f64, SourceError> {
    let (url, served) = server(vec![(status, body)]).await;
    let found = ask(&url, &Access::default()).await;
    served.await.unwrap();
    found
}

fn success(kind: &str, result: &Json) -> String {
    json!({"status": "success", "warnings": ["w"], "infos": ["i"],
           "data": {"resultType": kind, "result": result, "stats": {}}})
    .to_string()
}

async fn gives(kind: &str, result: Json) -> Result<f64, SourceError> {
    answered(200, success(kind, &result)).await
}

fn sample(value: &str) -> Json {
    json!({"metric": {"__name__": "queue"}, "value": [1_700_000_000.5, value]})
}

const QUERY: &str = "query=sum%28queue%7Bmodel%3D%22m%22%7D%29&timeout=5000ms";

#[tokio::test]
async fn the_query_is_posted_as_a_form_with_the_token() {
    let (url, served) = server(vec![(200, success("scalar", &json!([1, "2.5"])))]).await;
    let access = Access { auth: Auth::Bearer(Secret::text("t0ken")), ..Access::default() };
    assert_eq!(ask(&url, &access).await, Ok(2.5));
    let request = served.await.unwrap().remove(0);
    assert!(request.starts_with("POST /base/api/v1/query HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer t0ken\r\n"), "{request}");
    assert!(request.ends_with(&format!("\r\n\r\n{QUERY}")), "{request}");
}

#[tokio::test]
async fn a_server_that_refuses_post_is_asked_by_get() {
    for refusal in [405, 501] {
        let (url, served) =
            server(vec![(refusal, String::new()), (200, success("vector", &json!([sample("-3")])))]).await;
        assert_eq!(ask(&url, &Access::default()).await, Ok(-3.0));
        let request = served.await.unwrap().remove(1);
        assert!(request.starts_with(&format!("GET /base/api/v1/query?{QUERY} HTTP/1.1\r\n")), "{request}");
    }
}

#[tokio::test]
async fn no_series_nan_and_infinities_are_no_values() {
    assert!(matches!(gives("vector", json!([])).await, Err(SourceError::Empty(_))));
    for text in ["NaN", "+Inf", "-Inf", "1e999"] {
        assert_eq!(gives("vector", json!([sample(text)])).await, Err(SourceError::NotFinite), "{text}");
        assert_eq!(gives("scalar", json!([1, text])).await, Err(SourceError::NotFinite), "{text}");
    }
}

#[tokio::test]
async fn several_series_are_refused_with_their_number_and_a_way_out() {
    let refused = gives("vector", json!(vec![sample("1"); 3])).await.unwrap_err().to_string();
    assert_eq!(refused, "3 values where one is needed; aggregate the query, with sum(…) for example");
    let refused = gives("vector", json!(vec![sample("1"); 20_000])).await.unwrap_err().to_string();
    assert!(refused.contains("larger than 1048576 bytes, where one number is needed; aggregate"), "{refused}");
}

#[tokio::test]
async fn what_is_no_number_is_named() {
    let cases = [
        ("matrix", json!([{"metric": {}, "values": [[1, "2"]]}]), "a range of values"),
        ("string", json!([1, "a"]), "a string"),
        ("vector", json!([{"metric": {}, "histogram": [1, {}]}]), "a native histogram"),
        ("vector", json!([sample("many")]), "\"many\" is not a number"),
        ("streams", json!([]), "unknown variant `streams`"),
        ("scalar", json!("2"), "the answer cannot be read"),
    ];
    for (kind, result, part) in cases {
        let refused = gives(kind, result).await.unwrap_err().to_string();
        assert!(refused.contains(part), "{part} in {refused}");
    }
    for body in ["", "<html>", "{\"status\":\"success\"", "{\"status\":\"success\"}"] {
        let refused = answered(200, body.to_owned()).await;
        assert!(matches!(refused, Err(SourceError::Malformed(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn the_servers_own_error_is_shown_with_any_status() {
    let body = json!({"status": "error", "errorType": "bad_data", "error": "1:5: parse error\nhere"}).to_string();
    for status in [200, 400, 422, 503] {
        let failed = answered(status, body.clone()).await.unwrap_err().to_string();
        assert_eq!(failed, "the query failed (bad_data): 1:5: parse error here");
    }
}

#[tokio::test]
async fn a_page_of_somebody_else_says_what_to_check() {
    let text = |error: SourceError| error.to_string();
    assert!(text(answered(401, "who?".to_owned()).await.unwrap_err()).contains("`secretRef`"));
    assert!(text(answered(404, "not here".to_owned()).await.unwrap_err()).contains("check endpoint and path"));
    assert_eq!(
        text(answered(502, "bad gateway".to_owned()).await.unwrap_err()),
        "the server answered with status 502: bad gateway"
    );
    assert_eq!(answered(429, String::new()).await, Err(SourceError::Busy { after: None }));
    assert!(matches!(answered(302, String::new()).await, Err(SourceError::Http(_))));
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let http = Scraper::new(ScrapeConfig::default());
    let found = prometheus(&http, &url, "up", &Access::default(), Duration::from_millis(50)).await;
    assert_eq!(found, Err(SourceError::TimedOut));
}

#[tokio::test]
async fn nobody_there_is_no_value() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert!(matches!(ask(&url, &Access::default()).await, Err(SourceError::Http(_))));
}
