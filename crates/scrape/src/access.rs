//! Credentials and trust for one endpoint. Secrets are never printed.

use crate::error::ScrapeError;
use std::fmt;
use std::path::PathBuf;

/// How an endpoint is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// How an https endpoint is verified.
    pub tls: TlsOptions,
    /// Sent as a bearer token.
    pub bearer: Option<Secret>,
}

/// How an https endpoint is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsOptions {
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Authorities that are trusted, in PEM; none: the usual ones.
    pub ca_pem: Option<Vec<u8>>,
}

/// A secret, or where to find it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The text itself.
    Text(String),
    /// A file, read anew each time: tokens are rotated by replacing it.
    File(PathBuf),
}

/// A token is a line; a larger file is something else.
const MAX_SECRET_BYTES: u64 = 64 << 10;

impl Secret {
    /// The secret's text.
    pub(crate) fn read(&self) -> Result<String, ScrapeError> {
        let path = match self {
            Self::Text(text) => return Ok(text.clone()),
            Self::File(path) => path,
        };
        let refuse = |why: &dyn fmt::Display| ScrapeError::Secret(format!("{}: {why}", path.display()));
        let size = std::fs::metadata(path).map_err(|error| refuse(&error))?.len();
        if size > MAX_SECRET_BYTES {
            return Err(refuse(&"too large for a token"));
        }
        let text = std::fs::read_to_string(path).map_err(|error| refuse(&error))?;
        Ok(text.trim().to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Secret(…)"),
            Self::File(path) => write!(f, "Secret({})", path.display()),
        }
    }
}
