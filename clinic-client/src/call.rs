//! One call of the API: sent, tried again where that can help, its answer read.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, Span, field::Empty};

use crate::{
    client::Client,
    error::{Error, ErrorKind, Unreadable},
    key::Key,
    retry,
    trace::Trace,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What part of a try's time has to be left for it to be begun.
const LEAST_PART: u32 = 10;
/// The longest body of an answer, in bytes: a page of 200 bookings is a thirtieth of it.
const LONGEST_BODY: usize = 16 * 1024 * 1024;

pub(crate) struct Call {
    client: Client,
    /// Its name in the OpenAPI document.
    operation: &'static str,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    /// A status that answers the call, though it is none of success.
    answered_by: Option<u16>,
    timeout: Duration,
    call_timeout: Option<Duration>,
    tries: u32,
}

/// A call that failed, or one try of it.
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) attempts: u32,
    pub(crate) request_id: Option<String>,
    /// What the last try was answered with, if it was.
    pub(crate) status: Option<u16>,
    /// How long the server wants to be left alone.
    pub(crate) asked: Option<Duration>,
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, attempts: 0, request_id: None, status: None, asked: None }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self { kind: failure.kind, attempts: failure.attempts, request_id: failure.request_id }
    }
}

/// An answer that comes bit by bit.
pub(crate) struct Opened {
    pub(crate) response: Response,
    pub(crate) request_id: String,
    pub(crate) span: Span,
}

/// A body that is longer than any of the contract.
#[derive(Debug, Error)]
#[error("it is longer than 16 MiB")]
struct TooLong;

/// What the head of an answer says.
struct Said {
    request_id: String,
    status: Option<u16>,
    asked: Option<Duration>,
}

impl Said {
    const fn nothing_yet(request_id: String) -> Self {
        Self { request_id, status: None, asked: None }
    }

    fn hear(&mut self, answer: &Response) {
        let headers = answer.headers();
        self.status = Some(answer.status().as_u16());
        if let Some(id) = text(headers, &REQUEST_ID) {
            id.clone_into(&mut self.request_id);
        }
        self.asked = text(headers, &RETRY_AFTER).and_then(|header| retry::asked(header, Utc::now()));
    }

    fn failure(self, kind: ErrorKind, attempts: u32) -> Failure {
        Failure { kind, attempts, request_id: Some(self.request_id), status: self.status, asked: self.asked }
    }
}

impl Call {
    /// A call of an operation, whose route is made of these segments.
    pub(crate) fn new(client: &Client, operation: &'static str, method: Method, route: &[&str]) -> Self {
        let mut url = client.inner.url.clone();
        url.path_segments_mut().expect("the builder takes http and https URLs only, which have a path").pop_if_empty().extend(route);
        let inner = &client.inner;
        Self {
            client: client.clone(),
            operation,
            method,
            url,
            headers: inner.headers.clone(),
            body: Bytes::new(),
            answered_by: None,
            timeout: inner.timeout,
            call_timeout: inner.call_timeout,
            tries: inner.retry.tries,
        }
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Adds those query parameters that have a value.
    pub(crate) fn query_given<const N: usize>(self, parameters: [(&str, Option<String>); N]) -> Self {
        parameters.into_iter().fold(self, |call, (name, value)| match value {
            Some(value) => call.query(name, &value),
            None => call,
        })
    }

    /// Sets a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the key that makes sending it twice safe.
    pub(crate) fn key(self, key: &Key) -> Self {
        self.header(IDEMPOTENCY_KEY, key.header())
    }

    /// Sets the body.
    pub(crate) fn body(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).expect("bodies of the contract always serialise").into();
        self.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// Allows the server this much more than the usual time, for a try and for the whole call.
    pub(crate) fn longer(mut self, wait: Duration) -> Self {
        self.timeout = self.timeout.saturating_add(wait);
        self.call_timeout = self.call_timeout.map(|all| all.saturating_add(wait));
        self
    }

    /// Tries once only, for callers that try again themselves.
    pub(crate) const fn once(mut self) -> Self {
        self.tries = 1;
        self
    }

    /// Takes this status for an answer, too.
    pub(crate) const fn answered_by(mut self, status: u16) -> Self {
        self.answered_by = Some(status);
        self
    }

    /// Sends it, up to the client's number of tries, and reads the answer.
    pub(crate) async fn send<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.answer().await.map_err(Error::from)
    }

