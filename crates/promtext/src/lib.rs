//! Prometheus text and OpenMetrics exposition parser: borrowed, selective, total on any bytes.
//!
//! The caller names the families it wants. Lines of all other families are passed over by their name bytes alone:
//! their labels are not tokenised and nothing is allocated for them. An inference engine prints several hundred
//! series of which an autoscaler reads about ten, so most of a page costs one search for the next line feed.
//!
//! ```
//! use promtext::{Kind, Page, Selection};
//!
//! let text = b"# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{model_name=\"m\"} 3\n";
//! let wanted = Selection::new(["vllm:num_requests_waiting"]);
//! let page = Page::read(text, &wanted)?;
//! let family = page.family("vllm:num_requests_waiting").expect("the family is on the page");
//! assert_eq!(family.kind(), Kind::Gauge);
//! assert_eq!(family.values().map(|sample| sample.value).sum::<f64>(), 3.0);
//! # Ok::<(), promtext::PageTooLarge>(())
//! ```
//!
//! Any input is accepted. A line that cannot be read is counted, the first few are reported with number and reason,
//! and the page goes on. What the crate must not know: which engine wrote the page, and what a number means.
//!
//! Formats: Prometheus text 0.0.4 and `OpenMetrics` 1.0, which are told apart nowhere since they agree on the lines
//! read here. Quoted metric and label names (UTF-8 names of Prometheus 3) are reported as problems: a server sends
//! them only to a client that asks for them.

mod family;
mod histogram;
mod labels;
mod lines;
mod page;
mod problem;
mod sample;
mod selection;

pub use family::{Family, Kind};
pub use histogram::{Bucket, Histogram, SeriesChanged, collect_histograms};
pub use labels::{Label, Labels, MAX_LABELS};
pub use page::{MAX_PAGE_BYTES, MAX_SAMPLES, Page, PageTooLarge, names};
pub use problem::{MAX_REPORTED_PROBLEMS, Problem, Problems, Reason};
pub use sample::Sample;
pub use selection::Selection;
