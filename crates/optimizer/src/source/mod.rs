//! Where loads and profiles come from.

pub(crate) mod engines;
pub(crate) mod files;
pub(crate) mod records;
pub(crate) mod redis;
pub(crate) mod ticks;
