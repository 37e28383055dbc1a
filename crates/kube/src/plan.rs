//! What one object asks for: the core's spec, and where each of its sources' values come from. Must not fetch anything.

use autoscaler_api::resolved::{Port, ResolvedAutoscaler, ResolvedSource, SourceKind};
use autoscaler_api::v1alpha1::{DescribedObject, ProtocolType, SecretKeyRef, Tls};
use autoscaler_core::spec::Spec;
use autoscaler_metrics::MetricQuery;
use autoscaler_runtime::decide::input::Settings;
use autoscaler_runtime::pages;
use autoscaler_runtime::spec::{SpecError, in_world};
use std::collections::BTreeMap;

/// What one object asks for.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// For the core.
    pub(crate) spec: Spec,
    /// Where values come from, in the order of the spec's sources.
    pub(crate) sources: Vec<Source>,
}

/// One source.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// What the core calls it.
    pub(crate) key: String,
    /// Where its values come from.
    pub(crate) from: From,
    /// How https is verified.
    pub(crate) tls: Option<Tls>,
    /// A bearer token.
    pub(crate) secret: Option<SecretKeyRef>,
}

/// Where values come from.
#[derive(Debug, Clone)]
pub(crate) enum From {
    /// A page of each pod.
    Pages { port: Port, path: String, https: bool, query: MetricQuery },
    /// One page outside of the pods.
    Endpoint { url: String, query: MetricQuery },
    /// metrics.k8s.io.
    Usage,
    /// custom.metrics.k8s.io, for each pod.
    Custom { metric: String, labels: BTreeMap<String, String> },
    /// custom.metrics.k8s.io, for one object.
    Object { object: DescribedObject, metric: String, labels: BTreeMap<String, String> },
    /// external.metrics.k8s.io.
    External { metric: String, labels: BTreeMap<String, String> },
    /// A Prometheus server.
    Prometheus { url: String, query: String },
}

impl Plan {
    /// What a resolved object asks for.
    pub(crate) fn of(resolved: &ResolvedAutoscaler, settings: &Settings) -> Result<Self, SpecError> {
        let spec = in_world(resolved, settings)?;
        Ok(Self { spec, sources: resolved.sources.iter().map(source).collect() })
    }
}

fn source(given: &ResolvedSource) -> Source {
    let (metric, labels) = (given.metric.clone(), given.labels.clone());
    let from = match &given.kind {
        SourceKind::Pod(at) => From::Pages {
            port: at.port.clone(),
            path: at.path.clone(),
            https: at.protocol == ProtocolType::Https,
            query: pages::query(given),
        },
        SourceKind::Endpoint { protocol, endpoint, path } => {
            let scheme = if *protocol == ProtocolType::Https { "https" } else { "http" };
            From::Endpoint { url: format!("{scheme}://{endpoint}{path}"), query: pages::query(given) }
        }
        SourceKind::Resource(_) => From::Usage,
        SourceKind::Custom => From::Custom { metric, labels },
        SourceKind::Object(object) => From::Object { object: object.clone(), metric, labels },
        SourceKind::External => From::External { metric, labels },
        SourceKind::Prometheus { url, query } => From::Prometheus { url: url.clone(), query: query.clone() },
    };
    Source { key: given.key.clone(), from, tls: given.tls.clone(), secret: given.secret.clone() }
}
