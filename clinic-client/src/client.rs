use std::{sync::Arc, time::Duration};

use clinic_core::api::Health;
use reqwest::{Method, Url, header::HeaderValue};

use crate::{bookings::Bookings, builder::Builder, call::Call, dead_letters::DeadLetters, error::Error};

/// A client of one clinic. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) url: Url,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) timeout: Duration,
    pub(crate) tries: u32,
}

impl Client {
    /// Begins a client of the clinic at `url`, such as `http://127.0.0.1:8080`.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Everything about bookings.
    #[must_use]
    pub const fn bookings(&self) -> Bookings<'_> {
        Bookings::new(self)
    }

    /// The dead-letter desk: what failed for good.
    #[must_use]
    pub const fn dead_letters(&self) -> DeadLetters<'_> {
        DeadLetters::new(self)
    }

    /// How well the clinic is.
    ///
    /// # Errors
    /// [`Error`], when it cannot be asked.
    pub async fn health(&self) -> Result<Health, Error> {
        Call::new(self, Method::GET, &["health"]).send().await
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.inner.url.as_str()).finish_non_exhaustive()
    }
}
