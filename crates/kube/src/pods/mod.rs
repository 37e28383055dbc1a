//! The pods of targets: one watch of all, trimmed to what a decision needs; which replicas they make up; which are stuck;
//! which should go first; how long they take to start.
//!
//! Must not know metrics: a replica says which pods to read, and another module reads them.

mod feed;
mod group;
mod index;
mod pool;
mod raw;
mod replicas;
mod requests;
mod selector;
mod startup;
mod stuck;
#[cfg(test)]
mod tests;
mod victims;
mod view;

pub(crate) use feed::{Scope, feed};
pub(crate) use group::Grouping;
pub(crate) use index::Index;
pub(crate) use replicas::{Replica, replicas};
pub(crate) use selector::Selector;
pub(crate) use startup::{Measured, StartUp, StartUps};
pub(crate) use stuck::{Stuck, stuck};
pub(crate) use victims::{Cost, costs, mark};
pub(crate) use view::PodView;
