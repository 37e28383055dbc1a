//! The Kubernetes world: `PodAutoscaler` objects are watched, their targets and pods seen, and `/scale` written, with the
//! decisions of `autoscaler_core`.
//!
//! Kubernetes' types stop here: the core is given observations and gives back counts.

mod admin;
mod admission;
mod clock;
mod conflict;
mod context;
mod events;
mod hpa;
mod leader;
mod look;
mod manager;
mod memory;
mod observe;
mod options;
mod partners;
mod plan;
mod planning;
mod pods;
mod run;
mod said;
mod scaling;
mod secrets;
mod sources;
mod status;
mod target;
mod turn;
mod voice;
mod worker;

pub use kube::Config;
pub use options::{Options, Webhook};
pub use run::run;
