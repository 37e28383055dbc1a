//! The search for the cheapest counts of replicas. Must not know JSON or profiles.

pub(crate) mod block;
pub(crate) mod counts;
mod effects;
mod exchange;
pub(crate) mod joint;
pub(crate) mod lp;
pub(crate) mod master;
mod narrow;
pub(crate) mod prices;
