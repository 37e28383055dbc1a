//! Continuous batching of an LLM engine as a function of time.
//!
//! [`Engine`] is vLLM's V1 scheduler at the granularity that an autoscaler can see: iterations with a token budget,
//! chunked prefill, paged KV cache, first come first served, preemption by recomputation. [`EngineSpec`] says how
//! long an iteration takes on which GPU. Nothing here reads a clock, draws a random number or does I/O: time is an
//! argument, and the same calls give the same events to the nanosecond.
//!
//! ```
//! use engine_model::{Engine, EngineSpec, Event, EventKind, Request, Time};
//!
//! let spec = EngineSpec::builtin("h100-8b").ok_or("no such engine")?;
//! let mut engine = Engine::new(&spec)?;
//! engine.submit(Time::ZERO, Request { id: 7, input_tokens: 512, output_tokens: 2, prefix_hit_tokens: 0 })?;
//! let mut finished = None;
//! engine.advance(Time::from_secs_f64(1.0), &mut |event: Event| {
//!     if let EventKind::Finished(completion) = event.kind {
//!         finished = Some(completion.e2e());
//!     }
//! });
//! assert!(finished.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it must not know: HTTP, metrics pages, replicas, policies, wall clocks.

mod advance;
mod builtin;
mod cost;
mod decode;
mod engine;
mod event;
mod request;
mod schedule;
mod spec;
mod steady;
mod time;

pub use engine::{Counters, Engine, Gauges};
pub use event::{Completion, Event, EventKind, Iteration, Sink};
pub use request::{Rejected, Request, Ticket};
pub use spec::{EngineSpec, SpecError};
pub use steady::{Capacity, Mix, Steady};
pub use time::Time;
