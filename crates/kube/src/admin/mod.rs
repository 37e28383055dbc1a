//! What the controller says of itself: health, readiness, metrics.

mod metrics;
mod requests;
mod server;

pub(crate) use metrics::Metrics;
pub(crate) use requests::Requests;
pub(crate) use server::{Health, serve};
