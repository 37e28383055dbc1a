//! AIBrix's request traces: one Redis value per model and interval, versions 1 to 4. Knows the text, and no Redis.
//!
//! Source of the format: AIBrix `pkg/cache/trace.go` and `cache_trace.go` for the writer, `gpu_optimizer/load_monitor/load_reader.py`
//! for the reader.

mod bucket;
mod check;
mod key;
mod merge;
mod trace;

pub use bucket::{Rounding, TRUNCATED, index, tokens};
pub use check::{Check, Warning};
pub use key::{Key, MAX_WRITER_LENGTH, key, key_of_writer, parse_key, parse_key_with_writer, prefix};
pub use merge::{MAX_WRITERS, Merge};
pub use trace::{INTERVAL_SECONDS, MAX_TEXT_BYTES, PRECISION, Trace, TraceError, VERSION, missing};
