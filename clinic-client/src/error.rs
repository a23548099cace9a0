use std::fmt;

use clinic_core::api::{BookingView, FieldError, Problem, ProblemCode};
use thiserror::Error;

/// What lies behind an error.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a call failed, after how many tries, and what it is called in the clinic's log. A booking that was rejected is no error: it
/// is an answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Error {
    /// What happened.
    pub kind: ErrorKind,
    /// How often the call was tried; 0 when nothing was sent.
    pub attempts: u32,
    /// The id of the last try's request, which the clinic's log has, too.
    pub request_id: Option<String>,
}

/// What happened to a call.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fields, query parameters or the idempotency key are wrong; nothing was done.
    #[error("the request is not valid: {}", Named(.0))]
    InvalidRequest(Vec<FieldError>),
    /// The clinic answered with an error.
    #[error("the clinic answered {} {}: {}", .0.status, .0.code, .0.detail.as_deref().unwrap_or(&.0.title))]
    Api(Box<Problem>),
    /// No answer came in time. What was asked may have been done.
    #[error("the clinic did not answer in time")]
    Timeout,
    /// The clinic could not be reached, or the connection broke. What was asked may have been done.
    #[error("the connection to the clinic failed; check the URL and the network")]
    Transport(#[source] Source),
    /// The answer was garbled on its way, or is none of this contract: another server, one of another release, or the page of a network
    /// that wants a log-in first.
    #[error("the answer cannot be understood; check that the URL is a clinic's")]
    Decode(#[source] Source),
    /// The longest wait is over and the booking still pending; this is how it stands. Wait again.
    #[error("the booking was not decided in the time allowed")]
    Undecided(Box<BookingView>),
}

impl Error {
    /// An error of this kind, before anything was sent. For tests of your own, too.
    #[must_use]
    pub const fn new(kind: ErrorKind) -> Self {
        Self { kind, attempts: 0, request_id: None }
    }

    /// Whether the same call may succeed later. Calls were already tried again when this comes back.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }

    /// Whether the clinic itself refused this very request for good: nothing was done by it, and asking once more brings no other answer
    /// (422 with the fields that are wrong, 409, 413, 415).
    ///
    /// Some answers are none, though they look like it. Under a key that was used before for another request (`idempotency_key_reused`)
    /// something was done. `webhook_exists` after a try that was not answered may be that try's own doing. `bad_request` is said of a
    /// body that did not arrive whole, too, which passes.
    ///
    /// It speaks of the tries that were answered. One that never was, because something in front of the clinic holds it back, may still
    /// arrive, and be done where what stood against it is gone by then. Of a booking, asking again under the same key tells.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match &self.kind {
            ErrorKind::InvalidRequest(_) => true,
            // The clinic's own, no proxy's.
            ErrorKind::Api(problem) => match problem.known_code() {
                Some(ProblemCode::WebhookExists) => self.attempts <= 1,
                Some(_) => matches!(problem.status, 409 | 413 | 415),
                None => false,
            },
            _ => false,
        }
    }

    /// The clinic's error code, when it answered with one that this release knows. [`problem`](Self::problem) has those it does not.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        match &self.kind {
            ErrorKind::Api(problem) => problem.known_code(),
            ErrorKind::InvalidRequest(_) => Some(ProblemCode::InvalidRequest),
            _ => None,
        }
    }

    /// The clinic's error answer, when there was one and it named no fields.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match &self.kind {
            ErrorKind::Api(problem) => Some(problem),
            _ => None,
        }
    }

    /// The fields that are wrong; none unless the request was not valid.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        match &self.kind {
            ErrorKind::InvalidRequest(fields) => fields,
            _ => &[],
        }
    }

    /// A field that is wrong.
    pub(crate) fn invalid(field: &str, message: &str) -> Self {
        Self::new(ErrorKind::InvalidRequest(vec![FieldError::new(field, message)]))
    }
}

impl ErrorKind {
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout | Self::Transport(_) | Self::Undecided(_) => true,
            // Half an answer, or a garbled one, is read whole the next time; one of another contract is not.
            Self::Decode(source) => matches!(source.downcast_ref(), Some(Unreadable::Json { .. } | Unreadable::Text)),
            // The patient's limit passes with a decision, not with a pause.
            Self::Api(problem) if problem.known_code() == Some(ProblemCode::TooManyPending) => false,
            Self::Api(problem) => matches!(problem.status, 408 | 429 | 502 | 503 | 504),
            Self::InvalidRequest(_) => false,
        }
    }

    /// The kind as a code, for logs: no word of the server's.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::InvalidRequest(_) => ProblemCode::InvalidRequest.as_str(),
            Self::Api(problem) => problem.known_code().map_or("unknown", ProblemCode::as_str),
            Self::Timeout => "timeout",
            Self::Transport(_) => "transport",
            Self::Decode(_) => "decode",
            Self::Undecided(_) => "undecided",
        }
    }

    /// The failure of a connection. The URL stays out of it: a query names patients.
    pub(crate) fn connection(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::Timeout } else { Self::Transport(Box::new(error.without_url())) }
    }

    /// An error answer; a body that is no problem document comes from something in front of the clinic.
    pub(crate) fn answer(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if problem.known_code() == Some(ProblemCode::InvalidRequest) && !problem.errors.is_empty() => {
                Self::InvalidRequest(problem.errors)
            }
            Ok(problem) => Self::Api(Box::new(problem)),
            Err(_) => {
                let mut problem = Problem::new(ProblemCode::Internal, "the answer did not come from the clinic itself");
                problem.status = status;
                problem.code = format!("http_{status}");
                problem.title = "Answer of a proxy".into();
                Self::Api(Box::new(problem))
            }
        }
    }
}

