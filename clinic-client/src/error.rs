use clinic_core::api::{BookingView, FieldError, Problem, ProblemCode};
use thiserror::Error;

/// Why a call failed. A booking that was rejected is no error: it is an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
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
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is none of this contract: another server, or one of another release.
    #[error("the answer cannot be understood; check that the URL is a clinic's")]
    Decode(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The longest wait is over and the booking still pending; this is how it stands. Wait again.
    #[error("the booking was not decided in the time allowed")]
    Undecided(Box<BookingView>),
}

impl Error {
    /// Whether the same call may succeed later. Calls were already tried again when this comes back.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout | Self::Transport(_) | Self::Undecided(_) => true,
            // The patient's limit passes with a decision, not with a pause.
            Self::Api(problem) if problem.known_code() == Some(ProblemCode::TooManyPending) => false,
            Self::Api(problem) => matches!(problem.status, 408 | 429 | 502 | 503 | 504),
            Self::InvalidRequest(_) | Self::Decode(_) => false,
        }
    }

    /// The clinic's error code, when it answered with one that this release knows.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Api(problem) => problem.known_code(),
            Self::InvalidRequest(_) => Some(ProblemCode::InvalidRequest),
            _ => None,
        }
    }

    /// The failure of a connection. The URL stays out of it: a query names patients.
    pub(crate) fn connection(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::Timeout } else { Self::Transport(Box::new(error.without_url())) }
    }

    /// An error answer; a body that is no problem document comes from something in front of the clinic.
    pub(crate) fn answer(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if problem.status == 422 && !problem.errors.is_empty() => Self::InvalidRequest(problem.errors),
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

struct Named<'a>(&'a [FieldError]);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

    fn api(code: ProblemCode) -> Error {
        Error::Api(Box::new(Problem::new(code, "")))
    }

    #[test]
    fn what_passes_with_time_is_retryable_and_what_does_not_is_not() {
        for code in [ProblemCode::Unavailable, ProblemCode::OutcomeUnknown] {
            assert!(api(code).is_retryable(), "{code}");
        }
        for code in [ProblemCode::SlotTaken, ProblemCode::TooManyPending, ProblemCode::NotFound, ProblemCode::Internal] {
            assert!(!api(code).is_retryable(), "{code}");
        }
        assert!(Error::Timeout.is_retryable());
        assert!(!Error::InvalidRequest(Vec::new()).is_retryable());
    }

    #[test]
    fn a_proxys_answer_keeps_its_status() {
        let error = Error::answer(502, b"<html>");
        assert!(error.is_retryable());
        assert!(matches!(error, Error::Api(problem) if problem.status == 502 && problem.code == "http_502"));
    }

    #[test]
    fn wrong_fields_are_named() {
        let body = serde_json::to_vec(&Problem::invalid(vec![FieldError::new("datetime", "is required")])).unwrap();
        let error = Error::answer(422, &body);
        assert_eq!(error.to_string(), "the request is not valid: datetime is required");
    }
}
