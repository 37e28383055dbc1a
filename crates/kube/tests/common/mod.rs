//! A real control plane for the tests of the Kubernetes world: etcd, kube-apiserver and kube-controller-manager on this machine,
//! with a fake kubelet, since there is no node.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod cluster;
pub(crate) mod kubelet;
pub(crate) mod metrics_api;
pub(crate) mod plane;

use std::time::Duration;

/// Far longer than anything takes; a test that gets here has failed.
pub(crate) const GUARD: Duration = Duration::from_secs(180);
