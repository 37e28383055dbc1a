//! Readiness: asking a replica whether it can serve, and turning answers into ready and not ready.
//!
//! It must not know what is done about it.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::spec::{Readiness, ReadinessCheck};
use crate::speed::Speed;

/// A ready replica is probed this many times more rarely: its answers cost it time that requests want.
const READY_PACE: u32 = 5;
/// A probe is not hurried below this by a trace speed: loopback and scheduling take what they take.
const TIMEOUT_FLOOR: Duration = Duration::from_millis(500);
/// As [`TIMEOUT_FLOOR`], for the pace.
const INTERVAL_FLOOR: Duration = Duration::from_millis(20);

/// A change of readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Ready,
    /// With what the last probe got instead.
    NotReady(String),
}

/// Probes one life of a replica. It starts as not ready.
#[derive(Debug)]
pub(crate) struct Prober {
    port: u16,
    check: ReadinessCheck,
    interval: Duration,
    timeout: Duration,
    verdict: Verdict,
    due: Instant,
}

impl Prober {
    pub(crate) fn new(readiness: &Readiness, port: u16, speed: Speed) -> Self {
        Self {
            port,
            check: readiness.check.clone(),
            interval: speed.machine_at_least(readiness.interval, INTERVAL_FLOOR),
            timeout: speed.machine_at_least(readiness.timeout, TIMEOUT_FLOOR),
            verdict: Verdict { threshold: readiness.failure_threshold, failures: 0, ready: false },
            due: Instant::now(),
        }
    }

    /// Probes at its pace until readiness changes. Cancel safe: a probe cut short is made again.
    pub(crate) async fn changed(&mut self) -> Health {
        loop {
            sleep_until(self.due).await;
            let answer = self.probe().await;
            let (change, calm) = self.verdict.take(answer);
            self.due = Instant::now() + if calm { self.interval * READY_PACE } else { self.interval };
            if let Some(change) = change {
                return change;
            }
        }
    }

    async fn probe(&self) -> Result<(), String> {
        let asked = async {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.map_err(|e| e.to_string())?;
            match &self.check {
                ReadinessCheck::Tcp => Ok(()),
                ReadinessCheck::Http { path } => get(stream, path).await,
            }
        };
        timeout(self.timeout, asked).await.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.timeout)))
    }
}

/// One request on its own connection. Only the head is read: a body of any size costs nothing.
async fn get(stream: TcpStream, path: &str) -> Result<(), String> {
    let request = Request::get(path)
        .header(HOST, "127.0.0.1")
        .header(USER_AGENT, "readiness-probe")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let answer = sender.send_request(request);
    tokio::pin!(connection, answer);
    let response = tokio::select! {
        response = &mut answer => response,
        // A connection that ends has handed its answer, or its error, to the request.
        _ = &mut connection => answer.await,
    };
    match response {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("status {}", response.status().as_u16())),
        Err(error) => Err(error.to_string()),
    }
}

/// Counts answers: the first good one makes ready, only several bad ones in a row make not ready.
#[derive(Debug)]
struct Verdict {
    threshold: u32,
    failures: u32,
    ready: bool,
}

impl Verdict {
    /// The change that an answer brings, and whether the slower pace will do until the next.
    fn take(&mut self, answer: Result<(), String>) -> (Option<Health>, bool) {
        let Err(got) = answer else {
            self.failures = 0;
            let was_ready = std::mem::replace(&mut self.ready, true);
            return ((!was_ready).then_some(Health::Ready), true);
        };
        self.failures = self.failures.saturating_add(1);
        let falls = self.ready && self.failures >= self.threshold;
        if falls {
            self.ready = false;
        }
        (falls.then_some(Health::NotReady(got)), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_answer_makes_ready_and_only_a_row_of_bad_ones_unready() {
        let mut verdict = Verdict { threshold: 3, failures: 0, ready: false };
        let bad = || Err("status 503".to_owned());
        assert_eq!(verdict.take(bad()), (None, false));
        assert_eq!(verdict.take(Ok(())), (Some(Health::Ready), true));
        assert_eq!(verdict.take(bad()), (None, false), "probed at the quick pace from the first bad answer");
        assert_eq!(verdict.take(Ok(())), (None, true));
        assert_eq!([verdict.take(bad()).0, verdict.take(bad()).0], [None, None]);
        assert_eq!(verdict.take(bad()), (Some(Health::NotReady("status 503".into())), false));
        assert_eq!(verdict.take(bad()), (None, false));
        assert_eq!(verdict.take(Ok(())), (Some(Health::Ready), true));
    }
}
