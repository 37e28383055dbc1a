//! The local world: replicas are processes on this machine.
//!
//! A [`Supervisor`] keeps groups of replicas running: it starts each from its [`GroupSpec`] on free ports and
//! free GPUs, probes readiness, replaces what crashes with back-off, stops what it is told to stop, keeps a
//! bounded log of each, and leaves no process behind, whatever happens to the supervising process itself
//! (see [`guard`]).
//!
//! It knows nothing of autoscaling, manifests, metrics or the gateway: who wants how many replicas, and which
//! are to go, is told to it; what runs where is told by it ([`Supervisor::status`], [`Supervisor::events`]).
//!
//! Unix only. On Linux nothing outlives the supervisor; elsewhere process groups are killed, best effort.

mod backoff;
mod event;
mod gpu;
mod gpu_pool;
pub mod guard;
mod launch;
mod life;
mod logs;
mod ports;
mod probe;
mod process;
mod program;
mod replica;
mod spec;
mod speed;
mod status;
mod supervisor;
mod template;
mod validate;
mod victims;

pub use event::{Event, EventKind};
pub use gpu::Gpus;
pub use logs::{LogLine, Stream};
pub use spec::{GroupSpec, LogLimits, MAIN_PORT, Readiness, ReadinessCheck, RestartPolicy};
pub use status::{LastExit, PendingReason, ReplicaId, ReplicaState, ReplicaStatus};
pub use supervisor::{Config, Error, MAX_REPLICAS_PER_GROUP, Scaled, Supervisor};
pub use validate::FieldError;
