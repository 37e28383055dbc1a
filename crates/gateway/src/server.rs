//! Accepts connections and serves them, within their limits, until told to stop. Knows sockets, not routing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::GatewayConfig;
use crate::handle::{GatewayHandle, Shared};
use crate::respond::{ConnectionLimits, Limits};
use crate::service::handle;

/// Pause after a failed accept: out of file descriptors, say, which passes as connections close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long after a request's deadline its connection is cut, if the body could not end it because the client does not
/// read. The ordinary way out comes first.
const STALLED_GRACE: Duration = Duration::from_millis(500);

/// The gateway: serves clients with what its [`GatewayHandle`] was told.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
}

impl Gateway {
    /// A gateway without groups. Replicas' connection pools need a tokio runtime once requests come.
    pub fn new(config: GatewayConfig) -> Self {
        Self { shared: Shared::new(config) }
    }

    /// The handle by which the world steers it. It may be cloned, and used before, during and after serving.
    pub fn handle(&self) -> GatewayHandle {
        GatewayHandle::new(Arc::clone(&self.shared))
    }

    /// Serves until `shutdown` resolves. Then no connection is accepted, held requests get 503, and requests in flight
    /// finish within [`GatewayConfig::shutdown_timeout`]; what is left is cut. Returns when nothing is left.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let server = Server {
            slots: Arc::new(Semaphore::new(self.shared.config.max_connections)),
            http: http(&self.shared.config),
            graceful: GracefulShutdown::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
            shared: self.shared,
        };
        tokio::select! {
            biased;
            () = shutdown => {}
            () = server.accept(&listener) => {}
        }
        drop(listener);
        server.stop().await;
    }
}

struct Server {
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    http: http1::Builder,
    graceful: GracefulShutdown,
    kill: CancellationToken,
    tasks: TaskTracker,
}

fn http(config: &GatewayConfig) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(config.header_timeout).max_header_size(config.max_header_bytes);
    http
}

impl Server {
    /// Ends only if the semaphore were closed, which nobody does.
    async fn accept(&self, listener: &TcpListener) {
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, peer)) => self.start(stream, peer, slot),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        let connection = Connection {
            shared: Arc::clone(&self.shared),
            http: self.http.clone(),
            watcher: self.graceful.watcher(),
            peer,
        };
        let kill = self.kill.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = connection.run(stream) => {}
                () = kill.cancelled() => {}
            }
            drop(slot);
        });
    }

    async fn stop(self) {
        self.shared.stop();
        self.tasks.close();
        let patience = self.shared.shutdown_timeout();
        if tokio::time::timeout(patience, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still in flight at the shutdown deadline and are cut");
        }
        self.shared.kill();
        self.kill.cancel();
        self.tasks.wait().await;
    }
}

struct Connection {
    shared: Arc<Shared>,
    http: http1::Builder,
    watcher: Watcher,
    peer: SocketAddr,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        // Tokens are small writes: without this each waits for the acknowledgement of the last.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "set_nodelay");
        }
        let limits: ConnectionLimits = Arc::new(watch::Sender::new(None));
        let overdue = overdue(limits.subscribe());
        let (shared, peer) = (self.shared, self.peer.ip());
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = handle(Arc::clone(&shared), peer, Arc::clone(&limits), request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = self.watcher.watch(self.http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            result = connection => {
                if let Err(error) = result {
                    tracing::debug!(%error, peer = %self.peer, "connection ended");
                }
            }
            () = overdue => tracing::debug!(peer = %self.peer, "cut a connection whose client does not read"),
        }
    }
}

/// Resolves when the answer in progress should have ended and has not.
async fn overdue(mut limits: watch::Receiver<Limits>) {
    loop {
        let current = limits.borrow_and_update().clone();
        let due = async {
            match current {
                None => std::future::pending().await,
                Some((deadline, gone)) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(deadline) => {}
                        () = gone.cancelled() => {}
                    }
                    tokio::time::sleep(STALLED_GRACE).await;
                }
            }
        };
        tokio::select! {
            () = due => return,
            changed = limits.changed() => {
                if changed.is_err() {
                    // The connection ends by itself.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}
