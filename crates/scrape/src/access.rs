//! Credentials and trust for one endpoint. Must not know how either is used on the wire, but for the header's text.

use crate::error::ScrapeError;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::HeaderValue;

/// How an endpoint is reached. Cheap to clone: many targets share one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// How an https endpoint is verified; of no consequence for http.
    pub tls: TlsOptions,
    /// What the request is authorised with.
    pub auth: Auth,
}

/// How an https endpoint is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsOptions {
    /// The only authorities that are trusted, in PEM; none: the system's.
    pub ca_pem: Option<Bytes>,
    /// Accept any certificate. Whoever is in between then reads the token, too.
    pub insecure_skip_verify: bool,
    /// The name (or address) that the certificate must be for; none: the URL's host. Replicas are reached by address, and
    /// their certificates are for a service's name. Only the check uses it: the handshake still asks for the URL's host.
    pub server_name: Option<String>,
}

/// What a request is authorised with.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Auth {
    /// Nothing.
    #[default]
    None,
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer(Secret),
    /// `Authorization: Basic …` (RFC 7617).
    Basic {
        /// The user; without a colon, which ends it on the wire.
        user: String,
        /// The password.
        password: Secret,
    },
}

impl Auth {
    /// The header's value, marked as not to be printed; may block on a file.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>, ScrapeError> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Bearer(secret) => format!("Bearer {}", &*secret.read()?),
            Self::Basic { user, .. } if user.contains(':') => {
                return Err(ScrapeError::Secret("a user name with a colon cannot be sent".to_owned()));
            }
            Self::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", &*password.read()?)))
            }
        };
        // The error is not passed on: whatever it says is about the secret's text.
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| ScrapeError::Secret("has characters that a header cannot carry".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}
