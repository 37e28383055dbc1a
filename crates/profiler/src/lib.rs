//! GPU profiles: how many requests a second of each size one replica carries within an SLO.
//!
//! [`derive`] runs an engine model in virtual time. Both it and a measurement walk the grid with [`Sweep`], which finds each
//! cell's knee with few runs ([`Knee`]) and does not run anything itself. A profile is AIBrix's file ([`GpuProfile`]).
//!
//! What it must not know: fleets, policies, the command line.

mod arrivals;
mod derive;
mod knee;
mod plan;
mod profile;
mod run;
mod slo;
mod stats;
mod sweep;

pub use arrivals::Spread;
pub use derive::{DeriveError, derive, derive_gpu_profile, sweep};
pub use knee::Knee;
pub use profile::{GpuProfile, Note};
pub use run::{Ask, Cell, Run, Stopped};
pub use slo::{CARRIED, Missed, Slo};
pub use stats::{Percentile, Stat};
pub use sweep::{Found, Impossible, Plan, Sweep};
