//! Metric sources: what each type needs and what it must not carry.

use crate::diagnostics::{Diagnostic, quote};
use crate::gosyntax::parse_float;
use crate::v1alpha1::{MetricSource, MetricSourceType, PodAutoscalerSpec, ProtocolType, ScalingStrategy, TargetType};
use std::collections::BTreeSet;

pub(super) fn sources(spec: &PodAutoscalerSpec, found: &mut Vec<Diagnostic>) {
    if spec.sources().is_empty() {
        found.push(Diagnostic::error("spec.metricsSources", "at least one metric source is required"));
    }
    let mut names = BTreeSet::new();
    let mut metrics = BTreeSet::new();
    for (index, source) in spec.sources().iter().enumerate() {
        let path = format!("spec.metricsSources[{index}]");
        metric(source, &path, found);
        by_type(source, &path, found);
        endpoint(source, &path, found);
        additions(source, &path, found);
        if spec.scaling_strategy == ScalingStrategy::Hpa {
            resource_by_name(source, &path, found);
        }
        if let Some(name) = &source.name {
            if !names.insert(name) {
                found.push(Diagnostic::error(format!("{path}.name"), format!("{} is used twice", quote(name))));
            }
        } else if !metrics.insert(&source.target_metric) && !source.target_metric.is_empty() {
            let metric = quote(&source.target_metric);
            let message = format!(
                "{metric} has an earlier source without a name; this one's values are called \"{}\"",
                key(index, source)
            );
            found
                .push(Diagnostic::warning(format!("{path}.targetMetric"), message).allowed("a distinct name for each"));
        }
    }
}

/// The key of a source that shares its `targetMetric` with an earlier one and has no name.
pub(crate) fn key(index: usize, source: &MetricSource) -> String {
    format!("{}#{index}", source.target_metric)
}

/// A target value: finite and above 0, in Go's syntax.
pub(crate) fn target_value(text: &str) -> Result<f64, &'static str> {
    match parse_float(text) {
        Err(_) => Err("is not a number"),
        Ok(value) if !value.is_finite() => Err("must be finite"),
        Ok(value) if value <= 0.0 => Err("must be above 0"),
        Ok(value) => Ok(value),
    }
}

fn metric(source: &MetricSource, path: &str, found: &mut Vec<Diagnostic>) {
    if source.target_metric.is_empty() {
        found.push(Diagnostic::error(format!("{path}.targetMetric"), "must not be empty"));
    }
    if let Err(why) = target_value(&source.target_value) {
        let path = format!("{path}.targetValue");
        let allowed = "a decimal above 0 in a string, such as \"50\" or \"0.5\"";
        let message = match source.target_value.as_str() {
            "" => "must not be empty".to_owned(),
            text => format!("{} {why}", quote(text)),
        };
        found.push(Diagnostic::error(path, message).allowed(allowed));
    }
}

fn by_type(source: &MetricSource, path: &str, found: &mut Vec<Diagnostic>) {
    use MetricSourceType as Type;
    let kind = source.metric_source_type;
    let protocol = source.protocol_type.is_some();
    let fields = [
        ("protocolType", protocol),
        ("port", source.port().is_some()),
        ("path", source.path().is_some()),
        ("endpoint", source.endpoint().is_some()),
    ];
    let require = |names: &[&str], why: &str, found: &mut Vec<Diagnostic>| {
        for (name, _) in fields.iter().filter(|(name, set)| !set && names.contains(name)) {
            found.push(Diagnostic::error(format!("{path}.{name}"), format!("is required {why}")));
        }
    };
    let forbid = |names: &[&str], found: &mut Vec<Diagnostic>| {
        for (name, _) in fields.iter().filter(|(name, set)| *set && names.contains(name)) {
            let message = format!("is not possible with metricSourceType {}", kind.as_str());
            found.push(Diagnostic::error(format!("{path}.{name}"), message).allowed("leave it out"));
        }
    };
    match kind {
        Type::Pod => require(&["protocolType", "port", "path"], "with metricSourceType pod", found),
        Type::Resource => {
            if !["cpu", "memory"].contains(&source.target_metric.as_str()) {
                let message = format!("{} is not a resource", quote(&source.target_metric));
                found.push(Diagnostic::error(format!("{path}.targetMetric"), message).allowed("cpu, memory"));
            }
            forbid(&["protocolType", "port", "path", "endpoint"], found);
        }
        Type::External | Type::Domain if source.endpoint().is_some() => {
            require(&["protocolType", "path"], "where an external source has an endpoint", found);
        }
        Type::Custom | Type::External | Type::Domain => {}
        Type::Object => forbid(&["protocolType", "port", "path", "endpoint"], found),
        Type::Prometheus => require(&["endpoint"], "with metricSourceType prometheus", found),
    }
    if kind == Type::Domain {
        let path = format!("{path}.metricSourceType");
        found.push(Diagnostic::note(path, "domain is the older name of external, and read as such"));
    }
    port(source, path, found);
}

/// A port that cannot be one is a warning: AIBrix accepts any text, and fails at the first scrape.
fn port(source: &MetricSource, path: &str, found: &mut Vec<Diagnostic>) {
    let Some(port) = source.port() else { return };
    let numeric = port.bytes().all(|byte| byte.is_ascii_digit());
    if numeric && !port.parse::<u16>().is_ok_and(|number| number > 0) {
        let message = format!("{} is not a port; nothing can be read there", quote(port));
        found
            .push(Diagnostic::warning(format!("{path}.port"), message).allowed("\"1\" to \"65535\", or a port's name"));
    }
}

