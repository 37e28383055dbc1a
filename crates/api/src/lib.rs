//! The manifest: the `PodAutoscaler` object as AIBrix has it, with our additions, and the local world's own kinds.
//!
//! Text comes in at [`manifest::read`], which reports every mistake and not the first; typed objects come in at
//! [`validate::validate`]; [`resolve::resolve`] turns one into plain settings with the annotations read.
//! Must not decide anything, read metrics, or talk to a cluster.

pub mod annotations;
pub mod crd;
pub mod diagnostics;
pub mod gosyntax;
pub mod local;
pub mod manifest;
pub mod quantity;
pub mod resolve;
pub mod resolved;
mod shape;
pub mod tree;
pub mod v1alpha1;
pub mod validate;

pub use diagnostics::{Diagnostic, Severity};
pub use manifest::{Manifest, read};
pub use resolve::resolve;
pub use resolved::ResolvedAutoscaler;
pub use v1alpha1::PodAutoscaler;
pub use validate::validate;
