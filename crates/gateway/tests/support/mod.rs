//! A gateway and scripted engines on loopback sockets, and a raw client that shows what arrives when.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use gateway::{Event, Gateway, GatewayConfig, GatewayHandle, GroupConfig, RequestRecord};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Guard against hanging; no test waits for it to pass.
pub(crate) const GUARD: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(GUARD, future).await;
    result.unwrap_or_else(|_| panic!("timed out: {what}"))
}

/// Waits until `check` holds; state that no event announces is polled.
pub(crate) async fn until(what: &str, mut check: impl FnMut() -> bool) {
    soon(what, async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

pub(crate) fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

/// A request that reached an engine, to be answered by the test.
pub(crate) struct Call {
    pub(crate) request: Request<Bytes>,
    answer: oneshot::Sender<Response<Body>>,
}

impl Call {
    pub(crate) fn answer(self, response: Response<Body>) {
        let _ = self.answer.send(response);
    }

    pub(crate) fn answer_json(self, text: &'static str) {
        self.answer(Response::builder().header("content-type", "application/json").body(full(text)).unwrap());
    }

    /// Answers with a stream whose chunks the test sends.
    pub(crate) fn answer_stream(self) -> Chunks {
        let (sender, receiver) = mpsc::channel(1);
        let body = BodyExt::boxed(StreamBody::new(Received(receiver)));
        self.answer(Response::builder().header("content-type", "text/event-stream").body(body).unwrap());
        Chunks(sender)
    }

    /// True once the gateway has given up on this request.
    pub(crate) async fn abandoned(&mut self) {
        self.answer.closed().await;
    }
}

type Chunk = Result<Frame<Bytes>, std::io::Error>;

struct Received(mpsc::Receiver<Chunk>);

impl futures_util::Stream for Received {
    type Item = Chunk;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        self.0.poll_recv(cx)
    }
}

pub(crate) struct Chunks(mpsc::Sender<Chunk>);

impl Chunks {
    /// False if the gateway no longer reads.
    pub(crate) async fn send(&self, text: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(text.into()))).await.is_ok()
    }

    pub(crate) async fn event(&self, json: &str) {
        assert!(self.send(format!("data: {json}\n\n")).await, "the gateway reads");
    }

    /// Breaks the connection off.
    pub(crate) async fn break_off(self) {
        let _ = self.0.send(Err(std::io::Error::other("crash"))).await;
    }

    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// An engine whose every answer the test gives.
pub(crate) struct Engine {
    pub(crate) addr: SocketAddr,
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
    task: JoinHandle<()>,
}

impl Engine {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        let task = tokio::spawn(accept(listener, sender));
        Self { addr, calls, task }
    }

    pub(crate) async fn call(&mut self) -> Call {
        soon("a request reaches the engine", self.calls.recv()).await.expect("engine runs")
    }

    /// The process dies: its sockets close.
    pub(crate) async fn crash(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

async fn accept(listener: TcpListener, calls: mpsc::UnboundedSender<Call>) {
    // Owned by this task, so that aborting it closes them.
    let mut served = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let calls = calls.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let calls = calls.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let (answer, answered) = oneshot::channel();
                calls.send(Call { request: Request::from_parts(head, body), answer }).ok();
                // A call that the test dropped is an engine that hangs.
                match answered.await {
                    Ok(response) => Ok::<_, Infallible>(response),
                    Err(_) => std::future::pending().await,
                }
            }
        });
        served.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// A gateway that serves on loopback.
pub(crate) struct World {
    pub(crate) handle: GatewayHandle,
    pub(crate) addr: SocketAddr,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) client: Client<HttpConnector, Full<Bytes>>,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) served: JoinHandle<()>,
}

pub(crate) fn quick() -> GatewayConfig {
    GatewayConfig { connect_backoff: Duration::from_millis(20), ..GatewayConfig::default() }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(quick(), GroupConfig::new("g", ["m"])).await
    }

    pub(crate) async fn with(config: GatewayConfig, group: GroupConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let gateway = Gateway::new(config);
        let handle = gateway.handle();
        handle.set_group(group).unwrap();
        let events = handle.subscribe(1024);
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            gateway.serve(listener, async { drop(stopped.await) }).await;
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { handle, addr, events, client, stop: Some(stop), served }
    }

    pub(crate) fn stop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }

    pub(crate) async fn engine(&self, id: &str) -> Engine {
        let engine = Engine::start().await;
        self.handle.add_replica("g", id, engine.addr).unwrap();
        engine
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Sends a request in the background.
    pub(crate) fn send(&self, request: Request<Full<Bytes>>) -> JoinHandle<Response<Incoming>> {
        let client = self.client.clone();
        tokio::spawn(async move { client.request(request).await.expect("a response") })
    }

    pub(crate) fn post(&self, body: impl Into<Bytes>) -> JoinHandle<Response<Incoming>> {
        let uri = self.uri("/v1/completions");
        let request = Request::post(uri).header("content-type", "application/json");
        self.send(request.body(Full::new(body.into())).unwrap())
    }

    pub(crate) fn ask(&self) -> JoinHandle<Response<Incoming>> {
        self.post(r#"{"model":"m","prompt":"12345678"}"#)
    }

    /// A request whose answer has begun to stream: the engine's side and the client's.
    pub(crate) async fn stream(&self, engine: &mut Engine) -> (Chunks, Incoming) {
        let pending = self.ask();
        let chunks = engine.call().await.answer_stream();
        chunks.event("{}").await;
        (chunks, soon("the head", pending).await.unwrap().into_body())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = self.send(Request::get(self.uri(path)).body(Full::default()).unwrap());
        text(soon("an answer", response).await.unwrap()).await
    }

    pub(crate) async fn record(&mut self) -> Arc<RequestRecord> {
        loop {
            match soon("a record", self.events.recv()).await.expect("the gateway lives") {
                Event::Finished(record) => return record,
                Event::Wake { .. } => {}
            }
        }
    }

    pub(crate) async fn woken(&mut self) -> String {
        loop {
            match soon("a wake-up", self.events.recv()).await.expect("the gateway lives") {
                Event::Wake { group } => return group,
                Event::Finished(_) => {}
            }
        }
    }

    pub(crate) async fn held(&self, count: usize) {
        until("requests are held", || self.handle.snapshot().groups[0].held == count).await;
    }
}

pub(crate) async fn answered(request: JoinHandle<Response<Incoming>>) -> (u16, String) {
    text(soon("an answer", request).await.unwrap()).await
}

pub(crate) async fn text(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = soon("the body", response.into_body().collect()).await.expect("whole body").to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The next chunk of a streamed answer; `None` at its end.
pub(crate) async fn chunk(body: &mut Incoming) -> Option<Result<String, hyper::Error>> {
    let frame = soon("a chunk", body.frame()).await?;
    Some(frame.map(|frame| String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()))
}
