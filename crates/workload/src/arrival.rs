//! One request of a load.

use serde::{Deserialize, Serialize};

/// One request that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// Seconds from the load's start, in trace time.
    pub at: f64,
    /// Tokens of the prompt, at least 1.
    pub input_tokens: u32,
    /// Tokens of the answer, at least 1.
    pub output_tokens: u32,
    /// Tokens of the prompt that an unbounded prefix cache would skip.
    pub prefix_hit_tokens: u32,
}
