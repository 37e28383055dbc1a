//! Plans on Kubernetes, for `Optimizer` and `Hybrid`: what each object's pods say becomes looks, one task a model computes, and
//! every worker reads the latest plan. Must not write a scale.
//!
//! | part | what it does |
//! |---|---|
//! | `profile` | reads what is known of an object's engine, from a ConfigMap or a file |
//! | `feed` | makes of metrics pages what a planning is shown; `fared` is its part for latencies |
//! | `planner` | an object's side: reads the profile, reports looks, has the plan |
//! | `model` | a model's side: the planning of one or several objects; pure |
//! | `task` | runs a model: waits for looks, computes where it delays nobody, saves |
//! | `store` | what a planning has learnt, in a ConfigMap of its own |
//! | `standing` | what a status says of the plan |

mod fared;
mod feed;
mod model;
mod models;
mod planner;
mod profile;
mod standing;
mod store;
mod task;

pub(crate) use feed::Feed;
pub(crate) use models::Models;
pub(crate) use planner::{Planner, Replicated};
pub(crate) use standing::Standing;

#[cfg(test)]
mod testing;
