//! From what arrives, and how it fares, to a plan: how many replicas keep the SLO a start-up from now, and on which GPUs.
//!
//! A [`Planning`] is one model's. A world shows it what it sees ([`Planning::observe`]) and asks for a plan ([`Planning::plan`]),
//! which enters the core as a dated input. The rule is one: **the fewest replicas at which the expected share of requests that miss
//! the SLO is what the SLO leaves free.** Four things go into that expectation, and each is learnt:
//!
//! - the *outlook* ([`outlook`]): how the load a start-up from now has related to the load's level, as a distribution and not as a
//!   mean; of several levels, those whose distributions are cheap to provide for;
//! - the *risk* ([`risk`]): the share of requests that miss at a load per replica, from an engine model that is run in virtual time
//!   on the sizes that were seen, or from a profile;
//! - the *replay*: what really arrived, in virtual time under several rules at once; the more it has seen, the less the formula of
//!   outlook and risk is asked;
//! - the *trust* ([`trust`]): how many more requests missed than the risk had said, and how much of what the SLO leaves free has
//!   been used up.
//!
//! Pure: time is an argument, nothing is random, and the same calls give the same plans. Must not know manifests, clusters or
//! clocks.

mod choose;
mod fleet;
mod guards;
mod kinds;
mod mix;
pub mod outlook;
mod plan;
mod planning;
mod replay;
mod rise;
pub mod risk;
mod seen;
mod settings;
mod sizes;
mod startup;
mod state;
pub mod trust;

pub use plan::{Detail, Plan};
pub use planning::Planning;
pub use seen::{Outcome, Seen, Sized, TargetSeen};
pub use settings::{HOLD, Knowledge, Objective, Parts, Settings, SettingsError, Target};
pub use state::{RestoreError, State, VERSION};
