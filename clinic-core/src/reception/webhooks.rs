//! The endpoints of webhooks: registered, tried out, removed by staff.

use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::{Reception, settled};
use crate::{
    id::{EndpointId, NoticeId},
    ports::{Delivered, NewEndpoint, NotAdmitted, Poster, Registration, StoreError},
    webhook::{Endpoint, MAX_ENDPOINTS, Secret, test_payload},
};

/// Why an endpoint is not as it was asked to be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// No such endpoint.
    #[error("there is no webhook with this id")]
    NotFound,
    /// This clinic tells nothing by webhook.
    #[error("this clinic sends no webhooks: name webhook in CLINIC_CHANNELS")]
    Off,
    /// Its URL cannot be posted to.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// It is registered already.
    #[error("this URL is registered as webhook {0}: ask for a new secret of that one, or remove it first")]
    Exists(EndpointId),
    /// There are as many as there may be.
    #[error("there are {MAX_ENDPOINTS} webhooks: remove one first")]
    TooMany,
    /// As many are tried out as may be.
    #[error("many webhooks are being tried out: try again in a moment")]
    Busy,
    /// Surely not done.
    #[error("the webhook was not changed: try again in a moment")]
    Store(#[source] StoreError),
    /// Done or not.
    #[error("it is not known whether the webhook was changed: look at it again")]
    OutcomeUnknown(#[source] StoreError),
}

/// What came of trying an endpoint out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tried {
    /// What the receiver did.
    pub delivered: Delivered,
    /// How long it took.
    pub took: Duration,
}

impl Reception {
    /// Registers an endpoint, under a fresh secret.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn register_webhook(&self, url: &str) -> Result<Endpoint, WebhookError> {
        let url = self.poster()?.admit(url).await?;
        let new = NewEndpoint::new(url, Secret::new(rand::random()));
        match changed(|| self.store.add_endpoint(&new)).await? {
            Registration::Done(endpoint) => Ok(endpoint),
            Registration::Exists(id) => Err(WebhookError::Exists(id)),
            Registration::TooMany => Err(WebhookError::TooMany),
        }
    }

    /// The endpoints, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn webhooks(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.store.endpoints().await
    }

    /// An endpoint.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn webhook(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        self.store.endpoint(id).await
    }

    /// Removes an endpoint; what waits to be sent there is skipped.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn remove_webhook(&self, id: EndpointId) -> Result<(), WebhookError> {
        let found = changed(|| self.store.remove_endpoint(id)).await?;
        if found { Ok(()) } else { Err(WebhookError::NotFound) }
    }

    /// Switches an endpoint on again.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn enable_webhook(&self, id: EndpointId) -> Result<Endpoint, WebhookError> {
        changed(|| self.store.enable_endpoint(id)).await?.ok_or(WebhookError::NotFound)
    }

    /// Gives an endpoint a new secret; the one before signs too for a day.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn renew_webhook_secret(&self, id: EndpointId) -> Result<Endpoint, WebhookError> {
        let secret = Secret::new(rand::random());
        changed(|| self.store.renew_secret(id, &secret)).await?.ok_or(WebhookError::NotFound)
    }

    /// Posts something to an endpoint that says it is a test. Nothing follows from what the receiver answers.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn try_webhook(&self, id: EndpointId) -> Result<Tried, WebhookError> {
        let poster = self.poster()?;
        let _one_of_few = self.trying.try_acquire().map_err(|_| WebhookError::Busy)?;
        let endpoint = self.store.endpoint(id).await.map_err(WebhookError::Store)?.ok_or(WebhookError::NotFound)?;
        let (body, began) = (test_payload(id, self.clock.now()), Instant::now());
        let delivered = poster.post(&endpoint, &NoticeId::generate().to_string(), body).await;
        Ok(Tried { delivered, took: began.elapsed() })
    }

    fn poster(&self) -> Result<&dyn Poster, WebhookError> {
        self.webhooks.as_deref().ok_or(WebhookError::Off)
    }
}

async fn changed<T, F>(act: impl Fn() -> F) -> Result<T, WebhookError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    settled(act, WebhookError::Store, WebhookError::OutcomeUnknown).await
}
