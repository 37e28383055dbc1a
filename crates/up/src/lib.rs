//! The local world, wired: processes behind a gateway, scaled by their own metrics.
//!
//! [`run::run`] starts the supervisor, the gateway and the page, turns the loop (look, record or decide, act), and drains
//! everything at the end. [`manifest`] turns documents into a [`setup::Setup`].

mod account;
mod advice;
mod apply;
mod clock;
mod ending;
mod exposition;
mod feed;
pub mod knowledge;
pub mod lines;
pub mod load;
pub mod manifest;
mod observe;
mod page;
mod plans;
mod pulse;
mod recording;
mod requests;
mod roll;
mod routing;
pub mod run;
mod scale;
pub mod setup;
pub mod table;
pub mod tally;
mod tasks;
#[cfg(test)]
mod testing;
mod turns;
pub mod view;
mod world;
