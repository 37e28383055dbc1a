//! Policies × traces × engines × start-up times × seeds, each cell scored against the oracle.

mod cell;
mod grid;
mod summary;

pub use cell::Cell;
pub use grid::{CompareError, Compared, Grid, Load, Ran, SCORED, TARGET, run};
pub(crate) use grid::{Pair, parallel};
pub use summary::{Summary, summaries};
