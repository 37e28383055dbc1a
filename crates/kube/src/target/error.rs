//! Why a target cannot be read or written, told apart by what is to be done about it.

use crate::said::said;
use std::time::Duration;

/// Why a target cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    /// No such kind.
    #[error("{0} is not known to the cluster; install its CRD, or correct scaleTargetRef.apiVersion and kind")]
    NoKind(String),
    /// No such object.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The kind cannot be scaled.
    #[error("{0} has no scale subresource, so it cannot be scaled")]
    NoScale(String),
    /// The object lacks what is needed.
    #[error("{0}")]
    Unusable(String),
    /// The controller may not.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// Somebody else has written it since it was read.
    #[error("it was changed by someone else meanwhile; decided anew at the next tick")]
    Changed,
    /// The server asks for fewer requests.
    #[error("the API server is busy (429)")]
    Throttled(Option<Duration>),
    /// The server does not answer, or with an error of its own.
    #[error("the API server: {0}")]
    Unavailable(String),
    /// No answer by the deadline.
    #[error("the API server did not answer in time")]
    TimedOut,
}

impl TargetError {
    /// What a request's failure means for `object`, such as `Deployment n/a`.
    pub(crate) fn of(error: &kube::Error, object: &str) -> Self {
        let kube::Error::Api(status) = error else { return Self::Unavailable(said(error)) };
        match status.code {
            404 => Self::NotFound(object.to_owned()),
            403 => Self::Forbidden(status.message.clone()),
            409 => Self::Changed,
            429 => {
                let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
                Self::Throttled((seconds > 0).then(|| Duration::from_secs(u64::from(seconds))))
            }
            _ => Self::Unavailable(said(error)),
        }
    }

    /// A short word for counting.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NoKind(_) | Self::NotFound(_) => "not_found",
            Self::NoScale(_) | Self::Unusable(_) => "unusable",
            Self::Forbidden(_) => "forbidden",
            Self::Changed => "conflict",
            Self::Throttled(_) => "throttled",
            Self::Unavailable(_) => "server_error",
            Self::TimedOut => "timeout",
        }
    }
}
