//! The GPU optimizer as a service: it sees what requests arrive and how large they are, asks the planner for the cheapest mix of
//! GPU types that carries them within their SLO, and answers AIBrix's controller in AIBrix's wire format.
//!
//! - [`Config`] names models, deployments, profiles and sources; [`run`] serves them until it is told to stop.
//! - [`Optimizer`] is the same without a clock and a socket of its own: [`Optimizer::turn`] is one turn of one model at a time that
//!   the caller gives, and [`router`] what it answers.
//!
//! One turn: sources bring spans of the load and profiles, the monitor makes a load of them, the planner a plan, and what is not
//! known well enough holds the last plan. Nothing here scales anything: the answer is a recommendation.

mod brain;
mod config;
mod decide;
mod explain;
mod fleet;
mod http;
mod kubernetes;
mod plan;
mod profiles;
mod run;
mod service;
mod source;
mod state;
mod took;

pub use config::{
    Config, DeploymentConfig, MAX_DEPLOYMENTS, MAX_FILE_BYTES, MAX_MODELS, MAX_REPLICAS, ModelConfig, RedisConfig,
    Settings,
};
pub use http::router;
pub use run::{Options, run};
pub use service::{Clock, Optimizer};
