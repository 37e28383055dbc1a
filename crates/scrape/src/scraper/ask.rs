//! One question to a server that answers it, as a query API does. Must not know what is asked.

use super::{Scraper, address, send};
use crate::access::Access;
use crate::body::{Budget, read_any};
use crate::error::ScrapeError;
use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;

/// One question. It must be one that may be asked twice: see [`Scraper::ask`].
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Where to: `http://` or `https://`, without a user or password.
    pub url: &'a str,
    /// Credentials and trust.
    pub access: &'a Access,
    /// What is sent as a form (`application/x-www-form-urlencoded`, encoded already) by POST; none: a GET.
    pub form: Option<&'a str>,
    /// When the last byte must have come, counted from the call.
    pub deadline: Duration,
    /// The largest answer, in bytes after decompression.
    pub max_bytes: usize,
}

/// What was answered, whatever its status: a query API tells in the body what is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status; never a redirection.
    pub status: u16,
    /// The body, decompressed; whether it is whole is for its reader to see.
    pub body: Bytes,
}

impl Scraper {
    /// Asks, and asks once more where the connection ended before an answer began. Of the scraper's settings only
    /// `accept_gzip` counts. Fails as a page does, but not for its status; redirections are refused.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Reply, ScrapeError> {
        timeout(ask.deadline, self.ask_within(ask)).await.unwrap_or(Err(ScrapeError::Timeout))
    }

    async fn ask_within(&self, ask: Ask<'_>) -> Result<Reply, ScrapeError> {
        let url = address(ask.url)?;
        let way = (url.scheme() == "https").then_some(&ask.access.tls);
        let clients = self.clients.ready(BTreeSet::from([way]), self.config.accept_gzip).await;
        let no_client = || Err(ScrapeError::Tls("no client was made".to_owned()));
        let client = clients.into_values().next().unwrap_or_else(no_client)?;
        let mut request = match ask.form {
            None => client.get(url),
            Some(form) => client
                .post(url)
                .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
                .body(form.to_owned()),
        };
        request = request.header(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.1"));
        let auth = ask.access.auth.clone();
        // Off the tasks that serve requests: a secret may be a file.
        let header = tokio::task::spawn_blocking(move || auth.header()).await;
        if let Some(header) = header.unwrap_or_else(|_| Err(ScrapeError::Secret("could not be read".to_owned())))? {
            request = request.header(AUTHORIZATION, header);
        }
        let response = send(request).await?;
        let status = response.status();
        if status.is_redirection() {
            return Err(ScrapeError::Redirected);
        }
        if response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(ScrapeError::Encoding);
        }
        let budget = Budget::new(ask.max_bytes);
        let (body, _held) = read_any(response, ask.max_bytes, &budget).await?;
        Ok(Reply { status: status.as_u16(), body })
    }
}