    /// The same, for callers that pause as the server asked.
    pub(crate) async fn answer<T: DeserializeOwned>(self) -> Result<T, Failure> {
        self.tried(|body| serde_json::from_slice(body).map_err(|error| Unreadable::from(error).into())).await
    }

    /// The same, of an answer that is text.
    pub(crate) async fn text(self) -> Result<String, Error> {
        self.tried(|body| String::from_utf8(body.to_vec()).map_err(|_| Unreadable::Text.into())).await.map_err(Error::from)
    }

    /// The same, of an answer that is empty.
    pub(crate) async fn done(self) -> Result<(), Error> {
        self.tried(|_| Ok(())).await.map_err(Error::from)
    }

    async fn tried<T>(self, read: impl Fn(&[u8]) -> Result<T, ErrorKind>) -> Result<T, Failure> {
        let trace = Trace::new(self.client.inner.trace_context.as_ref());
        let span = self.span(&trace);
        self.tries_within(&trace, &span, read).instrument(span.clone()).await
    }

    fn span(&self, trace: &Trace) -> Span {
        tracing::debug_span!(
            "clinic_call",
            operation = self.operation,
            method = self.method.as_str(),
            traceparent = trace.parent,
            request_id = Empty,
            attempts = Empty,
            status = Empty,
            error = Empty
        )
    }

