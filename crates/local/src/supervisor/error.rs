//! What can go wrong in asking something of a supervisor.

use std::path::PathBuf;

use super::MAX_REPLICAS_PER_GROUP;
use crate::validate::FieldError;

/// Why the supervisor refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The speed is not a positive number.
    #[error("speed {0} is not allowed; it must be a number above 0")]
    Speed(f64),
    /// The log directory cannot be made.
    #[error("log directory `{0}`: {1}")]
    LogDir(PathBuf, #[source] std::io::Error),
    /// The system refused something at the start.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The spec has these errors. Said as people know a group: by the kind of its manifest.
    #[error("{}", .errors.iter().map(|error| format!("LocalDeployment {group}: {error}")).collect::<Vec<_>>().join("\n"))]
    Invalid {
        /// The group.
        group: String,
        /// Each with its field.
        errors: Vec<FieldError>,
    },
    /// No such group.
    #[error("no group `{group}`; the groups are: {known}")]
    UnknownGroup {
        /// The name given.
        group: String,
        /// The names there are.
        known: String,
    },
    /// No such replica, or one that ended long ago.
    #[error("no replica `{0}`")]
    UnknownReplica(String),
    /// A group that still has replicas cannot be removed.
    #[error("group `{group}` still has {live} replicas; stop them first")]
    GroupInUse {
        /// The group.
        group: String,
        /// Replicas that are not leaving.
        live: usize,
    },
    /// More than one machine is meant to run.
    #[error("group `{group}` would have {wanted} replicas; at most {MAX_REPLICAS_PER_GROUP} are allowed")]
    TooManyReplicas {
        /// The group.
        group: String,
        /// Replicas it would have, leaving ones included.
        wanted: usize,
    },
    /// Nothing is started any more.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
}
