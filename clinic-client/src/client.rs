use std::{sync::Arc, time::Duration};

use clinic_core::api::{About, Alive, Health};
use reqwest::{
    Method, Url,
    header::{ACCEPT, HeaderMap, HeaderValue},
};

use crate::{
    bookings::Bookings,
    budget::Budget,
    builder::{BuildError, Builder},
    call::Call,
    dead_letters::DeadLetters,
    error::Error,
    retry::RetryPolicy,
    trace::TraceContext,
    webhooks::Webhooks,
};

/// A client of one clinic. Cloning is cheap: clones share the connections and the budget of retries.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) url: Url,
    /// What every call carries.
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    pub(crate) call_timeout: Option<Duration>,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: Budget,
    pub(crate) trace_context: Option<TraceContext>,
}

impl Client {
    /// Begins a client of the clinic at `url`, such as `http://127.0.0.1:8080`.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    /// A client of the clinic that `CLINIC_URL` names (`http://127.0.0.1:8080` without it), with the API key in `CLINIC_TOKEN`, if any.
    ///
    /// # Errors
    /// [`BuildError`] names the variable, or its fault.
    pub fn from_env() -> Result<Self, BuildError> {
        Builder::from_variables(|name| std::env::var_os(name))?.build()
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Everything about bookings.
    #[must_use]
    pub fn bookings(&self) -> Bookings {
        Bookings::new(self.clone())
    }

    /// The dead-letter desk: what failed for good.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.clone())
    }

    /// Webhooks: where events are posted to.
    #[must_use]
    pub fn webhooks(&self) -> Webhooks {
        Webhooks::new(self.clone())
    }

    /// How well the clinic is.
    ///
    /// # Errors
    /// [`Error`], when it cannot be asked.
    pub async fn health(&self) -> Result<Health, Error> {
        Call::new(self, "health", Method::GET, &["health"]).send().await
    }

    /// Whether the clinic can serve now: `down` names the part that fails. Asked once, since the answer may be no.
    ///
    /// # Errors
    /// [`Error`], when it cannot be asked, or a proxy answers in its place.
    pub async fn ready(&self) -> Result<Health, Error> {
        Call::new(self, "ready", Method::GET, &["health", "ready"]).once().answered_by(503).send().await
    }

    /// Whether the clinic answers at all. Asked once.
    ///
    /// # Errors
    /// [`Error`], when it does not.
    pub async fn live(&self) -> Result<Alive, Error> {
        Call::new(self, "live", Method::GET, &["health", "live"]).once().send().await
    }

    /// What the clinic says of itself: its release, and where to go.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn about(&self) -> Result<About, Error> {
        Call::new(self, "home", Method::GET, &[""]).send().await
    }

    /// The clinic's metrics, in the text format of Prometheus.
    ///
    /// # Errors
    /// [`Error`]; `not_found` from a clinic that records none.
    pub async fn metrics(&self) -> Result<String, Error> {
        Call::new(self, "metrics", Method::GET, &["metrics"]).header(ACCEPT, HeaderValue::from_static("text/plain")).text().await
    }
}

impl std::fmt::Debug for Client {
    /// Shows where it is, and neither the token nor a path, which may hold one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("origin", &self.inner.url.origin().ascii_serialization()).finish_non_exhaustive()
    }
}
