//! Errors as RFC 9457 says.

use serde::{Deserialize, Serialize};

use crate::codes::codes;

codes! {
    /// What went wrong, as a stable code.
    pub enum ProblemCode {
        /// 400: the body is no JSON, or the request no HTTP of ours.
        BadRequest = "bad_request",
        /// 401: no key was given.
        Unauthorized = "unauthorized",
        /// 403: the key does not open this.
        Forbidden = "forbidden",
        /// 404: no such route or id.
        NotFound = "not_found",
        /// 405: the route has no such method.
        MethodNotAllowed = "method_not_allowed",
        /// 409: another active booking of the doctor overlaps.
        SlotTaken = "slot_taken",
        /// 409: a rejected booking holds nothing to cancel.
        NotCancellable = "not_cancellable",
        /// 409: the visit has begun.
        AlreadyStarted = "already_started",
        /// 409: a dead letter is replayed once.
        AlreadyReplayed = "already_replayed",
        /// 409: a later notice of the booking and channel is there.
        Superseded = "superseded",
        /// 409: the webhook of a notice is gone.
        EndpointRemoved = "endpoint_removed",
        /// 409: the webhook of a notice is switched off.
        EndpointDisabled = "endpoint_disabled",
        /// 409: the clinic tells nothing by webhook.
        WebhooksOff = "webhooks_off",
        /// 409: the URL is registered already.
        WebhookExists = "webhook_exists",
        /// 409: there are as many webhooks as there may be.
        TooManyWebhooks = "too_many_webhooks",
        /// 413: over 64 KiB.
        BodyTooLarge = "body_too_large",
        /// 415: the body is not declared as JSON.
        UnsupportedMediaType = "unsupported_media_type",
        /// 422: fields or query parameters are wrong; `errors` names them.
        InvalidRequest = "invalid_request",
        /// 422: the key came with another body before.
        IdempotencyKeyReused = "idempotency_key_reused",
        /// 429: the patient has too many undecided bookings.
        TooManyPending = "too_many_pending",
        /// 500: a fault of ours.
        Internal = "internal",
        /// 503: surely not done; ask again after `Retry-After` seconds.
        Unavailable = "unavailable",
        /// 504: done or not, we cannot know; ask again with the same key.
        OutcomeUnknown = "outcome_unknown",
    }
}

/// An error answer: `application/problem+json` as RFC 9457 says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Problem {
    /// `about:blank`: the code says all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code, in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code, one of [`ProblemCode`]; newer servers may know more.
    pub code: String,
    /// What happened and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What is wrong with which field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem under its usual status and title.
    #[must_use]
    pub fn new(code: ProblemCode, detail: &str) -> Self {
        let (status, title) = code.status_and_title();
        Self {
            kind: "about:blank".into(),
            title: title.into(),
            status,
            code: code.as_str().into(),
            detail: Some(detail.into()),
            errors: Vec::new(),
        }
    }

    /// A 422 naming fields.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(ProblemCode::InvalidRequest, "correct the fields listed in errors") }
    }

    /// The code, if this release knows it.
    #[must_use]
    pub fn known_code(&self) -> Option<ProblemCode> {
        ProblemCode::parse(&self.code)
    }
}

impl ProblemCode {
    /// The HTTP status and the title of the code.
    #[must_use]
    pub const fn status_and_title(self) -> (u16, &'static str) {
        match self {
            Self::BadRequest => (400, "Bad request"),
            Self::Unauthorized => (401, "API key required"),
            Self::Forbidden => (403, "Forbidden"),
            Self::NotFound => (404, "Not found"),
            Self::MethodNotAllowed => (405, "Method not allowed"),
            Self::SlotTaken => (409, "Slot taken"),
            Self::NotCancellable => (409, "Not cancellable"),
            Self::AlreadyStarted => (409, "Already started"),
            Self::AlreadyReplayed => (409, "Already replayed"),
            Self::Superseded => (409, "Superseded"),
            Self::EndpointRemoved => (409, "Endpoint removed"),
            Self::EndpointDisabled => (409, "Endpoint disabled"),
            Self::WebhooksOff => (409, "Webhooks off"),
            Self::WebhookExists => (409, "Webhook exists"),
            Self::TooManyWebhooks => (409, "Too many webhooks"),
            Self::BodyTooLarge => (413, "Body too large"),
            Self::UnsupportedMediaType => (415, "Unsupported media type"),
            Self::InvalidRequest => (422, "Invalid request"),
            Self::IdempotencyKeyReused => (422, "Idempotency key reused"),
            Self::TooManyPending => (429, "Too many pending bookings"),
            Self::Internal => (500, "Internal error"),
            Self::Unavailable => (503, "Temporarily unavailable"),
            Self::OutcomeUnknown => (504, "Outcome unknown"),
        }
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct FieldError {
    /// The field, query parameter or header.
    pub field: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl FieldError {
    /// An error of a field.
    #[must_use]
    pub fn new(field: &str, message: &str) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}
