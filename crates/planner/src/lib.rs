//! The cheapest mix of GPU types that carries a load within its SLO.
//!
//! A [`Problem`] says what GPU types cost and how many there may be, and for each size of request how many a second one replica of
//! each type sustains. [`solve`] answers replicas by type and who serves which size: a mixed-integer program
//! (Mélange, arXiv 2404.14527, taken further: caps, minimums, the cost of changes, a budget, and joint rounding), solved to a
//! proven optimum or, where the deadline comes first, to the best answer found with a bound that says how far off it can be.
//! A greedy answer is found first, so that there always is one. Must not know requests, profiles or clusters.

mod answer;
mod assemble;
mod check;
mod domain;
mod explain;
mod greedy;
mod limits;
mod model;
mod partly;
mod problem;
mod profile;
mod program;
mod round;
mod search;
mod shares;
mod sliced;
mod slices;
mod small;
mod solve;
mod together;
mod tree;

pub use answer::{Answer, Next, Reason, Route, Status, Unserved, Why};
pub use explain::explain;
pub use problem::{Gpu, Load, Problem, ProblemError, Split};
pub use profile::{Profile, Slos, Unattainable, read_profiles, unattainable};
pub use solve::solve;
