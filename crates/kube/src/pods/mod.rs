//! Pods: what is kept of each, which belong to a target, and what they are to the core. Must not decide or write.

mod index;
mod replicas;
mod selector;
mod startup;
mod stuck;
mod view;

pub(crate) use index::{Index, watch};
pub(crate) use replicas::replicas;
pub(crate) use selector::Selector;
pub(crate) use startup::{Distribution, Startup};
pub(crate) use stuck::{Stuck, stuck};
pub(crate) use view::{DELETION_COST, PodView};
