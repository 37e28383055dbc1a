//! An engine on its GPUs: every parameter of the model, with its unit.
//!
//! The iteration time with P prompt tokens in chunks `c_i` at context `x_i`, D decoding sequences whose contexts sum
//! to K tokens, and n = P + D, is
//!
//! ```text
//! T = overhead + sqrt(weights² + (compute · n)²) + kv · K + attention · Σ c_i (x_i + c_i / 2)
//! ```
//!
//! The root of squares of weight streaming and compute fits the linear operators that Vidur measured (A40, A100)
//! within 3 to 6 %, better than their sum.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Largest token budget of an iteration: the cost table holds one entry for each count up to it.
const MAX_BUDGET: u32 = 1 << 17;
/// Longest context and largest KV cache; sums of both stay far below 2^63.
const MAX_TOKENS: u64 = 1 << 32;
/// Longest single cost, ms; an iteration of a minute is no engine.
const MAX_MS: f64 = 60_000.0;
/// Largest per-token cost of attention terms, ns.
const MAX_NANOS: f64 = 1e6;

/// An engine model. As a file, the field names below; those with a default may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EngineSpec {
    /// What to call it.
    pub name: String,
    /// Where the numbers come from.
    #[serde(default)]
    pub source: String,
    /// GPUs that one replica occupies.
    #[serde(default = "default_gpus")]
    pub gpus: u32,
    /// Scheduling, sampling, launch and all-reduce per iteration, ms.
    pub overhead_ms: f64,
    /// Streaming the weights once, ms.
    pub weights_ms: f64,
    /// Linear operators per token of the batch, ms.
    pub compute_ms_per_token: f64,
    /// Reading the KV cache in decode, ns per token of context.
    pub kv_ns_per_token: f64,
    /// Attention in prefill, ns per token of the chunk and token of its context.
    #[serde(default)]
    pub attention_ns_per_token2: f64,
    /// Tokens that the KV cache holds.
    pub kv_capacity_tokens: u64,
    /// Tokens of a KV block.
    #[serde(default = "default_block_size")]
    pub block_size: u32,
    /// Share of the blocks that admission leaves free, 0 to 0.5.
    #[serde(default = "default_watermark")]
    pub watermark: f64,
    /// Most sequences in the batch (vLLM's `--max-num-seqs`).
    #[serde(default = "default_max_num_seqs")]
    pub max_num_seqs: u32,
    /// Most tokens of an iteration (vLLM's `--max-num-batched-tokens`), at least `max_num_seqs`.
    #[serde(default = "default_max_num_batched_tokens")]
    pub max_num_batched_tokens: u32,
    /// Longest input plus output, tokens (vLLM's `--max-model-len`).
    #[serde(default = "default_max_model_len")]
    pub max_model_len: u32,
    /// Most requests that may wait before a further one is refused.
    #[serde(default = "default_max_waiting")]
    pub max_waiting: u32,
    /// Typical time from creation of a replica to its first answer, seconds. The engine itself does not use it.
    #[serde(default = "default_startup_seconds")]
    pub startup_seconds: f64,
}

fn default_gpus() -> u32 {
    1
}
fn default_block_size() -> u32 {
    16
}
fn default_watermark() -> f64 {
    0.01
}
fn default_max_num_seqs() -> u32 {
    256
}
fn default_max_num_batched_tokens() -> u32 {
    2048
}
fn default_max_model_len() -> u32 {
    8192
}
/// vLLM has no limit unless asked; this one only keeps a flood from taking all memory.
fn default_max_waiting() -> u32 {
    1_000_000
}
fn default_startup_seconds() -> f64 {
    120.0
}

/// A parameter that no engine can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The field as a file spells it.
    pub field: &'static str,
    /// What is wrong and what is allowed.
    pub problem: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for SpecError {}

impl EngineSpec {
    /// Whether a request of so many prompt and answer tokens is within the context and the KV cache. An engine keeps a part of its cache
    /// free (`watermark`), so that it may still refuse what just fits.
    #[must_use]
    pub fn fits(&self, input: u32, output: u32) -> bool {
        u64::from(input) + u64::from(output) <= u64::from(self.max_model_len).min(self.kv_capacity_tokens)
    }

    /// Checks that every parameter is one that an engine can have; names the first that is not.
    pub fn validate(&self) -> Result<(), SpecError> {
        number("overheadMs", self.overhead_ms, 0.0, MAX_MS)?;
        // Above zero: otherwise an iteration could take no time, and time would stand still.
        number("weightsMs", self.weights_ms, 0.001, MAX_MS)?;
        number("computeMsPerToken", self.compute_ms_per_token, 0.0, MAX_MS)?;
        number("kvNsPerToken", self.kv_ns_per_token, 0.0, MAX_NANOS)?;
        number("attentionNsPerToken2", self.attention_ns_per_token2, 0.0, MAX_NANOS)?;
        number("watermark", self.watermark, 0.0, 0.5)?;
        number("startupSeconds", self.startup_seconds, 0.0, 86_400.0)?;
        count("gpus", u64::from(self.gpus), 1, 1024)?;
        count("blockSize", u64::from(self.block_size), 1, 1024)?;
        count("kvCapacityTokens", self.kv_capacity_tokens, 2 * u64::from(self.block_size), MAX_TOKENS)?;
        count("maxNumSeqs", u64::from(self.max_num_seqs), 1, u64::from(MAX_BUDGET))?;
        let seqs = u64::from(self.max_num_seqs);
        count("maxNumBatchedTokens", u64::from(self.max_num_batched_tokens), seqs, u64::from(MAX_BUDGET))?;
        count("maxModelLen", u64::from(self.max_model_len), 2, 1 << 31)?;
        count("maxWaiting", u64::from(self.max_waiting), 1, 1 << 31)
    }
}

fn number(field: &'static str, value: f64, least: f64, most: f64) -> Result<(), SpecError> {
    if value.is_finite() && (least..=most).contains(&value) {
        return Ok(());
    }
    Err(SpecError { field, problem: format!("is {value}; a number from {least} to {most} is allowed") })
}

fn count(field: &'static str, value: u64, least: u64, most: u64) -> Result<(), SpecError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(SpecError { field, problem: format!("is {value}; {least} to {most} is allowed") })
}
