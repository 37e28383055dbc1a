//! The validating webhook: refuses at once what the controller would only report later. Optional; without it nothing is unsafe.
//! Must not write to the cluster.

mod certificate;
mod listener;
mod review;

use crate::options::Webhook;
use anyhow::Context as _;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use bounded_serve::Limits;
use certificate::Certificate;
use kube::Client;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use listener::TlsListener;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Where the API server posts its reviews.
pub(crate) const PATH: &str = "/validate";
/// etcd takes objects of at most 1.5 MiB, and a review has the old and the new one.
const MAX_BODY: usize = 4 << 20;
/// The API server has a few connections, which it lets go after 90 s without a request; closing them before it does could meet a review
/// on its way. It waits 30 s for an answer at most.
const LIMITS: Limits = Limits {
    connections: 128,
    head: Duration::from_secs(120),
    answer: Duration::from_secs(30),
    grace: Duration::from_secs(5),
};

/// Binds the address and reads the certificate, so that both are errors at the start; gives back what serves until `stop`.
pub(crate) async fn serve(
    options: &Webhook,
    client: Client,
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let certificate = Certificate::load(options.certificate.clone(), options.key.clone())?;
    let listener =
        TcpListener::bind(options.address).await.with_context(|| format!("{}: cannot listen", options.address))?;
    let router = Router::new().route(PATH, post(answer)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(client);
    let listener = TlsListener::new(listener, certificate);
    Ok(async move {
        bounded_serve::serve(listener, router, LIMITS, stop.cancelled()).await;
    })
}

async fn answer(
    State(client): State<Client>,
    Json(asked): Json<AdmissionReview<DynamicObject>>,
) -> Json<AdmissionReview<DynamicObject>> {
    let request: Result<AdmissionRequest<DynamicObject>, _> = asked.try_into();
    let answer = match request {
        Ok(request) => review::review(&client, &request).await,
        Err(error) => AdmissionResponse::invalid(error),
    };
    Json(answer.into_review())
}
