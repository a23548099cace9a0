//! The endpoints of webhooks as requests and answers show them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{BadBody, FieldError, request::fields, utc};
use crate::webhook::Endpoint;

/// Body of `POST /webhooks`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    /// Where deliveries go: https, at most 2048 characters, without user, password or fragment, a host of public addresses.
    pub url: String,
}

impl std::fmt::Debug for WebhookRequest {
    /// Shows no URL: it may hold a receiver's secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookRequest").finish_non_exhaustive()
    }
}

impl WebhookRequest {
    /// A request to register this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }

    /// Reads a body, naming every unknown field and every field of a wrong type.
    ///
    /// # Errors
    /// [`BadBody`].
    pub fn from_json(body: &[u8]) -> Result<Self, BadBody> {
        if body.trim_ascii_start().starts_with(b"{")
            && let Ok(request) = serde_json::from_slice(body)
        {
            return Ok(request);
        }
        let fields = fields(body)?;
        let unknown = fields.keys().filter(|name| *name != "url");
        let mut errors: Vec<_> = unknown.map(|name| FieldError::new(name, "is not a field of a webhook: leave it out")).collect();
        match fields.get("url") {
            Some(Value::String(_)) if errors.is_empty() => errors.push(FieldError::new("body", "must name each field once")),
            Some(Value::String(_)) => {}
            Some(Value::Null) | None => errors.push(FieldError::new("url", "is required")),
            Some(_) => errors.push(FieldError::new("url", "must be a string")),
        }
        Err(BadBody::Fields(errors))
    }
}

/// An endpoint of webhooks, as every answer shows it. Times are UTC. `Debug` hides the URL, which may hold a receiver's secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WebhookView {
    /// Its id.
    pub id: Uuid,
    /// Where deliveries go.
    pub url: String,
    /// When it was registered.
    #[serde(with = "utc")]
    pub created_at: DateTime<Utc>,
    /// Until when the secret before signs too.
    #[serde(with = "utc::option")]
    pub former_until: Option<DateTime<Utc>>,
    /// Since when nothing is sent there; null while it is.
    #[serde(with = "utc::option")]
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why: `endpoint_gone` when its receiver answered 410.
    pub disabled_code: Option<String>,
}

impl From<&Endpoint> for WebhookView {
    fn from(endpoint: &Endpoint) -> Self {
        let disabled = endpoint.disabled.as_ref();
        Self {
            id: endpoint.id.uuid(),
            url: endpoint.url.clone(),
            created_at: endpoint.created_at,
            former_until: endpoint.former.first().map(|former| former.until),
            disabled_at: disabled.map(|disabled| disabled.at),
            disabled_code: disabled.map(|disabled| disabled.code.clone()),
        }
    }
}

impl std::fmt::Debug for WebhookView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookView").field("id", &self.id).field("disabled_code", &self.disabled_code).finish_non_exhaustive()
    }
}

/// Answer of `GET /webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WebhookList {
    /// Oldest first; there are never more than 100.
    pub items: Vec<WebhookView>,
}

impl WebhookList {
    /// A list.
    #[must_use]
    pub const fn new(items: Vec<WebhookView>) -> Self {
        Self { items }
    }
}

/// Answer of `POST /webhooks` and of `POST /webhooks/{id}/secret`: the only ones that show a secret. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WebhookSecretView {
    /// The endpoint.
    #[serde(flatten)]
    pub webhook: WebhookView,
    /// What its deliveries are signed with from now on: `whsec_` and base64.
    pub secret: String,
}

impl From<&Endpoint> for WebhookSecretView {
    fn from(endpoint: &Endpoint) -> Self {
        Self { webhook: endpoint.into(), secret: endpoint.secret.reveal() }
    }
}

impl std::fmt::Debug for WebhookSecretView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookSecretView").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

/// Answer of `POST /webhooks/{id}/test`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WebhookTestView {
    /// Whether the receiver took it.
    pub delivered: bool,
    /// Why not, one of our codes.
    pub code: Option<String>,
    /// The HTTP status that it answered, where it answered.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

impl WebhookTestView {
    /// What came of a test.
    #[must_use]
    pub fn new(code: Option<&str>, status: Option<u16>, took: std::time::Duration) -> Self {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { delivered: code.is_none(), code: code.map(str::to_owned), status, millis }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::EndpointId, webhook::Secret};

    fn refused(body: &str) -> Vec<String> {
        match WebhookRequest::from_json(body.as_bytes()) {
            Err(BadBody::Fields(errors)) => errors.into_iter().map(|error| error.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_with_a_body_is_named() {
        assert_eq!(refused("{}"), ["url"]);
        assert_eq!(refused(r#"{"url":7,"secret":"x"}"#), ["secret", "url"]);
        assert_eq!(refused(r#"{"url":"x","url":"y"}"#), ["body"]);
        assert_eq!(refused(r#"["https://example.org"]"#), ["body"]);
        assert!(matches!(WebhookRequest::from_json(b"{"), Err(BadBody::Syntax(_))));
        assert_eq!(WebhookRequest::from_json(br#"{"url":"x"}"#).unwrap(), WebhookRequest::new("x"));
    }

    #[test]
    fn neither_a_secret_nor_a_url_is_shown_by_accident() {
        let endpoint = Endpoint::new(EndpointId::generate(), "https://a.example/".into(), Secret::new([1; 32]), DateTime::<Utc>::MIN_UTC);
        let shown = WebhookSecretView::from(&endpoint);
        assert!(shown.secret.starts_with("whsec_"));
        for hidden in ["whsec_", "a.example"] {
            assert!(!format!("{shown:?}{:?}", WebhookList::new(vec![shown.webhook.clone()])).contains(hidden));
        }
        assert!(!serde_json::to_string(&WebhookView::from(&endpoint)).unwrap().contains("whsec_"));
    }
}
