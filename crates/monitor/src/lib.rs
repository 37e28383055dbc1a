//! What arrives, how often and how large.
//!
//! A source (a gateway's records, AIBrix's traces, engines' metrics pages) tells of spans of time in [`Batch`]es; a
//! [`Monitor`] makes of them the [`Load`] as it is now: the rate of arrivals, and how the requests spread over sizes.
//! Pure: time is an argument, and nothing here does I/O, reads a clock or draws random numbers. Must not know GPUs,
//! profiles or replicas to be.
//!
//! ```
//! use request_monitor::{Batch, Monitor, Settings, Size};
//!
//! let mut monitor = Monitor::new(Settings::default());
//! let sizes = vec![(Size { input: 256.0, output: 128.0 }, 70.0), (Size { input: 1448.0, output: 23.0 }, 30.0)];
//! monitor.add(&Batch { arrivals: Some(100.0), sizes, ..Batch::new(0.0, 10.0) });
//! let load = monitor.load(12.0);
//! assert!((load.rate - 10.0).abs() < 1e-9);
//! assert_eq!(load.sizes.len(), 2);
//! assert_eq!(load.age, 2.0);
//! ```

pub mod aibrix;
mod batch;
mod bins;
mod cells;
pub mod engine;

mod load;
mod mix;
mod monitor;
mod rate;
pub mod records;
mod settings;
mod state;

pub use batch::{Batch, MAX_RATE, MAX_SPAN_SECONDS, MAX_TOKENS, Size};
pub use load::{Load, SizeRate};
pub use monitor::{Monitor, Outcome, Refused};
pub use settings::Settings;
pub use state::State;
