//! Life of the engine: start-up, serving, draining, crashing.

use crate::api::{self, App};
use crate::args::Config;
use crate::core::Core;
use crate::faults::Faults;
use crate::page::PageInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections beyond this wait in the listener's backlog. Each may carry one request, so it bounds requests too.
const MAX_CONNECTIONS: usize = 16_384;
/// Wall time to flush the last answers and close connections once nothing runs any more.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);
/// Wall time in which a connection must send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Wall time to wait after a failed accept, which mostly means too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the engine stopped other than by being told.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The port cannot be had.
    #[error("cannot listen on {host}:{port}: {source}")]
    Bind {
        /// Address asked for.
        host: String,
        /// Port asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The engine's parameters are not valid.
    #[error(transparent)]
    Spec(#[from] engine_model::SpecError),
    /// The fault `crash-after` struck.
    #[error("crashed, as the fault crash-after asked")]
    Crashed,
}

/// Starts up as slowly as configured, then listens on the configured address and serves until `shutdown` resolves
/// and running requests have finished or their time is up.
///
/// Until the start-up delay is over connections are refused, as vLLM does while it loads. `ready` is told the address
/// once the port is open. A `shutdown` during start-up ends it at once.
pub async fn run(
    config: Config,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    tokio::pin!(shutdown);
    let delay = config.startup_delay.div_f64(config.speed);
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = &mut shutdown => return Ok(()),
    }
    let bound = TcpListener::bind((config.host.as_str(), config.port)).await;
    let failed = |source| RunError::Bind { host: config.host.clone(), port: config.port, source };
    let listener = bound.map_err(failed)?;
    ready(listener.local_addr().map_err(failed)?);
    serve(config, listener, shutdown).await
}

/// Serves on an open `listener`, without a start-up delay, until `shutdown` resolves and running requests have
/// finished or their time is up. `host` and `port` of the configuration are not used.
pub async fn serve(config: Config, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let app = Arc::new(app(config)?);
    let mut server = Server::new(&app);
    let pace = app.core.pace();
    let crash = app.faults.until_crash(app.config.speed);
    let life = async {
        server.accept_until(&listener, shutdown).await;
        app.draining.store(true, Ordering::Release);
        let timeout = app.config.drain_timeout.div_f64(app.config.speed);
        // New connections are still answered, if only to hear that this engine is on its way out.
        let drained = async { tokio::time::timeout(timeout, app.core.until_empty()).await.is_ok() };
        if !server.accept_until(&listener, drained).await {
            tracing::warn!("requests were still running at the end of the drain timeout; they are cut short");
            app.core.abort_all();
        }
        drop(listener);
        server.close().await;
    };
    tokio::select! {
        () = life => Ok(()),
        () = crash => Err(RunError::Crashed),
        // Paces as long as it is waited for; it has no end of its own.
        () = pace => Ok(()),
    }
}

fn app(config: Config) -> Result<App, RunError> {
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    Ok(App {
        core: Arc::new(Core::new(&config.spec, config.speed)?),
        faults: Arc::new(Faults::new(config.faults.clone())),
        draining: AtomicBool::new(false),
        answers: AtomicU64::new(0),
        page: PageInfo::new(&config.model, &config.spec, created),
        config,
    })
}

/// The open connections. Dropping it closes them all at once.
struct Server {
    router: axum::Router,
    connections: JoinSet<()>,
    graceful: GracefulShutdown,
    places: Arc<Semaphore>,
}

impl Server {
    fn new(app: &Arc<App>) -> Self {
        Self {
            router: api::router(app),
            connections: JoinSet::new(),
            graceful: GracefulShutdown::new(),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }

    /// Accepts connections until `end` resolves.
    async fn accept_until<T>(&mut self, listener: &TcpListener, end: impl Future<Output = T>) -> T {
        tokio::pin!(end);
        loop {
            // Finished connections are dropped as they end, so that the set does not grow.
            while self.connections.try_join_next().is_some() {}
            tokio::select! {
                value = &mut end => return value,
                () = self.accept(listener) => {}
            }
        }
    }

    async fn accept(&mut self, listener: &TcpListener) {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                return tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        };
        // Tokens are small and due now.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(self.router.clone());
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        let connection = self.graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        self.connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(place);
        });
    }

    /// Lets answers in progress reach their clients, closes idle connections, and then the rest.
    async fn close(self) {
        if tokio::time::timeout(CLOSING_TIMEOUT, self.graceful.shutdown()).await.is_err() {
            tracing::debug!("connections were still open at the end");
        }
    }
}
