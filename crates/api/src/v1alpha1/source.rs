//! One metric source: AIBrix's seven fields, and what we add to select series, authenticate and interpret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a metric comes from, and what it should be.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricSource {
    /// Where the metric comes from.
    pub metric_source_type: MetricSourceType,
    /// Protocol of the metrics endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_type: Option<ProtocolType>,
    /// Host (and port) of an external metrics endpoint or of a Prometheus server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub endpoint: Option<String>,
    /// Path of the metrics endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub path: Option<String>,
    /// Port of the pods' metrics endpoint, a number or a port's name, as a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub port: Option<String>,
    /// The metric: a normalised name, an engine's own, cpu or memory.
    #[schemars(length(max = 1024))]
    pub target_metric: String,
    /// The value to hold, as a decimal string above 0.
    #[schemars(length(max = 256))]
    pub target_value: String,
    /// Tells two sources of one targetMetric apart; then it is the key of their values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Selects the series that carry these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// How an https endpoint is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// A bearer token for the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
    /// What is taken of the series: by default a gauge's value, a counter's rate, a histogram's mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<Statistic>,
    /// How the target is meant: Utilization by default for resource cpu under HPA, AverageValue otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type: Option<TargetType>,
    /// The object that an object source describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described_object: Option<DescribedObject>,
    /// The PromQL expression of a prometheus source; its one result is the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8192))]
    pub query: Option<String>,
}

impl MetricSource {
    /// The text of an optional field, with an empty one counting as absent, as AIBrix has it.
    pub(crate) fn set(field: Option<&String>) -> Option<&str> {
        field.map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The endpoint, unless empty.
    pub fn endpoint(&self) -> Option<&str> {
        Self::set(self.endpoint.as_ref())
    }

    /// The path, unless empty.
    pub fn path(&self) -> Option<&str> {
        Self::set(self.path.as_ref())
    }

    /// The port, unless empty.
    pub fn port(&self) -> Option<&str> {
        Self::set(self.port.as_ref())
    }

    /// What its values are called: `name`, else `targetMetric`.
    pub fn key(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.target_metric)
    }
}

/// Where a metric comes from.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricSourceType {
    /// The pods' own metrics endpoints.
    Pod,
    /// metrics.k8s.io: cpu or memory of the pods.
    Resource,
    /// custom.metrics.k8s.io, for each pod.
    Custom,
    /// external.metrics.k8s.io, or an endpoint outside the target.
    External,
    /// The older name of external.
    Domain,
    /// custom.metrics.k8s.io, for one described object.
    Object,
    /// A Prometheus server's query API.
    Prometheus,
}

impl MetricSourceType {
    /// The name as the manifest writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Resource => "resource",
            Self::Custom => "custom",
            Self::External => "external",
            Self::Domain => "domain",
            Self::Object => "object",
            Self::Prometheus => "prometheus",
        }
    }

    /// Whether this is `external` under either of its names.
    pub fn is_external(self) -> bool {
        matches!(self, Self::External | Self::Domain)
    }
}

/// Protocol of a metrics endpoint.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolType {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl ProtocolType {
    /// The name as the manifest writes it, which is the URL's scheme too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The protocol of a URL's scheme, in any case.
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|one| one.as_str().eq_ignore_ascii_case(scheme))
    }
}

/// What is taken of a metric's series.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// The value as it stands.
    Value,
    /// Growth a second.
    Rate,
    /// A histogram's mean.
    Mean,
    /// A histogram's median.
    P50,
    /// A histogram's 90th percentile.
    P90,
    /// A histogram's 95th percentile.
    P95,
    /// A histogram's 99th percentile.
    P99,
}

/// How a target is meant.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
pub enum TargetType {
    /// Percent of the resource request; resource sources only.
    Utilization,
    /// For each replica.
    AverageValue,
    /// The value itself; not for pod and resource sources.
    Value,
}

/// How an https endpoint is verified.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Accept any certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// The name that the certificate must carry, where it is not the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
    /// A PEM file of trusted authorities, on the controller's file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub ca_file: Option<String>,
    /// A Secret with a PEM bundle of trusted authorities; its key is ca.crt where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
}

/// A key of a Secret in the object's namespace. In the local world: a file, `name` its folder and `key` its name.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 4096))]
    pub name: String,
    /// Key within it; token where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// The object that an object metric describes, in the autoscaler's namespace.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DescribedObject {
    /// API version; the core group where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind.
    #[schemars(length(min = 1, max = 253))]
    pub kind: String,
    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}
