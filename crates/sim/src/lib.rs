//! The simulated world: policies on traces in virtual time, against references that know the future.
//!
//! [`world::run`] is one policy on one trace; [`compare`] is a grid of them, scored as GPU-hours against a clairvoyant
//! [`oracle`]. Policies that are ours run the product's own core ([`policy::Product`]). The same seed gives the same outcome on
//! every machine and any number of threads.

pub mod compare;
pub mod demand;
pub mod oracle;
pub mod policy;
pub mod report;
pub mod tune;
pub mod world;
