//! A secret, or where to find it. Must not print it.

use crate::error::ScrapeError;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file that is read as a secret, in bytes: a token is a line, a larger file is something else.
pub const MAX_SECRET_BYTES: u64 = 64 << 10;

/// A secret, or where to find it. Its text can be sent, and not be printed or asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(Source);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Text(Arc<str>),
    File(Arc<Path>),
    Env(Arc<str>),
}

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self(Source::Text(text.into()))
    }

    /// A file's text without the space around it. It is read once in each sweep, however many targets use it, so a rotated
    /// token counts from the next sweep on.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into().into()))
    }

    /// An environment variable's text without the space around it.
    #[must_use]
    pub fn env(name: impl Into<Arc<str>>) -> Self {
        Self(Source::Env(name.into()))
    }

    /// The text; may block on a file. Fails where it is missing, empty or too large.
    pub(crate) fn read(&self) -> Result<Arc<str>, ScrapeError> {
        let refuse = |why: &dyn fmt::Display| ScrapeError::Secret(format!("{self:?}: {why}"));
        let text: Arc<str> = match &self.0 {
            Source::Text(text) => Arc::clone(text),
            Source::File(path) => read_file(path).map_err(|error| refuse(&error))?.trim().into(),
            // The library's error for other than Unicode would show the value.
            Source::Env(name) => std::env::var(&**name).map_err(|_| refuse(&"is not set, or no text"))?.trim().into(),
        };
        if text.is_empty() { Err(refuse(&"is empty")) } else { Ok(text) }
    }
}

/// Reads a small regular file. Anything else could block for ever, as a pipe without a writer does.
fn read_file(path: &Path) -> std::io::Result<String> {
    let invalid = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
    if !std::fs::metadata(path)?.is_file() {
        return Err(invalid("is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(invalid("is too large for a secret"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("is no text"))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Text(_) => f.write_str("Secret(…)"),
            Source::File(path) => write!(f, "Secret(file {})", path.display()),
            Source::Env(name) => write!(f, "Secret(variable {name})"),
        }
    }
}
