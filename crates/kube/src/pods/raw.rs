//! The fields of a pod that are read at all; what is not named here is never parsed into anything.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::Object;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A pod as the watch delivers it.
pub(crate) type RawPod = Object<Spec, Status>;

#[derive(Deserialize, Debug, Clone, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    pub(super) containers: Vec<Container>,
    pub(super) init_containers: Vec<Container>,
    /// Requests of the pod as a whole (Kubernetes 1.34).
    pub(super) resources: Resources,
}

#[derive(Deserialize, Debug, Clone, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    pub(super) ports: Vec<ContainerPort>,
    pub(super) resources: Resources,
    /// `Always` makes an init container a sidecar.
    pub(super) restart_policy: Option<String>,
}

#[derive(Deserialize, Debug, Clone, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerPort {
    pub(super) name: Option<String>,
    pub(super) container_port: i32,
}

#[derive(Deserialize, Debug, Clone, Default)]
#[serde(default)]
pub(crate) struct Resources {
    pub(super) requests: Option<BTreeMap<String, Quantity>>,
    /// A limit without a request is a request, too; the server fills it in for containers.
    pub(super) limits: Option<BTreeMap<String, Quantity>>,
}

#[derive(Deserialize, Debug, Clone, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(super) phase: Option<String>,
    pub(super) reason: Option<String>,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Option<String>,
    pub(super) conditions: Vec<Condition>,
    pub(super) container_statuses: Vec<ContainerStatus>,
    pub(super) init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Debug, Clone, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    pub(super) last_transition_time: Option<Time>,
}

#[derive(Deserialize, Debug, Clone, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerStatus {
    pub(super) restart_count: i32,
    pub(super) state: State,
}

#[derive(Deserialize, Debug, Clone, Default)]
#[serde(default)]
pub(crate) struct State {
    pub(super) waiting: Option<Waiting>,
}

#[derive(Deserialize, Debug, Clone, Default)]
#[serde(default)]
pub(crate) struct Waiting {
    pub(super) reason: Option<String>,
}
