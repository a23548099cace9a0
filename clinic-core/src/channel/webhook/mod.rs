//! Webhooks over HTTP: which targets may be posted to, and the posting.

mod guard;
mod lookup;
mod sender;

use std::{fmt::Display, time::Duration};

use async_trait::async_trait;
use chrono::Utc;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

pub use self::{
    guard::{AllowError, Guard, GuardError},
    lookup::Lookup,
    sender::{Answer, PostError, Sender},
};
use crate::{
    notification::Notice,
    ports::{Channel, ChannelError, Delivered, NOTICE_RETRY, NotAdmitted, Poster, Receipt},
    retry::RetryPolicy,
    webhook::{CHANNEL, ENDPOINT_GONE, Endpoint, NO_ENDPOINT, payload, signatures},
};

/// How webhooks are posted.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WebhookOptions {
    /// How long one delivery may take, resolving and connecting included.
    pub timeout: Duration,
    /// Deliveries at once to one endpoint.
    pub concurrency: usize,
    /// When a failed delivery is tried again.
    pub retry: RetryPolicy,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(15), concurrency: 16, retry: NOTICE_RETRY }
    }
}

/// The channel of webhooks, as the Standard Webhooks specification says.
#[derive(Clone, Debug)]
pub struct WebhookChannel {
    guard: Guard,
    sender: Sender,
    options: WebhookOptions,
}

impl WebhookChannel {
    /// A channel that posts where the guard lets it.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(guard: Guard, options: WebhookOptions) -> Result<Self, reqwest::Error> {
        Ok(Self { sender: Sender::new(guard.clone(), options.timeout)?, guard, options })
    }
}

#[async_trait]
impl Poster for WebhookChannel {
    async fn admit(&self, url: &str) -> Result<String, NotAdmitted> {
        match timeout(self.options.timeout, self.guard.check(url)).await {
            Ok(Ok(url)) => Ok(url.into()),
            Ok(Err(GuardError::Url)) => Err(NotAdmitted::Url),
            Ok(Err(GuardError::Plain)) => Err(NotAdmitted::Plain),
            Ok(Err(GuardError::Forbidden | GuardError::Unresolved(_))) | Err(_) => Err(NotAdmitted::Host),
        }
    }

    async fn post(&self, endpoint: &Endpoint, id: &str, body: Vec<u8>) -> Delivered {
        let now = Utc::now();
        let headers = headers(id, now.timestamp(), &signatures(&endpoint.secret, &endpoint.former, id, now, &body));
        match self.sender.post(&endpoint.url, headers, body).await {
            Ok(answer) => Delivered::new(Some(answer.status), answer.code(), answer.retry_after),
            Err(error) => Delivered::new(None, Some(error.code()), None),
        }
    }
}

#[async_trait]
impl Channel for WebhookChannel {
    fn name(&self) -> &str {
        CHANNEL
    }

    async fn send(&self, notice: &Notice) -> Result<Receipt, ChannelError> {
        let endpoint = notice.endpoint.as_deref().ok_or(ChannelError::Skip { code: NO_ENDPOINT })?;
        let body = payload(notice.id, notice.booking, &notice.event);
        let delivered = self.post(endpoint, &notice.id.to_string(), body).await;
        let source = || Box::new(NotTaken(delivered.status));
        match delivered.code {
            None => Ok(Receipt::none()),
            Some(code @ ENDPOINT_GONE) => Err(ChannelError::Permanent { code, source: source() }),
            Some(code) => Err(ChannelError::Transient { code, retry_after: delivered.retry_after, source: source() }),
        }
    }

    fn concurrency(&self) -> usize {
        self.options.concurrency
    }

    /// The sender keeps to its own time; this lets it say what happened.
    fn timeout(&self) -> Duration {
        self.options.timeout.saturating_add(Duration::from_secs(1))
    }

    fn retry(&self) -> RetryPolicy {
        self.options.retry
    }
}

/// The status that a receiver answered, if it did.
#[derive(Debug, thiserror::Error)]
#[error("the receiver answered with status {0:?}")]
struct NotTaken(Option<u16>);

fn headers(id: &str, timestamp: i64, signatures: &str) -> HeaderMap {
    let value = |value: &dyn Display| HeaderValue::try_from(value.to_string()).expect("ids, numbers and base64 are visible ASCII");
    HeaderMap::from_iter([
        (HeaderName::from_static("webhook-id"), value(&id)),
        (HeaderName::from_static("webhook-timestamp"), value(&timestamp)),
        (HeaderName::from_static("webhook-signature"), value(&signatures)),
    ])
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
