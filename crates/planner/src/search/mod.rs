//! The search for the cheapest counts of replicas. Must not know JSON or profiles.

pub(crate) mod block;
pub(crate) mod counts;
pub(crate) mod lp;
mod master;
pub(crate) mod prices;
