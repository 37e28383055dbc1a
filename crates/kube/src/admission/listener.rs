//! TLS for axum. Handshakes run beside each other, so that a client that never ends its own keeps nobody out.

use super::certificate::Certificate;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The API server gives a webhook ten seconds by default.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// At once; the API server has a few connections.
const MAX_HANDSHAKES: usize = 64;

type Accepted = Option<(TlsStream<TcpStream>, SocketAddr)>;

/// Accepts connections that speak TLS.
pub(super) struct TlsListener {
    listener: TcpListener,
    certificate: Certificate,
    handshakes: JoinSet<Accepted>,
}

impl TlsListener {
    pub(super) fn new(listener: TcpListener, certificate: Certificate) -> Self {
        Self { listener, certificate, handshakes: JoinSet::new() }
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let room = self.handshakes.len() < MAX_HANDSHAKES;
            tokio::select! {
                Some(ended) = self.handshakes.join_next() => {
                    if let Ok(Some(accepted)) = ended {
                        return accepted;
                    }
                }
                // Its own accept waits after errors as of too many open files.
                (stream, address) = axum::serve::Listener::accept(&mut self.listener), if room => {
                    let acceptor = TlsAcceptor::from(self.certificate.current());
                    self.handshakes.spawn(async move {
                        let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await.ok()?.ok()?;
                        Some((stream, address))
                    });
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
