//! What may go wrong with a target, in words that a user can act upon.

use std::time::Duration;

/// Why a target could not be found, read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    /// The object does not exist.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The controller's role lacks a verb.
    #[error("the controller may not {verb} {resource}: allow it in the controller's ClusterRole or Role")]
    Forbidden {
        /// The verb, as RBAC calls it.
        verb: &'static str,
        /// The resource with its group and subresource, as RBAC calls it.
        resource: String,
    },
    /// The kind is served without `/scale`.
    #[error("{0} has no /scale subresource: scale another kind, or add `subresources.scale` to its CRD")]
    NoScale(String),
    /// The server serves no such kind.
    #[error("{0}")]
    NoKind(String),
    /// The `StormService` has no such role.
    #[error("{object} has no role {role:?}; its roles: {known}")]
    NoRole {
        /// The `StormService`.
        object: String,
        /// What was asked for.
        role: String,
        /// What there is.
        known: String,
    },
    /// Somebody else wrote since it was read: read again, then decide.
    #[error("changed since it was read")]
    Changed,
    /// The server asks to wait.
    #[error("the API server asks to wait for {} s", .0.as_secs_f64())]
    Throttled(Duration),
    /// The server, or the way to it, is in trouble.
    #[error("the API server is in trouble: {0}")]
    Unavailable(String),
    /// No answer in time.
    #[error("no answer from the API server within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The request will not succeed as it is.
    #[error("{0}")]
    Refused(String),
}

impl TargetError {
    /// Whether trying again later may help without anybody changing anything.
    pub(crate) fn transient(&self) -> bool {
        matches!(self, Self::Changed | Self::Throttled(_) | Self::Unavailable(_) | Self::Timeout(_))
    }

    /// A stable word for conditions, events and metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "TargetNotFound",
            Self::Forbidden { .. } => "Forbidden",
            Self::NoScale(_) => "NoScaleSubresource",
            Self::NoKind(_) => "UnknownKind",
            Self::NoRole { .. } => "UnknownRole",
            Self::Changed => "Conflict",
            Self::Throttled(_) => "Throttled",
            Self::Unavailable(_) => "ServerUnavailable",
            Self::Timeout(_) => "Timeout",
            Self::Refused(_) => "Refused",
        }
    }
}
