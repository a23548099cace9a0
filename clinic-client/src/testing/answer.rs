use std::convert::Infallible;

use bytes::Bytes;
use clinic_core::api::{FieldError, Problem, ProblemCode};
use futures_util::stream::BoxStream;
use hyper::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

/// What a request is answered with.
pub(super) struct Answer {
    status: StatusCode,
    /// Those of one name replace each other.
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body,
}

pub(super) enum Body {
    Whole(Bytes),
    Live(BoxStream<'static, Result<Bytes, Infallible>>),
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: Body) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self::new(status, Body::Whole(Bytes::new()))
    }

    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("answers are made of strings, numbers and lists, which always serialise");
        let answer = Self::new(status, Body::Whole(body.into())).header(CONTENT_TYPE, "application/json");
        answer.header(CACHE_CONTROL, "no-store")
    }

    pub(super) fn ok(value: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, value)
    }

    pub(super) fn problem(code: ProblemCode, detail: &str) -> Self {
        Self::of(&Problem::new(code, detail), code)
    }

    pub(super) fn invalid(errors: Vec<FieldError>) -> Self {
        Self::of(&Problem::invalid(errors), ProblemCode::InvalidRequest)
    }

    pub(super) fn wrong(field: &str, message: &str) -> Self {
        Self::invalid(vec![FieldError::new(field, message)])
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, HeaderValue::from_str(value).expect("what is answered here is visible ASCII")));
        self
    }

    pub(super) fn without(mut self, name: &HeaderName) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// The head, as it is sent.
    pub(super) fn head(&self) -> (StatusCode, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        (self.status, headers)
    }

    fn of(problem: &Problem, code: ProblemCode) -> Self {
        let status = StatusCode::from_u16(problem.status).expect("the codes' statuses are valid");
        let answer = Self::json(status, problem).header(CONTENT_TYPE, "application/problem+json");
        match code {
            ProblemCode::Unavailable => answer.header(RETRY_AFTER, "1"),
            ProblemCode::Unauthorized => answer.header(WWW_AUTHENTICATE, "Bearer"),
            _ => answer,
        }
    }
}
