//! Metric sources that only a cluster has: Kubernetes' three metrics APIs, and a Prometheus server's query API. Each function
//! asks once and has a deadline; when to ask, how old an answer may be and what to make of it is for its caller.
//!
//! | source | function | asks |
//! |---|---|---|
//! | resource | [`pod_usage`] | `metrics.k8s.io/v1beta1`, pods |
//! | custom | [`pod_metric`] | `custom.metrics.k8s.io`, `pods/*/<metric>` |
//! | object | [`object_metric`] | `custom.metrics.k8s.io`, `<resource>/<name>/<metric>` |
//! | external | [`external_metric`] | `external.metrics.k8s.io/v1beta1`, `<metric>` |
//! | prometheus | [`prometheus`] | `/api/v1/query` |
//!
//! Never is an answer 0 for want of one: no value, a value that cannot be read, an API that is away are each a
//! [`SourceError`] whose text says what to do. Its text holds no times and no counts that change by themselves, so that an
//! event with it is told once. Values are given as they came; a negative one is judged by the core, which says so in its
//! trail. Timestamps of custom, object and external values are not looked at, as the HPA does not.
//!
//! Quantities are rounded up to thousandths of their unit, as the HPA does, and bounds are `get::MAX_ANSWER_BYTES` for an answer
//! and `list::MAX_ITEMS` for a list: what is larger is refused, since a part of it would be a lower load.
//!
//! # The GPU optimizer's page
//!
//! A source `external` (or `domain`) with an endpoint is a page outside the target, `SourceKind::Endpoint`, and read by
//! `autoscaler_scrape` and `autoscaler_metrics` as any page is. AIBrix's GPU optimizer serves one for each deployment:
//!
//! ```text
//! GET http://aibrix-gpu-optimizer.aibrix-system.svc.cluster.local:8080/metrics/<namespace>/<deployment>
//! # TYPE vllm:deployment_replicas gauge
//! vllm:deployment_replicas{model_name="M"} 205
//! ```
//!
//! The unit is a hundredth of a replica. It is read as it comes, and `targetValue: "100"` divides: 205 are 3 replicas. A
//! smaller target is head-room. The path names the deployment and its page has one series, with the label `model_name` alone,
//! so there is nothing to select by default: a label that we added (`deployment_name`, say) would match no series of AIBrix's
//! optimizer. A page that lists several deployments takes `labels` on the source. A deployment that the optimizer does not
//! know is a 404, hence absent; AIBrix's own controller makes it 0.

mod custom;
mod discovery;
mod error;
mod external;
mod get;
mod list;
mod object;
mod path;
mod prometheus;
#[cfg(test)]
mod testing;
mod usage;

pub(crate) use custom::pod_metric;
pub(crate) use discovery::CustomApi;
pub(crate) use error::SourceError;
pub(crate) use external::external_metric;
pub(crate) use object::object_metric;
pub(crate) use prometheus::prometheus;
pub(crate) use usage::{PodUsage, pod_usage};
