//! Fetches the metrics pages of many replicas at once, and remembers how old what they said is. Pages are bytes; no
//! metric is known here.
//!
//! - [`Scraper::sweep`] fetches all pages side by side. One slow replica holds up nobody: each request has a deadline, the
//!   sweep as a whole another. A page that is too large is cut off and refused, also where it only unpacks to that size.
//!   Redirects are refused: they could lead a token elsewhere. Proxies of the environment are not asked: replicas are near.
//!   [`Scraper::sweep_each`] gives each page as it comes, so that they need not all be held.
//! - [`Scraper::ask`] sends one question to a server that answers it, as a query API does, under the same bounds.
//! - [`Board`] keeps the last good value of each replica and says whether it is fresh, stale or absent.
//!
//! TLS is rustls with the *ring* provider, chosen here: the process need not install one.

mod access;
mod body;
mod client;
mod error;
mod scraper;
mod secret;
mod staleness;
mod tls;

pub use access::{Access, Auth, TlsOptions};
pub use error::ScrapeError;
pub use scraper::ask::{Ask, Reply};
pub use scraper::{Page, ScrapeConfig, Scraper, Target};
pub use secret::{MAX_SECRET_BYTES, Secret};
pub use staleness::{Absence, Answer, Board, FRESH_INTERVALS, MAX_READINGS};
