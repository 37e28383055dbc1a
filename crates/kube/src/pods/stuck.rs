//! Which pods do not get ready in time, and why, in words for an event.

use super::view::PodView;
use autoscaler_core::observe::Phase;
use autoscaler_core::time::{Span, Timestamp};
use std::sync::Arc;

/// Why a pod does not get ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// No node takes it.
    Unschedulable(Arc<str>),
    /// Its image cannot be had.
    ImagePull(Arc<str>),
    /// Its containers end again and again.
    CrashLoop(u32),
    /// It cannot be set up: a missing `ConfigMap`, a volume.
    Setup(Arc<str>),
    /// Nobody has taken it up, nor said why.
    Pending,
    /// It runs, and is not ready: the model is loading, or its readiness probe asks too much.
    Loading,
}

/// A pod that does not get ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stuck {
    pub(crate) pod: String,
    pub(crate) why: Why,
    /// For how long.
    pub(crate) since: Timestamp,
}

impl Why {
    /// A stable word for events.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unschedulable(_) => "ReplicaUnschedulable",
            Self::ImagePull(_) => "ReplicaImagePull",
            Self::CrashLoop(_) => "ReplicaCrashLoop",
            Self::Setup(_) => "ReplicaSetup",
            Self::Pending => "ReplicaPending",
            Self::Loading => "ReplicaLoading",
        }
    }

    /// What to tell a user.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Unschedulable(message) => format!("no node takes it: {message}"),
            Self::ImagePull(reason) => format!("its image cannot be had ({reason})"),
            Self::CrashLoop(restarts) => format!("its containers end again and again ({restarts} restarts)"),
            Self::Setup(reason) => format!("its containers cannot be made ({reason})"),
            Self::Pending => "it is pending, and nothing says why: is there a scheduler, and a kubelet?".to_owned(),
            Self::Loading => "it runs and is not ready: still loading, or its readiness probe asks too much".to_owned(),
        }
    }
}

/// Pods that have been starting for longer than `deadline`, in the order given.
///
/// The core stops counting on a pod by its age alone. An event is slower to blame: a pod that has been ready, and is not
/// for a moment, gets a deadline of its own from then on.
pub(crate) fn stuck(pods: &[Arc<PodView>], deadline: Span, now: Timestamp) -> Vec<Stuck> {
    pods.iter().filter_map(|pod| one(pod, deadline, now)).collect()
}

fn one(pod: &PodView, deadline: Span, now: Timestamp) -> Option<Stuck> {
    if pod.deleting || pod.ended() || pod.serves() {
        return None;
    }
    let since = match pod.ready_at {
        Some(changed) if changed > pod.created + deadline => changed,
        _ => pod.created,
    };
    if since + deadline >= now {
        return None;
    }
    Some(Stuck { pod: pod.name.to_string(), why: why(pod), since })
}

fn why(pod: &PodView) -> Why {
    if let Some(message) = &pod.unschedulable {
        return Why::Unschedulable(message.clone());
    }
    let Some(reason) = &pod.waiting else {
        return if pod.phase == Phase::Pending { Why::Pending } else { Why::Loading };
    };
    match reason.as_ref() {
        "CrashLoopBackOff" => Why::CrashLoop(pod.restarts),
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => {
            Why::ImagePull(reason.clone())
        }
        _ => Why::Setup(reason.clone()),
    }
}
