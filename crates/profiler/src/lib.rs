//! GPU profiles: how many requests a second of each size one replica carries within an SLO.
//!
//! [`Endpoint`] measures an engine behind a socket, with the runs kept in a [`Record`]; [`derive()`] runs an engine model in virtual
//! time. Both walk the grid with [`Sweep`], which finds each
//! cell's knee with few runs ([`Knee`]) and does not run anything itself. A profile is AIBrix's file ([`GpuProfile`]).
//!
//! What it must not know: fleets, policies, the command line.

mod arrivals;
mod derive;
mod fit;
mod knee;
mod measure;
mod plan;
pub mod plot;
mod profile;
mod record;
mod run;
mod slo;
mod stats;
mod sweep;
mod walk;
mod watch;

pub use arrivals::Spread;
pub use derive::{DeriveError, derive, derive_gpu_profile, sweep};
pub use fit::{Fit, FitError, fit};
pub use knee::Knee;
pub use measure::{Endpoint, MeasureError, Position, Settings};
pub use profile::{GpuProfile, Note};
pub use record::{Origin, Record, RecordError, verdict};
pub use run::{Ask, Cell, Run, Stopped};
pub use slo::{CARRIED, Missed, Slo};
pub use stats::{Percentile, Stat};
pub use sweep::{Found, Impossible, Plan, Sweep};
pub use walk::{Told, WalkError, walk};
