//! The stages that every strategy's answer passes: guards, stabilization, rates, switches and bounds. Each takes a
//! count, gives a count, and appends a step to the trail where it changed something.

pub mod behavior;
pub mod counts;
pub mod guards;
pub mod log;
