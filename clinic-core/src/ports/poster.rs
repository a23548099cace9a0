use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::webhook::Endpoint;

/// Why nothing is posted to a URL. Says the same of a name that is not known and of one that leads inside: whoever may register
/// endpoints may not map the clinic's network by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// Not a URL to post to.
    #[error("must be an https URL of at most 2048 characters, without user, password or fragment")]
    Url,
    /// Plain http to a host that is not allowed.
    #[error("must be https; plain http goes only to what CLINIC_WEBHOOK_ALLOW names")]
    Plain,
    /// Its host has no address, or one that is not public and not allowed.
    #[error("must have a host of public addresses; CLINIC_WEBHOOK_ALLOW names exceptions")]
    Host,
}

/// What became of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// What the receiver answered, where it answered.
    pub status: Option<u16>,
    /// Why it counts as failed, one of our codes; `None` when the receiver took it.
    pub code: Option<&'static str>,
    /// How long the receiver asks to wait, where it asks.
    pub retry_after: Option<Duration>,
}

impl Delivered {
    /// What became of one delivery.
    #[must_use]
    pub const fn new(status: Option<u16>, code: Option<&'static str>, retry_after: Option<Duration>) -> Self {
        Self { status, code, retry_after }
    }
}

/// Posts signed deliveries to the endpoints of webhooks.
#[async_trait]
pub trait Poster: Send + Sync + 'static {
    /// The URL in its normal form, where it may be posted to now.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    async fn admit(&self, url: &str) -> Result<String, NotAdmitted>;

    /// Posts once, under an id, signed by the endpoint's secrets. Bounded in time and memory.
    async fn post(&self, endpoint: &Endpoint, id: &str, body: Vec<u8>) -> Delivered;
}
