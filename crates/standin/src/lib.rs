//! A stand-in LLM engine: the OpenAI API and vLLM's metrics page, paced by the engine model.
//!
//! It answers as vLLM would in time, load and metrics, with words that mean nothing. Use it to try an autoscaler, a
//! gateway or a dashboard on a machine without a GPU, and in tests that need an engine to be slow, full or broken.
//!
//! What to know before trusting a number:
//! - **Tokens.** A prompt's tokens are its whitespace-separated words, at least 1; token ids count one each. Every
//!   generated token is one word. A prompt's prefix-cache hit is what the header `x-prefix-hit-tokens` claims.
//! - **Length.** A request generates exactly its `max_tokens` (`max_completion_tokens` for chat); there is no end
//!   of sequence, so `ignore_eos` changes nothing and every finish reason is `length`.
//! - **Time.** With `--speed N` the model's time runs N times faster than the wall's. All durations that the engine
//!   is given (start-up delay, drain timeout, crash) and all that it reports on its metrics page are the model's;
//!   only the fault `slow-metrics`, which is about somebody else's patience, is in wall time.
//!
//! What it must not know: autoscaling, replicas, the gateway.

mod api;
mod args;
mod core;
mod error;
mod faults;
mod generate;
mod histogram;
mod metrics;
mod openai;
mod page;
mod server;
mod stream;
mod words;

pub use args::{Args, Config, ConfigError};
pub use faults::{Fault, FaultError};
pub use server::{RunError, run, serve};
