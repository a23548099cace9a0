//! Posting: one delivery, bounded in time and memory, to nowhere but where the guard lets it.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::{
    Client, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
    redirect,
};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::guard::{Guard, GuardError};

/// So much of an answer is read, in bytes, for the connection to be kept; what it says interests nobody.
const READ: usize = 64 * 1024;
/// So long an answer's body may take when its status is known.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// What a receiver answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long it asks to wait, where it asks.
    pub retry_after: Option<Duration>,
}

/// Why there was no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PostError {
    /// The guard forbids the target.
    #[error("the webhook's target cannot be used")]
    Guard(#[from] GuardError),
    /// It took too long.
    #[error("the webhook's receiver did not answer in time")]
    Timeout,
    /// No connection, or none that speaks HTTP.
    #[error("the webhook's receiver cannot be reached")]
    Unreachable(#[source] reqwest::Error),
}

impl PostError {
    /// The code, one of ours.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Guard(GuardError::Unresolved(_)) | Self::Unreachable(_) => "webhook_unreachable",
            Self::Guard(_) => "webhook_forbidden_target",
            Self::Timeout => "webhook_timeout",
        }
    }
}

/// Posts to targets that the guard admits, each connection to an address that was checked.
#[derive(Clone, Debug)]
pub struct Sender {
    guard: Guard,
    timeout: Duration,
    encrypted: Client,
    /// For plain http, which goes to allowed targets alone.
    plain: Client,
}

impl Sender {
    /// A sender; a delivery takes at most `timeout`, resolving and connecting included.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(guard: Guard, timeout: Duration) -> Result<Self, reqwest::Error> {
        // One provider of cryptography in the whole program. One that is installed already serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |only_allowed| {
            Client::builder()
                .redirect(redirect::Policy::none())
                .no_proxy()
                .dns_resolver(Arc::new(Guarded { guard: guard.clone(), only_allowed }))
                .build()
        };
        let (encrypted, plain) = (client(false)?, client(true)?);
        Ok(Self { guard, timeout, encrypted, plain })
    }

    /// Posts JSON with the headers of a delivery.
    ///
    /// # Errors
    /// [`PostError`].
    pub async fn post(&self, url: &str, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, PostError> {
        // A literal address never comes to the client's resolver: it is judged here.
        let url = self.guard.parse(url)?;
        let client = if url.scheme() == "http" { &self.plain } else { &self.encrypted };
        let request = client.post(url).headers(headers).header(CONTENT_TYPE, "application/json").body(body);
        let deadline = Instant::now() + self.timeout;
        let mut response = match timeout_at(deadline, request.send()).await {
            Err(_) => return Err(PostError::Timeout),
            Ok(Err(error)) => return Err(failed(error)),
            Ok(Ok(response)) => response,
        };
        let answer = Answer { status: response.status().as_u16(), retry_after: retry_after(response.headers(), SystemTime::now()) };
        let drain = async {
            let mut read = 0;
            while let Ok(Some(chunk)) = response.chunk().await {
                read += chunk.len();
                if read > READ {
                    break;
                }
            }
        };
        // The status has said it all: a flood or a drip behind it is cut off.
        let _ = timeout_at(deadline.min(Instant::now() + READ_WITHIN), drain).await;
        Ok(answer)
    }
}

impl Answer {
    /// The code of a status that is no success; `None` for 2xx.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        let status = StatusCode::from_u16(self.status).ok()?;
        match status.as_u16() {
            200..=299 => None,
            410 => Some("endpoint_gone"),
            408 => Some("webhook_status_408"),
            429 => Some("webhook_status_429"),
            300..=399 => Some("webhook_status_3xx"),
            400..=499 => Some("webhook_status_4xx"),
            500..=599 => Some("webhook_status_5xx"),
            _ => Some("webhook_status_other"),
        }
    }
}

/// The guard as the client's resolver: what it lets pass is what is connected to.
struct Guarded {
    guard: Guard,
    only_allowed: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, only_allowed) = (self.guard.clone(), self.only_allowed);
        Box::pin(async move {
            let addresses = guard.resolve(name.as_str(), only_allowed).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn failed(error: reqwest::Error) -> PostError {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = source {
        if let Some(GuardError::Forbidden) = cause.downcast_ref() {
            return PostError::Guard(GuardError::Forbidden);
        }
        source = cause.source();
    }
    PostError::Unreachable(error.without_url())
}

/// `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
