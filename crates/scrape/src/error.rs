//! Why a page did not come, in words that an operator can act on.

/// Why a page did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// The address is none.
    #[error("{0:?} is no address; allowed: http:// or https://")]
    Address(String),
    /// Nobody answers there.
    #[error("no connection")]
    Connect,
    /// The deadline passed.
    #[error("no answer in time")]
    Timeout,
    /// An answer that is no page.
    #[error("answered with status {0}")]
    Status(u16),
    /// An answer that points elsewhere.
    #[error("redirects, which is refused")]
    Redirected,
    /// More than is read.
    #[error("the page is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The token cannot be read.
    #[error("token: {0}")]
    Secret(String),
    /// The certificates cannot be used.
    #[error("certificates: {0}")]
    Tls(String),
    /// The connection broke off, or what came was no HTTP.
    #[error("the answer broke off")]
    Broken,
}

impl ScrapeError {
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect
        } else {
            Self::Broken
        }
    }
}
