//! The Kubernetes world: `PodAutoscaler` objects are watched, their targets and pods seen, and `/scale` written, with the
//! decisions of `autoscaler_core`.
//!
//! Kubernetes' types stop here: the core is given observations and gives back counts.

mod sources;
