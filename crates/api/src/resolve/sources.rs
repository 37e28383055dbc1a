//! Metric sources: keys, units, defaults of the target type, and where values are read.

use crate::resolved::{PodEndpoint, Port, ResolvedSource, Resource, SourceKind};
use crate::v1alpha1::{MetricSource, MetricSourceType, PodAutoscalerSpec, ProtocolType, ScalingStrategy, TargetType};
use crate::validate::{scheme, target_value};
use std::collections::BTreeSet;

/// Bytes of a mebibyte, AIBrix's unit of memory under HPA.
const MIB: f64 = 1_048_576.0;

pub(super) fn sources(spec: &PodAutoscalerSpec) -> Vec<ResolvedSource> {
    let mut taken = BTreeSet::new();
    let mut resolved = Vec::new();
    for (index, source) in spec.sources().iter().enumerate() {
        let Some(mut one) = resolve(source, spec.scaling_strategy) else { continue };
        if taken.contains(&one.key) {
            one.key = crate::validate::shared_key(index, source);
        }
        taken.insert(one.key.clone());
        resolved.push(one);
    }
    resolved
}

/// One source; none where validation would have refused it.
fn resolve(source: &MetricSource, strategy: ScalingStrategy) -> Option<ResolvedSource> {
    let value = target_value(&source.target_value).ok()?;
    let kind = kind(source)?;
    let hpa = strategy == ScalingStrategy::Hpa;
    let target_type = source.target_type.unwrap_or(match kind {
        SourceKind::Resource(Resource::Cpu) if hpa => TargetType::Utilization,
        _ => TargetType::AverageValue,
    });
    let target = match (&kind, target_type) {
        (SourceKind::Resource(Resource::Memory), TargetType::AverageValue) if hpa => value * MIB,
        // AIBrix writes whole percents, rounded up.
        (SourceKind::Resource(_), TargetType::Utilization) if hpa => value.ceil(),
        _ => value,
    };
    Some(ResolvedSource {
        key: source.key().to_owned(),
        metric: source.target_metric.clone(),
        kind,
        target,
        target_type,
        statistic: source.statistic,
        labels: source.labels.clone().unwrap_or_default(),
        tls: source.tls.clone(),
        secret: source.secret_ref.clone(),
    })
}

fn kind(source: &MetricSource) -> Option<SourceKind> {
    let protocol = source.protocol_type.unwrap_or(ProtocolType::Http);
    Some(match source.metric_source_type {
        MetricSourceType::Pod => {
            SourceKind::Pod(PodEndpoint { protocol, port: port(source.port()?), path: rooted(source.path()?) })
        }
        MetricSourceType::Resource if source.target_metric == "cpu" => SourceKind::Resource(Resource::Cpu),
        MetricSourceType::Resource => SourceKind::Resource(Resource::Memory),
        MetricSourceType::Custom => SourceKind::Custom,
        MetricSourceType::External | MetricSourceType::Domain => match source.endpoint() {
            Some(endpoint) => {
                let endpoint = scheme(endpoint).1.trim_end_matches('/').to_owned();
                SourceKind::Endpoint { protocol, endpoint, path: rooted(source.path()?) }
            }
            None => SourceKind::External,
        },
        MetricSourceType::Object => SourceKind::Object(source.described_object.clone()?),
        MetricSourceType::Prometheus => {
            SourceKind::Prometheus { url: url(source, protocol)?, query: source.query.clone()? }
        }
    })
}

fn port(text: &str) -> Port {
    match text.parse() {
        Ok(number) if number > 0 => Port::Number(number),
        _ => Port::Name(text.to_owned()),
    }
}

fn rooted(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// The base URL of a Prometheus server: the endpoint, which may carry its scheme, and the path in front of its API.
fn url(source: &MetricSource, protocol: ProtocolType) -> Option<String> {
    let (scheme, host) = scheme(source.endpoint()?);
    let protocol = scheme.and_then(ProtocolType::of_scheme).unwrap_or(protocol).as_str();
    let path = source.path().map(rooted).unwrap_or_default();
    Some(format!("{protocol}://{}{}", host.trim_end_matches('/'), path.trim_end_matches('/')))
}
