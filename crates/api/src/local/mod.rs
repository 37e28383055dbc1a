//! The local world's own kinds: `LocalDeployment` says what a replica is on this machine, `LocalWorld` says what the
//! machine offers. They have the outer shape of Kubernetes objects so that one file holds everything, but no cluster
//! knows them. A `PodAutoscaler` that points at a Deployment of the same name finds a `LocalDeployment` too.

mod rules;
mod settings;

pub use rules::{validate_deployment, validate_world};
pub use settings::{DeploymentSettings, ReadinessSettings, WorldSettings};

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The API group of the local kinds.
pub const GROUP: &str = "local.autoscaling.aibrix.ai";
/// Group and version.
pub const API_VERSION: &str = "local.autoscaling.aibrix.ai/v1alpha1";
/// The kind of a group of processes.
pub const DEPLOYMENT_KIND: &str = "LocalDeployment";
/// The kind of the machine.
pub const WORLD_KIND: &str = "LocalWorld";
/// The name of the port that requests go to.
pub const MAIN_PORT: &str = "http";

/// Processes that serve a model on this machine, one for each replica.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[kube(
    group = "local.autoscaling.aibrix.ai",
    version = "v1alpha1",
    kind = "LocalDeployment",
    derive = "PartialEq",
    namespaced,
    doc = "Processes that serve a model on this machine, one for each replica."
)]
#[serde(rename_all = "camelCase")]
pub struct LocalDeploymentSpec {
    /// Program and arguments. `{port}` is the main port, `{port:NAME}` another, `{index}` the replica's number,
    /// `{name}` the deployment's name.
    #[schemars(length(min = 1, max = 1024))]
    pub command: Vec<String>,
    /// Ports besides the main one, which is called http.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub ports: Option<Vec<LocalPort>>,
    /// Environment; values may carry the command's placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Folder that the process starts in; that of the manifest where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// GPUs of one replica, given by `CUDA_VISIBLE_DEVICES`; 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1024))]
    pub gpus_per_replica: Option<i32>,
    /// Model names that requests are routed here by; the deployment's name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub models: Option<Vec<String>>,
    /// The engine whose metrics these are: vllm, sglang, trtllm, tgi, llamacpp; found from the page where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Path of the metrics page; /metrics where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_path: Option<String>,
    /// Replicas to start with; the autoscaler's minimum where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub replicas: Option<i32>,
    /// When a replica counts as ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
    /// Seconds a replica may take to become ready; 600 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout_seconds: Option<f64>,
    /// Seconds a replica may take to finish its requests before it is stopped; requestTimeoutSeconds where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout_seconds: Option<f64>,
    /// Seconds a request may take; 600 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout_seconds: Option<f64>,
    /// Seconds a request is held while no replica is ready; 60 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_timeout_seconds: Option<f64>,
    /// Requests held at once; 256 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_held: Option<i32>,
    /// How long a crashed replica is waited with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_backoff: Option<RestartBackoff>,
}

/// A port besides the main one.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalPort {
    /// Its name, which a metric source's `port` and `{port:NAME}` refer to.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What a metric source's `port` may call it; the port that is listened on is assigned for each replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub number: Option<i32>,
}

/// When a replica counts as ready: a 2xx answer.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Path that is asked; /health where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Name of the port; the main one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Seconds between questions; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<f64>,
    /// Seconds an answer may take; 2 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<f64>,
    /// Failures in a row after which a ready replica is no longer; 3 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub failure_threshold: Option<i32>,
}

/// How long a crashed replica is waited with: doubling from the first to the longest.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartBackoff {
    /// Seconds after the first crash; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_seconds: Option<f64>,
    /// Longest wait in seconds; 60 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<f64>,
}

/// What this machine offers, and where the local world listens.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[kube(
    group = "local.autoscaling.aibrix.ai",
    version = "v1alpha1",
    kind = "LocalWorld",
    derive = "PartialEq",
    namespaced,
    doc = "What this machine offers, and where the local world listens."
)]
#[serde(rename_all = "camelCase")]
pub struct LocalWorldSpec {
    /// GPUs that replicas share; those of the machine where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4096))]
    pub gpus: Option<i32>,
    /// Address of the gateway, host:port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_address: Option<String>,
    /// Address of the dashboard and the JSON API, host:port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard_address: Option<String>,
    /// Seconds between scrapes; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape_interval_seconds: Option<f64>,
    /// Seconds between decisions; 5 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick_interval_seconds: Option<f64>,
}