    async fn tries_within<T>(&self, trace: &Trace, span: &Span, read: impl Fn(&[u8]) -> Result<T, ErrorKind>) -> Result<T, Failure> {
        let inner = &self.client.inner;
        let until = self.call_timeout.and_then(|all| Instant::now().checked_add(all));
        let left = || until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        for attempt in 1.. {
            let failure = match self.attempt(trace, attempt, left(), &read).await {
                Ok((answer, said)) => {
                    inner.budget.answered(attempt - 1);
                    answered(span, &said, attempt);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let pause = inner.retry.pause(attempt, failure.asked, rand::random());
            let has_time = pause < left().saturating_sub(self.least_time());
            let may_again = attempt < self.tries && failure.kind.is_retryable() && has_time && inner.budget.take();
            if !may_again {
                if is_answer_of_the_clinic(&failure.kind) {
                    inner.budget.answered(attempt - 1);
                }
                failed(span, &failure);
                return Err(failure);
            }
            tracing::debug!(attempt, error = failure.kind.code(), pause_ms = pause.as_millis(), "trying again");
            sleep(pause).await;
        }
        unreachable!("the last try returns")
    }

    /// One try: what is read of its answer, and what its head said.
    async fn attempt<T>(
        &self,
        trace: &Trace,
        attempt: u32,
        left: Duration,
        read: impl Fn(&[u8]) -> Result<T, ErrorKind>,
    ) -> Result<(T, Said), Failure> {
        let mut said = Said::nothing_yet(trace.request_id(attempt));
        let answered = async {
            let request = self.request(trace, &said.request_id).timeout(self.timeout.min(left));
            let answer = request.send().await.map_err(ErrorKind::connection)?;
            said.hear(&answer);
            let status = answer.status();
            if status.is_success() && is_web_page(answer.headers()) {
                return Err(Unreadable::Page.into());
            }
            let body = whole(answer).await?;
            self.taken(status, &body, &read)
        };
        match answered.await {
            Ok(answer) => Ok((answer, said)),
            Err(kind) => Err(said.failure(kind, attempt)),
        }
    }

    /// What an answer says: what was asked for, or why it is not given.
    fn taken<T>(&self, status: StatusCode, body: &[u8], read: impl Fn(&[u8]) -> Result<T, ErrorKind>) -> Result<T, ErrorKind> {
        if status.is_success() {
            return read(body);
        }
        let refused = || ErrorKind::answer(status.as_u16(), body);
        if self.answered_by == Some(status.as_u16()) { read(body).map_err(|_| refused()) } else { Err(refused()) }
    }

    /// A try that has less time than this could only take the place of what is known already by a time-out.
    fn least_time(&self) -> Duration {
        self.call_timeout.map_or(Duration::ZERO, |all| self.timeout.min(all) / LEAST_PART)
    }

    /// Opens an answer that comes bit by bit: sent once, as the caller's try number `attempt`, its head awaited, its body left to be
    /// read.
    pub(crate) async fn open(self, attempt: u32) -> Result<Opened, Failure> {
        let trace = Trace::new(self.client.inner.trace_context.as_ref());
        let span = self.span(&trace);
        let mut said = Said::nothing_yet(trace.request_id(attempt));
        let opened = async {
            let head = timeout(self.timeout, self.request(&trace, &said.request_id).send()).await;
            let answer = head.map_err(|_| ErrorKind::Timeout)?.map_err(ErrorKind::connection)?;
            said.hear(&answer);
            if answer.status().is_success() {
                return Ok(answer);
            }
            let status = answer.status().as_u16();
            let body = timeout(self.timeout, whole(answer)).await.map_err(|_| ErrorKind::Timeout)??;
            Err(ErrorKind::answer(status, &body))
        };
        match opened.instrument(span.clone()).await {
            Ok(response) => {
                answered(&span, &said, attempt);
                Ok(Opened { response, request_id: said.request_id, span })
            }
            Err(kind) => {
                let failure = said.failure(kind, attempt);
                failed(&span, &failure);
                Err(failure)
            }
        }
    }

    fn request(&self, trace: &Trace, request_id: &str) -> reqwest::RequestBuilder {
        let mut headers = self.headers.clone();
        headers.insert(TRACEPARENT, trace.header());
        headers.insert(REQUEST_ID, HeaderValue::from_str(request_id).expect("an id is hexadecimal digits and a hyphen"));
        let request = self.client.inner.http.request(self.method.clone(), self.url.clone()).headers(headers);
        if self.body.is_empty() { request } else { request.body(self.body.clone()) }
    }
}

/// Whether the clinic answered, though with a no: it is well.
fn is_answer_of_the_clinic(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::InvalidRequest(_) => true,
        ErrorKind::Api(problem) => problem.status < 500 && !kind.is_retryable(),
        _ => false,
    }
}

fn answered(span: &Span, said: &Said, attempts: u32) {
    span.record("attempts", attempts).record("request_id", &said.request_id).record("status", said.status);
}

fn failed(span: &Span, failure: &Failure) {
    span.record("attempts", failure.attempts).record("request_id", &failure.request_id).record("status", failure.status);
    span.record("error", failure.kind.code());
}

/// A page for people's eyes: the log-in of a network, say. The clinic's API has none.
fn is_web_page(headers: &HeaderMap) -> bool {
    is_of_type(headers, "text/html")
}

/// Whether an answer says that it is of this media type, with whatever parameters.
pub(crate) fn is_of_type(headers: &HeaderMap, media_type: &str) -> bool {
    let said = text(headers, &CONTENT_TYPE).unwrap_or_default();
    said.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(media_type))
}

/// The whole body, unless it is longer than any of the contract.
async fn whole(mut answer: Response) -> Result<Vec<u8>, ErrorKind> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(ErrorKind::connection)? {
        if body.len() + piece.len() > LONGEST_BODY {
            return Err(ErrorKind::Decode(Box::new(TooLong)));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A time as query parameters carry it.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