/// An endpoint's scheme, where it has one, and what follows it.
pub(crate) fn scheme(endpoint: &str) -> (Option<&str>, &str) {
    endpoint.split_once("://").map_or((None, endpoint), |(scheme, rest)| (Some(scheme), rest))
}

/// A scheme in front of an endpoint says the same as `protocolType`, or there is no telling which is meant.
fn endpoint(source: &MetricSource, path: &str, found: &mut Vec<Diagnostic>) {
    let kind = source.metric_source_type;
    let Some(endpoint) = source.endpoint().filter(|_| kind.is_external() || kind == MetricSourceType::Prometheus)
    else {
        return;
    };
    let (scheme, rest) = scheme(endpoint);
    let path = format!("{path}.endpoint");
    if rest.trim_matches('/').is_empty() {
        found.push(Diagnostic::error(path, format!("{} names no host", quote(endpoint))).allowed("host:port"));
        return;
    }
    let Some(scheme) = scheme else { return };
    match (ProtocolType::of_scheme(scheme), source.protocol_type) {
        (None, _) => {
            let message = format!("{} is not a protocol", quote(scheme));
            found.push(Diagnostic::error(path, message).allowed("host:port, or http:// or https:// in front"));
        }
        (Some(own), Some(stated)) if own != stated => {
            let stated = stated.as_str();
            let message = format!("{} contradicts protocolType {stated}", quote(endpoint));
            found.push(Diagnostic::error(path, message).allowed(format!("{rest}, or {stated}://{rest}")));
        }
        _ => {}
    }
}

/// AIBrix looks only at the name under HPA, and makes `cpu` and `memory` resources whatever the type says.
fn resource_by_name(source: &MetricSource, path: &str, found: &mut Vec<Diagnostic>) {
    let metric = source.target_metric.to_ascii_lowercase();
    if source.metric_source_type != MetricSourceType::Resource && ["cpu", "memory"].contains(&metric.as_str()) {
        let kind = source.metric_source_type.as_str();
        let message =
            format!("AIBrix reads this as the pods' {metric} whatever the type says; here it is a {kind} metric");
        let path = format!("{path}.metricSourceType");
        found.push(Diagnostic::warning(path, message).allowed(format!("resource, if {metric} of the pods is meant")));
    }
}

fn additions(source: &MetricSource, path: &str, found: &mut Vec<Diagnostic>) {
    use MetricSourceType as Type;
    let kind = source.metric_source_type;
    let mut only = |field: &str, set: bool, wanted: bool, home: &str| {
        let path = format!("{path}.{field}");
        match (set, wanted) {
            (false, true) => found.push(Diagnostic::error(path, format!("is required with metricSourceType {home}"))),
            (true, false) => found.push(
                Diagnostic::error(path, format!("is for metricSourceType {home}, not {}", kind.as_str()))
                    .allowed("leave it out"),
            ),
            _ => {}
        }
    };
    only("describedObject", source.described_object.is_some(), kind == Type::Object, "object");
    only(
        "query",
        // A blank one is none to a prometheus source; others may not even have that, as the CRD has it.
        source.query.as_deref().is_some_and(|query| kind != Type::Prometheus || !query.trim().is_empty()),
        kind == Type::Prometheus,
        "prometheus",
    );
    let scraped = kind == Type::Pod || (kind.is_external() && source.endpoint().is_some());
    if source.statistic.is_some() && !scraped {
        let message = "is for metrics that are read from an endpoint (pod, or external with an endpoint)";
        found.push(Diagnostic::error(format!("{path}.statistic"), message).allowed("leave it out"));
    }
    let target_path = format!("{path}.targetType");
    match source.target_type {
        Some(TargetType::Utilization) if kind != Type::Resource => {
            let message = "Utilization is a share of a resource request, which only a resource source has";
            found.push(Diagnostic::error(target_path, message).allowed("AverageValue"));
        }
        Some(TargetType::Value) if matches!(kind, Type::Pod | Type::Resource) => {
            let message = format!("Value is for fleet-wide metrics; a {} metric is for each pod", kind.as_str());
            found.push(Diagnostic::error(target_path, message).allowed("AverageValue"));
        }
        _ => {}
    }
    described_object(source, path, found);
    let secured = scraped || kind == Type::Prometheus;
    for (field, set) in [("tls", source.tls.is_some()), ("secretRef", source.secret_ref.is_some())] {
        if set && !secured {
            let message = "has no effect: this source is read through the cluster's API";
            found.push(Diagnostic::warning(format!("{path}.{field}"), message));
        }
    }
    let plain = source.protocol_type.unwrap_or(ProtocolType::Http) == ProtocolType::Http;
    let https = source
        .endpoint()
        .is_some_and(|endpoint| scheme(endpoint).0.and_then(ProtocolType::of_scheme) == Some(ProtocolType::Https));
    if secured && source.tls.is_some() && plain && !https {
        found.push(Diagnostic::warning(format!("{path}.tls"), "has no effect over http").allowed("protocolType https"));
    }
    if source.labels.as_ref().is_some_and(|labels| labels.keys().any(String::is_empty)) {
        found.push(Diagnostic::error(format!("{path}.labels"), "a label needs a name"));
    }
    if source.name.as_deref() == Some("") {
        found.push(Diagnostic::error(format!("{path}.name"), "must not be empty"));
    }
}

fn described_object(source: &MetricSource, path: &str, found: &mut Vec<Diagnostic>) {
    let Some(object) = &source.described_object else { return };
    for (field, value) in [("kind", &object.kind), ("name", &object.name)] {
        if value.is_empty() {
            found.push(Diagnostic::error(format!("{path}.describedObject.{field}"), "must not be empty"));
        }
    }
}
