//! Policies. Ours run the product's own core, told by a manifest; those of others are written after their sources, which each
//! file names; references know what no policy can know.

mod dynamo;
mod fixed;
mod late;
mod llmd;
mod named;
mod planned;
mod planner;
mod product;
mod wva;

/// Prometheus' usual scrape interval, and the sync period of an HPA, seconds: what reads engines by an adapter is this late.
const PROMETHEUS: f64 = 15.0;

pub use fixed::{Fixed, Schedule};
pub use late::Late;
pub use named::{Named, POLICIES, Terms, names, with_manifest};
pub use planned::plan_settings;
pub(crate) use planned::with_plan;
pub use product::{Product, ProductError, Products};
