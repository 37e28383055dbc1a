//! The watch of HPAs, in the version that the server has.

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler as First;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec,
};
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};

/// HPAs as they come.
pub(crate) type Stream = BoxStream<'static, watcher::Result<Event<HorizontalPodAutoscaler>>>;

/// Watches `autoscaling/v2`.
pub(crate) fn watch(api: Api<HorizontalPodAutoscaler>, config: watcher::Config) -> Stream {
    watcher(api, config).default_backoff().boxed()
}

/// Watches `autoscaling/v1`, where the server has no newer version. Of each is known what it scales, which is all that rivals are
/// told by; we make none there.
pub(crate) fn watch_first(api: Api<First>, config: watcher::Config) -> Stream {
    let convert = |event| match event {
        Event::Apply(hpa) => Event::Apply(second(hpa)),
        Event::Delete(hpa) => Event::Delete(second(hpa)),
        Event::Init => Event::Init,
        Event::InitApply(hpa) => Event::InitApply(second(hpa)),
        Event::InitDone => Event::InitDone,
    };
    watcher(api, config).default_backoff().map_ok(convert).boxed()
}

fn second(first: First) -> HorizontalPodAutoscaler {
    let spec = first.spec.map(|spec| HorizontalPodAutoscalerSpec {
        scale_target_ref: CrossVersionObjectReference {
            api_version: spec.scale_target_ref.api_version,
            kind: spec.scale_target_ref.kind,
            name: spec.scale_target_ref.name,
        },
        min_replicas: spec.min_replicas,
        max_replicas: spec.max_replicas,
        ..HorizontalPodAutoscalerSpec::default()
    });
    HorizontalPodAutoscaler { metadata: first.metadata, spec, status: None }
}