/// Why an answer cannot be understood: no word of it, since it may name patients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    /// Garbled, or cut off.
    #[error("it is no JSON from line {line}, column {column} on")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Garbled.
    #[error("it is no text")]
    Text,
    /// JSON of something else.
    #[error("it is JSON of another contract")]
    Foreign,
    /// A page for people, where the API has none.
    #[error("it is a web page: of another server, or of a network that wants a log-in first")]
    Page,
    /// A list whose next page is the one just read.
    #[error("the list goes round in a circle: its next page is the same again")]
    Circle,
    /// A stream of events without an end to its lines.
    #[error("a line or an event of the stream is longer than 1 MiB")]
    Endless,
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        if error.is_data() { Self::Foreign } else { Self::Json { line: error.line(), column: error.column() } }
    }
}

impl From<Unreadable> for ErrorKind {
    fn from(unreadable: Unreadable) -> Self {
        Self::Decode(Box::new(unreadable))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

struct Named<'a>(&'a [FieldError]);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{} {}", error.field, error.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: ProblemCode) -> ErrorKind {
        ErrorKind::Api(Box::new(Problem::new(code, "")))
    }

    fn undecoded(body: &str) -> ErrorKind {
        Unreadable::from(serde_json::from_str::<Problem>(body).unwrap_err()).into()
    }

    #[test]
    fn what_passes_with_time_is_retryable_and_what_does_not_is_not() {
        for code in [ProblemCode::Unavailable, ProblemCode::OutcomeUnknown] {
            assert!(api(code).is_retryable(), "{code}");
        }
        for code in [ProblemCode::SlotTaken, ProblemCode::TooManyPending, ProblemCode::NotFound, ProblemCode::Internal] {
            assert!(!api(code).is_retryable(), "{code}");
        }
        assert!(ErrorKind::Timeout.is_retryable());
        assert!(!ErrorKind::InvalidRequest(Vec::new()).is_retryable());
    }

    #[test]
    fn what_the_clinic_itself_refuses_for_good_is_a_refusal_and_nothing_else_is() {
        let refused = |kind| Error::new(kind).is_refusal();
        assert!(refused(ErrorKind::InvalidRequest(Vec::new())));
        for code in [
            ProblemCode::SlotTaken,
            ProblemCode::NotCancellable,
            ProblemCode::WebhookExists,
            ProblemCode::BodyTooLarge,
            ProblemCode::UnsupportedMediaType,
        ] {
            assert!(refused(api(code)), "{code}");
        }
        for code in [
            ProblemCode::BadRequest,
            ProblemCode::Unauthorized,
            ProblemCode::Forbidden,
            ProblemCode::NotFound,
            ProblemCode::IdempotencyKeyReused,
            ProblemCode::TooManyPending,
            ProblemCode::Internal,
            ProblemCode::Unavailable,
            ProblemCode::OutcomeUnknown,
        ] {
            assert!(!refused(api(code)), "{code}");
        }
        for status in [400, 409, 413, 415, 422] {
            assert!(!refused(ErrorKind::answer(status, b"<html>")), "{status}");
        }
        assert!(!refused(ErrorKind::Timeout) && !refused(Unreadable::Text.into()) && !refused(undecoded("{}")));
        assert!(!refused(ErrorKind::Transport("".into())));
    }

    #[test]
    fn what_an_earlier_try_may_have_done_is_no_refusal() {
        let after = |code, attempts| Error { attempts, ..Error::new(api(code)) }.is_refusal();
        assert!(after(ProblemCode::WebhookExists, 1) && !after(ProblemCode::WebhookExists, 2));
        assert!(after(ProblemCode::SlotTaken, 2));
    }

    #[test]
    fn a_garbled_answer_is_retryable_and_another_contracts_is_not() {
        assert!(undecoded(r#"{"type": "about"#).is_retryable());
        assert!(undecoded("\u{fffd}%&").is_retryable());
        assert!(!undecoded(r#"{"hello": "world"}"#).is_retryable());
        assert!(ErrorKind::from(Unreadable::Text).is_retryable());
    }

    #[test]
    fn an_answer_that_cannot_be_understood_is_not_repeated_in_the_error() {
        for body in [r#"{"type": 7, "title": "Juan"}"#, r#"{"status": "Juan"}"#, "Juan"] {
            let error = Error::new(undecoded(body));
            assert!(!format!("{error} {error:?}").contains("Juan"), "{error:?}");
        }
    }

    #[test]
    fn a_proxys_answer_keeps_its_status() {
        let kind = ErrorKind::answer(502, b"<html>");
        assert!(kind.is_retryable());
        assert!(matches!(kind, ErrorKind::Api(problem) if problem.status == 502 && problem.code == "http_502"));
    }

    #[test]
    fn wrong_fields_are_named() {
        let body = serde_json::to_vec(&Problem::invalid(vec![FieldError::new("datetime", "is required")])).unwrap();
        let error = Error::new(ErrorKind::answer(422, &body));
        assert_eq!(error.to_string(), "the request is not valid: datetime is required");
        assert_eq!((error.fields()[0].field.as_str(), error.code()), ("datetime", Some(ProblemCode::InvalidRequest)));
    }

    #[test]
    fn fields_that_come_with_another_code_leave_it_its_meaning() {
        for code in ["idempotency_key_reused", "of_a_newer_clinic"] {
            let mut problem = Problem::invalid(vec![FieldError::new("patient_id", "differs")]);
            problem.code = code.into();
            let error = Error::new(ErrorKind::answer(422, &serde_json::to_vec(&problem).unwrap()));
            assert!(error.problem().is_some_and(|problem| problem.code == code && problem.errors.len() == 1), "{error:?}");
            assert!(!error.is_refusal() && error.fields().is_empty());
        }
    }
}
