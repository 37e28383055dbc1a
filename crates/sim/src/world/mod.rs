//! The world in virtual time: requests arrive, find replicas, and end; replicas start, serve, drain and go; a policy looks at
//! the metrics at its own interval and says how many replicas it wants. Must not know any policy.

mod book;
mod life;
mod look;
mod outcome;
mod policy;
mod queue;
mod replica;
mod route;
mod run;
mod seen;
mod setup;
mod timeline;

pub use outcome::{Fates, GroupOutcome, Outcome};
pub use policy::{Fleet, Policy};
pub use run::{run, run_fleet};
pub use seen::{Ended, Metrics, RECENT, ReplicaView, Seen, Stage, Traffic};
pub use setup::{ColdStart, Faults, Group, Router, SIGMA, Setup};
pub use timeline::{Change, Point, Timeline};
