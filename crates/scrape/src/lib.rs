//! Fetches the metrics pages of many replicas at once. Pages are bytes; no metric is known here.
//!
//! One slow replica holds up nobody: requests run side by side, each with a deadline, the sweep as a whole with another.
//! A page that is too large is cut off and refused. Redirects are refused: they could lead a token elsewhere.
//!
//! The process has to have a TLS provider installed before the first [`Scraper`] is made.

mod access;
mod error;
mod scraper;

pub use access::{Access, Secret, TlsOptions};
pub use error::ScrapeError;
pub use scraper::{Page, ScrapeConfig, Scraper, Target};
