//! Request traces, synthetic arrivals, scoring, and the open-loop load client.
//!
//! An [`Arrival`] is a request that somebody sends at a time. Traces ([`trace`]) and generators ([`synth`]) give
//! arrivals in time's order; the [`client`] sends them on schedule to an OpenAI-compatible endpoint, whatever became of
//! the earlier ones; [`score`] turns latencies into percentiles and attainment. Nothing here knows an autoscaler.

pub mod client;
pub mod score;
pub mod synth;
pub mod trace;

mod arrival;

pub use arrival::Arrival;
