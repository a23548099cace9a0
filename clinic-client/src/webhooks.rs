use std::time::Duration;

use clinic_core::api::{ProblemCode, WebhookList, WebhookRequest, WebhookSecretView, WebhookTestView, WebhookView};
use reqwest::Method;
use uuid::Uuid;

use crate::{call::Call, client::Client, error::Error, key::Key};

/// How much longer than other calls a test may take: a clinic waits 15 s for a receiver that says nothing, unless it is set otherwise.
const TEST_ROOM: Duration = Duration::from_secs(30);

/// Webhooks: endpoints registered, shown, tried out, switched on, removed.
#[derive(Clone, Debug)]
pub struct Webhooks {
    client: Client,
}

impl Webhooks {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Registers an endpoint: every event is posted there from then on.
    pub fn register(&self, url: impl Into<String>) -> RegisterWebhook {
        RegisterWebhook { client: self.client.clone(), request: WebhookRequest::new(url), key: Key::generate() }
    }

    /// All endpoints, the oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn list(&self) -> Result<WebhookList, Error> {
        Call::new(&self.client, "webhooks", Method::GET, &["webhooks"]).send().await
    }

    /// An endpoint.
    ///
    /// # Errors
    /// [`Error`]; `not_found` when there is none of that id.
    pub async fn get(&self, id: Uuid) -> Result<WebhookView, Error> {
        self.one("webhook", Method::GET, id).send().await
    }

    /// Removes an endpoint. A try that follows one whose answer was lost finds it gone, and that is success.
    ///
    /// # Errors
    /// [`Error`]; `not_found` when there was none of that id.
    pub async fn remove(&self, id: Uuid) -> Result<(), Error> {
        match self.one("removeWebhook", Method::DELETE, id).done().await {
            Err(error) if error.attempts > 1 && error.code() == Some(ProblemCode::NotFound) => Ok(()),
            removed => removed,
        }
    }

    /// Posts a test event to an endpoint, and tells what came of it. Tried once: each try is a post.
    ///
    /// The clinic waits for a receiver that says nothing (`CLINIC_WEBHOOK_TIMEOUT`, 15 s unless set), so this call may take 30 s longer
    /// than others. Where the clinic waits for longer still, give the client a longer [time-out](crate::Builder::timeout).
    ///
    /// # Errors
    /// [`Error`]; `webhooks_off` when the clinic posts none.
    pub async fn test(&self, id: Uuid) -> Result<WebhookTestView, Error> {
        self.at("testWebhook", id, "test").key(&Key::generate()).longer(TEST_ROOM).once().send().await
    }

    /// Switches an endpoint on that was switched off.
    ///
    /// # Errors
    /// [`Error`], as [`get`](Self::get).
    pub async fn enable(&self, id: Uuid) -> Result<WebhookView, Error> {
        self.at("enableWebhook", id, "enable").key(&Key::generate()).send().await
    }

    /// Gives an endpoint a new secret; those before it sign, too, for a day. So a try that follows one whose answer was lost makes
    /// another one, and no delivery is refused for that.
    ///
    /// # Errors
    /// [`Error`], as [`get`](Self::get).
    pub async fn renew_secret(&self, id: Uuid) -> Result<WebhookSecretView, Error> {
        self.at("renewWebhookSecret", id, "secret").key(&Key::generate()).send().await
    }

    fn one(&self, operation: &'static str, method: Method, id: Uuid) -> Call {
        Call::new(&self.client, operation, method, &["webhooks", &id.to_string()])
    }

    fn at(&self, operation: &'static str, id: Uuid, what: &str) -> Call {
        Call::new(&self.client, operation, Method::POST, &["webhooks", &id.to_string(), what])
    }
}

/// An endpoint, about to be registered. A clone is the same request, with the same key.
#[derive(Clone, Debug)]
#[must_use = "nothing is registered before send()"]
pub struct RegisterWebhook {
    client: Client,
    request: WebhookRequest,
    key: Key,
}

impl RegisterWebhook {
    /// Registers it: the endpoint, and the secret that its deliveries are signed with, which is shown this once.
    ///
    /// # Errors
    /// [`Error`]; `webhook_exists` when the URL is registered, by an earlier try whose answer was lost perhaps: renew its secret then.
    pub async fn send(self) -> Result<WebhookSecretView, Error> {
        Call::new(&self.client, "registerWebhook", Method::POST, &["webhooks"]).body(&self.request).key(&self.key).send().await
    }
}
