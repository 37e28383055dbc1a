//! Engine dialects: from a metrics page to a reading, by a normalised name or by an engine's own.
//!
//! One page of one replica comes in, with what was asked ([`MetricQuery`]); one value or the reason for its absence
//! ([`Absent`]) comes out for each. Counters become rates and histograms means or quantiles over the last
//! [`SPAN_SECONDS`], from snapshots that a [`Memory`] keeps. Nothing here fetches pages or knows an autoscaler.

mod absent;
pub mod dialect;
mod distribution;
mod evaluate;
mod memory;
mod plan;
mod query;
mod series;

pub use absent::Absent;
pub use dialect::Engine;
pub use evaluate::read;
pub use memory::{LONGEST_SPAN_SECONDS, Memory, SPAN_SECONDS};
pub use query::{MetricQuery, Statistic};
