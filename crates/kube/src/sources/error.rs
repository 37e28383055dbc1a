//! Why a source gave no value, in words that whoever runs the cluster can act upon. Knows no wire format.

use autoscaler_core::reading::Why;
use autoscaler_scrape::ScrapeError;
use std::fmt;
use std::time::Duration;

/// A server's own words are shown up to this length, in bytes: they go into conditions and events.
const MAX_WORDS: usize = 256;

/// Why a source gave no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    /// The API server does not serve the group at all.
    #[error("{group} is not served; {}", remedy(group))]
    NotInstalled {
        /// The API group.
        group: String,
    },
    /// The group is served, in versions that we do not speak.
    #[error("{group} is served as {served} only, and v1beta2 or v1beta1 is needed; update its adapter")]
    Version {
        /// The API group.
        group: String,
        /// The versions served.
        served: String,
    },
    /// The controller may not ask.
    #[error("forbidden: the controller's role lacks {needs}; the server says: {message}")]
    Forbidden {
        /// What has to be granted.
        needs: Needs,
        /// The server's words.
        message: String,
    },
    /// The API server does not accept who we are.
    #[error("the API server does not accept the controller's credentials: {0}")]
    Unauthorized(String),
    /// The API is there and does not know the metric or the object.
    #[error("not found: {0}")]
    NotFound(String),
    /// The API server or the one behind it asks for fewer requests.
    #[error("the server is busy and asks to be left alone for a while (429)")]
    Busy {
        /// How long to wait at least, where the server says.
        after: Option<Duration>,
    },
    /// The API is registered and what serves it does not answer.
    #[error("{group} is registered, and what serves it is unavailable (503): {message}")]
    Unavailable {
        /// The API group.
        group: String,
        /// The server's words.
        message: String,
    },
    /// Any other status.
    #[error("the server answered with status {code}: {message}")]
    Status {
        /// The HTTP status.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// No answer by the deadline.
    #[error("no answer in time")]
    TimedOut,
    /// The API server cannot be reached, or the answer broke off.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// More than is read.
    #[error("the answer is larger than {limit} bytes; select fewer")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer is not what the API promises.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// The answer is well-formed and holds no value.
    #[error("{0}")]
    Empty(String),
    /// Several values where one is meant.
    #[error("{count} values where one is needed; {hint}")]
    Several {
        /// How many came.
        count: usize,
        /// What to change.
        hint: &'static str,
    },
    /// The value is NaN or infinite.
    #[error("the value is not a finite number")]
    NotFinite,
    /// A name or label of the manifest that cannot be asked for.
    #[error("{0}")]
    Unaskable(String),
    /// A Prometheus server refuses the query.
    #[error("the query failed ({kind}): {message}")]
    Query {
        /// Prometheus' `errorType`.
        kind: String,
        /// Prometheus' `error`.
        message: String,
    },
    /// A Prometheus server cannot be asked.
    #[error(transparent)]
    Http(ScrapeError),
}

/// What a role has to grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A verb on a resource of an API group, in a namespace.
    Resource {
        /// The verb.
        verb: &'static str,
        /// The API group.
        group: &'static str,
        /// The resource as a role names it, with its subresource.
        resource: String,
        /// The namespace.
        namespace: String,
    },
    /// `get` on a path of discovery (`nonResourceURLs`).
    Path(String),
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource { verb, group, resource, namespace } => {
                write!(f, "verb {verb:?} on resource {resource:?} of API group {group:?} in namespace {namespace:?}")
            }
            Self::Path(path) => write!(f, "verb \"get\" on nonResourceURL {path:?} (ClusterRole system:discovery)"),
        }
    }
}

impl From<&SourceError> for Why {
    fn from(error: &SourceError) -> Self {
        match error {
            SourceError::NotFinite => Self::NotFinite,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<ScrapeError> for SourceError {
    fn from(error: ScrapeError) -> Self {
        match error {
            ScrapeError::Timeout => Self::TimedOut,
            ScrapeError::TooLarge { limit } => Self::TooLarge { limit },
            other => Self::Http(other),
        }
    }
}

/// What makes the API server serve a group.
fn remedy(group: &str) -> &'static str {
    match group {
        "metrics.k8s.io" => "install metrics-server",
        "custom.metrics.k8s.io" => "install an adapter for it, such as prometheus-adapter",
        "external.metrics.k8s.io" => "install an adapter for it, such as KEDA or prometheus-adapter",
        _ => "check the API version",
    }
}

/// A server's words on one line, cut off where they are long.
pub(super) fn words(text: &str) -> String {
    let text = text.trim();
    let cut = text.floor_char_boundary(MAX_WORDS);
    let mut shown: String = text[..cut].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut < text.len() {
        shown.push('…');
    }
    if shown.is_empty() { "nothing more".to_owned() } else { shown }
}

/// What is wrong with a JSON text, without the place, which differs from answer to answer.
pub(super) fn malformed(error: &serde_json::Error) -> SourceError {
    let text = error.to_string();
    SourceError::Malformed(words(text.split(" at line ").next().unwrap_or(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_what_to_do() {
        let absent = SourceError::NotInstalled { group: "metrics.k8s.io".to_owned() };
        assert_eq!(absent.to_string(), "metrics.k8s.io is not served; install metrics-server");
        let forbidden = SourceError::Forbidden {
            needs: Needs::Resource {
                verb: "list",
                group: "metrics.k8s.io",
                resource: "pods".to_owned(),
                namespace: "models".to_owned(),
            },
            message: "no".to_owned(),
        };
        assert_eq!(
            forbidden.to_string(),
            "forbidden: the controller's role lacks verb \"list\" on resource \"pods\" of API group \
             \"metrics.k8s.io\" in namespace \"models\"; the server says: no"
        );
        assert_eq!(Why::from(&SourceError::NotFinite), Why::NotFinite);
        assert_eq!(Why::from(&SourceError::TimedOut), Why::Failed("no answer in time".to_owned()));
    }

    #[test]
    fn a_servers_words_are_one_short_line() {
        assert_eq!(words(" a\nb\u{1b}c "), "a b c");
        assert_eq!(words(&"ä".repeat(1000)).len(), MAX_WORDS + "…".len());
        assert_eq!(words(""), "nothing more");
    }
}
