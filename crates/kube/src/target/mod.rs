//! What is scaled: finding its kind, reading and writing its count, knowing when it changed. Must not decide.

mod error;
mod kinds;
mod scale;
mod storm;
mod watch;

pub(crate) use error::TargetError;
pub(crate) use kinds::Kinds;
pub(crate) use scale::{MANAGER, ScaleTarget, ScaleView};
pub(crate) use watch::Watch;
