//! The decisions of the autoscaler, and nothing else.
//!
//! [`fleet::Fleet::step`] is the product: observations and a time go in, desired replica counts and the trail that
//! explains them come out. The crate is pure: it reads no clock, no randomness and no environment, it does not log,
//! and it cannot fail on bad input, which becomes an absent [`reading::Reading`] and a step of the trail.
//!
//! The same observations give the same decisions, byte for byte; a state that was saved and restored decides as the
//! original would have.

pub mod apa;
pub mod coordination;
pub mod fleet;
pub mod hpa;
pub mod kpa;
pub mod observe;
pub mod reading;
pub mod schedule;
pub mod signal;
pub mod spec;
pub mod stage;
pub mod state;
mod strategy;
mod target;
pub mod time;
pub mod trail;
pub mod window;

pub use fleet::{Decision, Fleet, Observation, Plan};
pub use observe::{Phase, Pod, TargetObservation};
pub use reading::{Reading, Why};
pub use spec::Spec;
pub use time::{Span, Timestamp};
pub use trail::{Rule, Stage, Step, TargetDecision};
