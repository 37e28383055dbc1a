//! A server that holds one Lease as kube-apiserver does: versions, conflicts, and writes of nothing that change nothing. The
//! wires to it can be slow, cut or lossy, and a request whose caller has gone can still arrive.

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::client::Body;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives after the first span, and its answer comes back after the second.
    Slow(Duration, Duration),
    /// It never arrives, and nothing is answered.
    Lost,
    /// It arrives after the span, and the answer is lost.
    Unanswered(Duration),
    /// The server refuses it with this status.
    Refused(u16),
}

pub(super) const PROMPT: Fate = Fate::Slow(Duration::from_millis(5), Duration::from_millis(5));

#[derive(Debug, Default)]
struct Store {
    lease: Option<Lease>,
    version: u64,
    writes: usize,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Server(Arc<Mutex<Store>>);

/// One contender's way to the server.
#[derive(Clone)]
pub(super) struct Wire {
    server: Server,
    fate: Arc<Mutex<Box<dyn FnMut() -> Fate + Send>>>,
}

impl Server {
    pub(super) fn wire(&self) -> Wire {
        Wire { server: self.clone(), fate: Arc::new(Mutex::new(Box::new(|| PROMPT))) }
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        self.0.lock().unwrap().lease.clone()
    }

    pub(super) fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }

    /// A human's hand: changes the Lease, or deletes it.
    pub(super) fn edit(&self, change: impl FnOnce(Option<Lease>) -> Option<Lease>) {
        let mut store = self.0.lock().unwrap();
        store.version += 1;
        let version = store.version;
        store.lease = change(store.lease.take()).map(|mut lease| {
            lease.metadata.resource_version = Some(version.to_string());
            lease
        });
    }

    fn apply(&self, method: &Method, body: &[u8]) -> (u16, Option<Lease>) {
        let mut store = self.0.lock().unwrap();
        match (method.as_str(), store.lease.clone()) {
            ("GET", Some(lease)) => (200, Some(lease)),
            ("POST", Some(_)) => (409, None),
            ("POST", None) => store.put(serde_json::from_slice(body).unwrap()),
            ("PUT", Some(old)) => {
                let new: Lease = serde_json::from_slice(body).unwrap();
                if new.metadata.resource_version != old.metadata.resource_version {
                    (409, None)
                } else if new == old {
                    (200, Some(old))
                } else {
                    store.put(new)
                }
            }
            _ => (404, None),
        }
    }
}

impl Store {
    fn put(&mut self, mut lease: Lease) -> (u16, Option<Lease>) {
        self.version += 1;
        self.writes += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        (200, Some(lease))
    }
}

impl Wire {
    pub(super) fn set(&self, fate: Fate) {
        self.script(move || fate);
    }

    /// Asks for the fate of each request that follows.
    pub(super) fn script(&self, fate: impl FnMut() -> Fate + Send + 'static) {
        *self.fate.lock().unwrap() = Box::new(fate);
    }

    pub(super) fn client(&self) -> kube::Client {
        let wire = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let wire = wire.clone();
            async move { Ok::<_, Infallible>(wire.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let fate = (self.fate.lock().unwrap())();
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let (there, back) = match fate {
            Fate::Slow(there, back) => (there, Some(back)),
            Fate::Unanswered(there) => (there, None),
            Fate::Lost => std::future::pending().await,
            Fate::Refused(code) => return respond(code, None),
        };
        let server = self.server.clone();
        // In a task of its own: that the caller has given up does not call a request back.
        let arrival = tokio::spawn(async move {
            sleep(there).await;
            server.apply(&head.method, &body)
        });
        let (code, lease) = arrival.await.unwrap();
        match back {
            Some(back) => sleep(back).await,
            None => std::future::pending().await,
        }
        respond(code, lease)
    }
}

fn respond(code: u16, lease: Option<Lease>) -> Response<Body> {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "Unknown",
    };
    let failure = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "",
    });
    let body = lease.map_or_else(|| failure.to_string().into_bytes(), |lease| serde_json::to_vec(&lease).unwrap());
    Response::builder().status(StatusCode::from_u16(code).unwrap()).body(Body::from(body)).unwrap()
}
