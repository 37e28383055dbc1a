//! Why a page did not come, in words that an operator can act on. Must not show an address: it may carry a password, and
//! the caller knows which target it asked for.

use std::error::Error;

/// Why a page did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// The address cannot be used.
    #[error("unusable address: {0}")]
    Address(String),
    /// Nobody answers there: refused, unreachable, or no such name.
    #[error("no connection: {0}")]
    Connect(String),
    /// The request's or the sweep's deadline passed.
    #[error("no answer in time")]
    Timeout,
    /// An answer other than 200.
    #[error("answered with status {0}, not 200")]
    Status(u16),
    /// An answer that points elsewhere.
    #[error("redirects, which is refused: a token could be led elsewhere")]
    Redirected,
    /// More than is read.
    #[error("the page is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// All pages on their way together are more than is held at once.
    #[error("the pages of this sweep are larger than {limit} bytes together")]
    NoRoom {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A compression that was not asked for.
    #[error("the page comes in an encoding that was not asked for")]
    Encoding,
    /// The secret cannot be read or sent.
    #[error("secret: {0}")]
    Secret(String),
    /// The certificates cannot be used, or the server's is not trusted.
    #[error("TLS: {0}")]
    Tls(String),
    /// The page ends where no page does, so that a part of it is missing.
    #[error("the page is cut off: {0}")]
    CutOff(&'static str),
    /// The connection broke off, or what came was no HTTP.
    #[error("the answer broke off or is no HTTP: {0}")]
    Broken(String),
}

impl ScrapeError {
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if let Some(tls) = tls_cause(error) {
            Self::Tls(tls.to_string())
        } else if error.is_connect() {
            Self::Connect(root_cause(error))
        } else {
            Self::Broken(root_cause(error))
        }
    }
}

/// The innermost cause. The outer ones repeat it, and reqwest's own shows the address.
fn root_cause(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "no cause is known".to_owned(), ToString::to_string)
}

/// The handshake's failure, wrapped as one of input and output, and that perhaps once more.
fn tls_cause(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(unwrapped)
}

fn unwrapped<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match cause.downcast_ref::<std::io::Error>() {
        Some(wrapping) => unwrapped(wrapping.get_ref()?),
        None => cause.downcast_ref(),
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (**cause).source())
}
