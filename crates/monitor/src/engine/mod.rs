//! From engines' metrics pages to batches: growth of counters and histograms, replica by replica. Knows no network.
//!
//! Engines tell completions and what is unfinished, so arrivals are completions plus the change of what is unfinished; TGI
//! counts arrivals itself. They tell lengths of prompts and answers apart, and not which came together: see [`joint`].

mod joint;
mod reading;
mod replica;
mod replicas;

pub use joint::{joint, lengths};
pub use reading::{PageError, Reading, histogram};
pub use replicas::{HOLD_SECONDS, MAX_REPLICAS, Replicas};
