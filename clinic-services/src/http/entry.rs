//! What every request passes: its id, its key, the log of what went wrong. One layer, since each costs the hot path.

use std::{
    hash::{BuildHasher, RandomState},
    panic::AssertUnwindSafe,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use clinic_core::api::ProblemCode;
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use tracing::Level;

use super::{
    App,
    keys::Keys,
    refusal::{Cause, Refusal},
};

const REQUEST_ID: &str = "x-request-id";

/// Who calls: the name of the key. Rides on the request.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) Arc<str>);

pub(super) async fn entry(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let begun = tracing::enabled!(Level::DEBUG).then(Instant::now);
    let method = request.method().clone();
    // The pattern, never the path itself or the query: those hold ids of patients.
    let route = request.extensions().get::<MatchedPath>().cloned();

    let mut response = match admit(app.keys.as_ref(), &mut request) {
        Ok(()) => match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            // The panic's own text went to standard error through the panic hook.
            Err(_) => Refusal::new(ProblemCode::Internal, "the server failed; its log says why under this request's id").into_response(),
        },
        Err(refusal) => refusal.into_response(),
    };
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        response = told(response, &method);
    }

    let route = || route.as_ref().map_or("none", MatchedPath::as_str);
    let shown = || id.to_str().unwrap_or_default();
    if let Some(Cause(cause)) = response.extensions().get() {
        app.warnings.warn(|suppressed| {
            tracing::warn!(request_id = shown(), %method, route = route(), status = status.as_u16(), suppressed, "request failed: {cause}");
        });
    } else if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(request_id = shown(), %method, route = route(), "request failed: a panic, see above");
    }
    if let Some(begun) = begun {
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(request_id = shown(), %method, route = route(), status = status.as_u16(), micros, "request");
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Gives errors that come from the router or a mounted service the form of all others.
fn told(response: Response, method: &Method) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED && method == Method::OPTIONS {
        // The router adds the Allow header to whatever leaves here.
        return StatusCode::NO_CONTENT.into_response();
    }
    let is_ours = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
    if response.status() == StatusCode::NOT_FOUND && !is_ours {
        return not_found().into_response();
    }
    response
}

/// The caller's id for the request when it is short and plain, one of our own otherwise.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    match headers.get(REQUEST_ID) {
        Some(id) if (1..=64).contains(&id.len()) && id.as_bytes().iter().all(plain) => id.clone(),
        _ => {
            let id = format!("{:08x}-{:x}", *PROCESS >> 32, COUNT.fetch_add(1, Ordering::Relaxed));
            HeaderValue::try_from(id).expect("hexadecimal digits and a hyphen make a header")
        }
    }
}

/// Lets in whoever has a key, and everybody where no keys are asked for or health alone is.
fn admit(keys: Option<&Keys>, request: &mut Request) -> Result<(), Refusal> {
    let Some(keys) = keys else { return Ok(()) };
    let path = request.uri().path();
    if path == "/health" || path.starts_with("/health/") {
        return Ok(());
    }
    let bearer = request.headers().get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
    });
    let key = bearer.ok_or_else(|| Refusal::new(ProblemCode::Unauthorized, "send an API key as Authorization: Bearer KEY"))?;
    let caller = keys.caller(key).ok_or_else(|| Refusal::new(ProblemCode::Forbidden, "this API key opens nothing here"))?;
    request.extensions_mut().insert(Caller(caller));
    Ok(())
}

/// Keeps a failing store from flooding the log: one warning a second, with the count of those left out.
#[derive(Debug)]
pub(super) struct Warnings {
    since: Instant,
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl Warnings {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), next: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    fn warn(&self, log: impl FnOnce(u64)) {
        let second = self.since.elapsed().as_secs();
        let turn = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| (second >= next).then_some(second + 1));
        if turn.is_ok() {
            log(self.suppressed.swap(0, Ordering::Relaxed));
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// For routes that are not there.
pub(super) async fn no_route() -> Refusal {
    not_found()
}

/// For routes that this process leaves to others.
pub(super) async fn no_route_here() -> Refusal {
    Refusal::new(ProblemCode::NotFound, "here are /health, /health/live, /health/ready and /metrics alone: clinic-api serves the rest")
}

/// For methods that a route does not have; the router adds `Allow`.
pub(super) async fn no_method() -> Refusal {
    Refusal::new(ProblemCode::MethodNotAllowed, "this route has no such method: see the Allow header")
}

fn not_found() -> Refusal {
    Refusal::new(ProblemCode::NotFound, "there is no such route: see /docs for those there are")
}
