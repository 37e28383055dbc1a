//! `decide`: feeds recorded or hand-written observations to the core and answers its decisions.

pub mod input;
mod limits;
pub mod observe;
pub mod output;
mod parse;
mod run;

pub use parse::parse;
pub use run::{DecideError, Options, Outcome, run};
