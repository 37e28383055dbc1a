//! The one watch of pods that fills the index.

use super::index::Index;
use super::raw::RawPod;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};

/// Which pods are watched, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// None: the whole cluster.
    pub(crate) namespace: Option<String>,
    /// None: all pods.
    pub(crate) selector: Option<String>,
    /// Whether the server has streaming lists.
    pub(crate) streaming: bool,
}

/// Keeps the index until the task is dropped. Each failure is told to `on_restart`, to be counted; the watch then
/// begins again after a pause that grows to half a minute, with jitter.
pub(crate) async fn feed(index: &Index, client: Client, scope: Scope, on_restart: impl Fn(&watcher::Error) + Send) {
    let resource = ApiResource::erase::<Pod>(&());
    let api: Api<RawPod> = match &scope.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let config = watcher::Config { label_selector: scope.selector, ..watcher::Config::default() };
    let config = if scope.streaming { config.streaming_lists() } else { config };
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => index.apply(event),
            Err(error) => on_restart(&error),
        }
    }
}
