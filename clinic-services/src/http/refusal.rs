//! Refusals: every error answer, as RFC 9457 says.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use clinic_core::{
    api::{BadBody, FieldError, Problem, ProblemCode},
    booking::CancelRefused,
    dead_letter::ReplayRefused,
    ports::StoreError,
    reception::{BookError, CancelError, ReplayError, WebhookError},
};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";
/// How long a caller is asked to wait when the store cannot serve.
const RETRY_IN: Duration = Duration::from_secs(1);

/// Why a request was refused: what the caller is told, and what only the log may know.
#[derive(Debug)]
pub(super) struct Refusal {
    problem: Box<Problem>,
    code: ProblemCode,
    cause: Option<Cause>,
}

/// What lies behind a refusal; rides on the answer as an extension until it is logged with the request's id.
#[derive(Clone, Debug)]
pub(super) struct Cause(pub(super) Arc<str>);

impl Refusal {
    /// A refusal under a code's usual status.
    pub(super) fn new(code: ProblemCode, detail: &str) -> Self {
        Self { problem: Box::new(Problem::new(code, detail)), code, cause: None }
    }

    /// A 422 naming fields, query parameters or headers.
    pub(super) fn invalid(errors: Vec<FieldError>) -> Self {
        Self { problem: Box::new(Problem::invalid(errors)), code: ProblemCode::InvalidRequest, cause: None }
    }

    /// No dead letter has this id.
    pub(super) fn no_letter() -> Self {
        Self::new(ProblemCode::NotFound, "there is no dead letter with this id")
    }

    /// No booking has this id.
    pub(super) fn no_booking() -> Self {
        Self::new(ProblemCode::NotFound, "there is no booking with this id")
    }

    /// No webhook has this id.
    pub(super) fn no_webhook() -> Self {
        Self::new(ProblemCode::NotFound, "there is no webhook with this id")
    }

    /// A fault of ours, which only the log may know.
    fn internal() -> Self {
        Self::new(ProblemCode::Internal, "the server failed; its log says why under this request's id")
    }

    fn because(mut self, error: &dyn Error) -> Self {
        self.cause = Some(Cause(crate::chain(error).into()));
        self
    }
}

impl From<BadBody> for Refusal {
    fn from(bad: BadBody) -> Self {
        match bad {
            BadBody::Fields(errors) => Self::invalid(errors),
            BadBody::Syntax(text) => Self::new(ProblemCode::BadRequest, &text),
            _ => Self::new(ProblemCode::BadRequest, "the body cannot be understood"),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let refusal = match &error {
            StoreError::Corrupt(_) => Self::internal(),
            StoreError::TooSlow => Self::new(ProblemCode::Unavailable, "the answer took too long: ask for less, or later"),
            _ => Self::new(ProblemCode::Unavailable, "the clinic cannot serve this right now: try again in a moment"),
        };
        refusal.because(&error)
    }
}

impl From<BookError> for Refusal {
    fn from(error: BookError) -> Self {
        let code = match error {
            BookError::Invalid(errors) => return Self::invalid(errors),
            BookError::SlotTaken => ProblemCode::SlotTaken,
            BookError::TooManyPending => ProblemCode::TooManyPending,
            BookError::KeyReused => ProblemCode::IdempotencyKeyReused,
            BookError::Unavailable(_) => ProblemCode::Unavailable,
            BookError::OutcomeUnknown(_) => ProblemCode::OutcomeUnknown,
            _ => ProblemCode::Internal,
        };
        let refusal = Self::new(code, &error.to_string());
        if code.status_and_title().0 >= 500 { refusal.because(&error) } else { refusal }
    }
}

impl From<CancelError> for Refusal {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound => Self::no_booking(),
            CancelError::Refused(refused) => {
                let code = match refused {
                    CancelRefused::NotCancellable => ProblemCode::NotCancellable,
                    CancelRefused::AlreadyStarted => ProblemCode::AlreadyStarted,
                    _ => ProblemCode::Internal,
                };
                Self::new(code, &refused.to_string())
            }
            CancelError::Store(error @ StoreError::Unknown(_)) => {
                Self::new(ProblemCode::OutcomeUnknown, "it is not known whether the booking was cancelled: ask again").because(&error)
            }
            CancelError::Store(error) => error.into(),
            _ => Self::new(ProblemCode::Internal, "the server failed"),
        }
    }
}

impl From<ReplayError> for Refusal {
    fn from(error: ReplayError) -> Self {
        let code = match &error {
            ReplayError::NotFound => return Self::no_letter(),
            ReplayError::Refused(letter, refused) => {
                let code = match refused {
                    ReplayRefused::SlotTaken => ProblemCode::SlotTaken,
                    ReplayRefused::AlreadyStarted => ProblemCode::AlreadyStarted,
                    ReplayRefused::AlreadyReplayed => ProblemCode::AlreadyReplayed,
                    ReplayRefused::Superseded => ProblemCode::Superseded,
                    ReplayRefused::EndpointRemoved => ProblemCode::EndpointRemoved,
                    ReplayRefused::EndpointDisabled => ProblemCode::EndpointDisabled,
                    _ => ProblemCode::Internal,
                };
                return match letter.replayed_as {
                    Some(booking) => Self::new(code, &format!("it was replayed before, as booking {booking}")),
                    None => Self::new(code, refused.detail()),
                };
            }
            ReplayError::OutcomeUnknown(_) => ProblemCode::OutcomeUnknown,
            ReplayError::Store(StoreError::Corrupt(_)) => return Self::internal().because(&error),
            _ => ProblemCode::Unavailable,
        };
        Self::new(code, &error.to_string()).because(&error)
    }
}

impl From<WebhookError> for Refusal {
    fn from(error: WebhookError) -> Self {
        let code = match error {
            WebhookError::NotFound => return Self::no_webhook(),
            WebhookError::NotAdmitted(why) => return Self::invalid(vec![FieldError::new("url", &why.to_string())]),
            WebhookError::Store(error) => return error.into(),
            WebhookError::Off => ProblemCode::WebhooksOff,
            WebhookError::Exists(_) => ProblemCode::WebhookExists,
            WebhookError::TooMany => ProblemCode::TooManyWebhooks,
            WebhookError::Busy => ProblemCode::Unavailable,
            WebhookError::OutcomeUnknown(_) => ProblemCode::OutcomeUnknown,
            _ => ProblemCode::Internal,
        };
        let refusal = Self::new(code, &error.to_string());
        if code.status_and_title().0 >= 500 { refusal.because(&error) } else { refusal }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        metrics::counter!("clinic_http_problems_total", "code" => self.code.as_str()).increment(1);
        let body = serde_json::to_vec(&self.problem).expect("a problem is strings and numbers, which always serialise");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = http::StatusCode::from_u16(self.problem.status).expect("the codes' statuses are valid");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.code {
            ProblemCode::Unavailable => {
                headers.insert(RETRY_AFTER, RETRY_IN.as_secs().into());
            }
            ProblemCode::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}
