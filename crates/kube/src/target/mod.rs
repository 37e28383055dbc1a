//! What is scaled: finding its kind, reading and writing its replicas, and noticing that it has changed.
//!
//! `/scale` is read and written, never a whole object (AIBrix #22), and always in the autoscaler's own namespace (#21).
//! Must not know how anything is decided, nor anything about pods but the selector that finds them.

mod call;
mod error;
mod kinds;
mod plain;
mod scale;
mod storm;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

pub(crate) use call::{About, call};
pub(crate) use error::TargetError;
pub(crate) use kinds::{Kinds, group_of};
pub(crate) use scale::{FIELD_MANAGER, ScaleTarget, ScaleView, Written};
pub(crate) use watch::Watch;
