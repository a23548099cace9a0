//! HTTP/1.1 around the routes: connections, keys, request ids, faults.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use clinic_core::api::ProblemCode;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::{Frame, Incoming},
    header::{AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    Call,
    answer::{Answer, Body},
    fault::Fault,
    routes::{self, MAX_BODY, Request},
    state::State,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How much of a body that is too large is read.
const PASSED_OVER: usize = 1024 * 1024;

/// What ends a connection in the middle.
#[derive(Debug, thiserror::Error)]
#[error("the connection was to end here")]
struct CutOff;

type Sent = Response<UnsyncBoxBody<Bytes, CutOff>>;

/// Serves until it is dropped, and its connections with it.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&state)))),
                // Out of file descriptors, most likely, which others give back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { respond(&state, request).await }
    });
    // Errors here are the client's, or planned.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(state: &Arc<State>, request: hyper::Request<Incoming>) -> Result<Sent, CutOff> {
    let (parts, body) = request.into_parts();
    let header = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let fault = state.next_fault();
    state.note(Call {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        idempotency_key: header(&HeaderName::from_static("idempotency-key")),
        request_id: header(&REQUEST_ID),
        fault,
    });
    let id = header(&REQUEST_ID).filter(|id| is_plain(id)).unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string());
    let bearer = header(&AUTHORIZATION).unwrap_or_default();
    // Read even where the answer is settled, so that whoever sends hears it.
    let body = Limited::new(body, PASSED_OVER).collect().await.ok().map(http_body_util::Collected::to_bytes);
    let body = body.filter(|body| body.len() <= MAX_BODY);
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().map(str::to_owned);
    let answer = if fault.is_done() {
        match admit(state, &path, &bearer) {
            Ok(caller) => {
                let request = Request { method: parts.method, path, query, headers: parts.headers, body, caller };
                done(state, request, fault).await?
            }
            Err(refusal) => refusal,
        }
    } else {
        Answer::problem(ProblemCode::Internal, "it was not done")
    };
    let mut sent = spoilt(answer, fault).await?;
    if let Ok(id) = HeaderValue::try_from(id) {
        sent.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(sent)
}

/// What a request is answered with, once it is done.
async fn done(state: &Arc<State>, request: Request, fault: Fault) -> Result<Answer, CutOff> {
    let Fault::Late(by) = fault else { return Ok(routes::answer(state, &request).await) };
    let state = Arc::clone(state);
    // On its own, since the caller's connection may end before.
    let late = tokio::spawn(async move {
        tokio::time::sleep(by).await;
        routes::answer(&state, &request).await
    });
    late.await.map_err(|_| CutOff)
}

/// Short and plain, as a clinic keeps it.
fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Who calls: lets in whoever has a key, and everybody where no keys are asked for or health alone is.
fn admit(state: &State, path: &str, bearer: &str) -> Result<String, Answer> {
    if state.tokens.is_empty() || path == "/health" || path.starts_with("/health/") {
        return Ok(String::new());
    }
    let (scheme, key) = bearer.split_at_checked(7).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer ") {
        return Err(Answer::problem(ProblemCode::Unauthorized, "send an API key as Authorization: Bearer KEY"));
    }
    let known = state.tokens.iter().find(|token| *token == key.trim());
    known.cloned().ok_or_else(|| Answer::problem(ProblemCode::Forbidden, "this API key opens nothing here"))
}

/// What comes of an answer on its way.
async fn spoilt(answer: Answer, fault: Fault) -> Result<Sent, CutOff> {
    let refused = |answer: Answer, after: Option<Duration>| match after {
        Some(after) => answer.header(RETRY_AFTER, &after.as_secs().to_string()),
        None => answer,
    };
    match fault {
        Fault::DropBefore | Fault::DropAfter => Err(CutOff),
        Fault::CutAnswer => Ok(sent(answer, |whole| {
            let half = whole.slice(..whole.len() / 2);
            vec![Ok(half), Err(CutOff)]
        })),
        Fault::Garbled => Ok(sent(answer, |whole| vec![Ok(whole.iter().rev().map(|byte| byte ^ 0x55).collect())])),
        Fault::Slow(by) => {
            tokio::time::sleep(by).await;
            Ok(whole(answer))
        }
        Fault::Unavailable(after) => {
            let answer = Answer::problem(ProblemCode::Unavailable, "the clinic cannot serve this right now").without(&RETRY_AFTER);
            Ok(whole(refused(answer, after)))
        }
        Fault::TooManyRequests(after) => {
            let answer = Answer::new(StatusCode::TOO_MANY_REQUESTS, Body::Whole(Bytes::from_static(b"<html>slow down</html>")));
            Ok(whole(refused(answer, after)))
        }
        Fault::OutcomeUnknown { .. } => {
            Ok(whole(Answer::problem(ProblemCode::OutcomeUnknown, "it is not known whether it was done: ask again with the same key")))
        }
        Fault::None | Fault::Late(_) => Ok(whole(answer)),
    }
}

fn whole(answer: Answer) -> Sent {
    sent(answer, |whole| vec![Ok(whole)])
}

/// An answer whose pieces are made from its body by `spoil`. Of a stream, the pieces from the second on: its events.
fn sent(answer: Answer, spoil: impl Fn(Bytes) -> Vec<Result<Bytes, CutOff>> + Send + 'static) -> Sent {
    let (status, headers) = answer.head();
    let frames = |pieces: Vec<Result<Bytes, CutOff>>| stream::iter(pieces).map(|piece| piece.map(Frame::data));
    let body = match answer.body {
        Body::Whole(bytes) => {
            let length = bytes.len();
            match <[_; 1]>::try_from(spoil(bytes)) {
                Ok([Ok(bytes)]) => Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync(),
                Ok([Err(cut)]) => StreamBody::new(frames(vec![Err(cut)])).boxed_unsync(),
                Err(pieces) => Promised { length, body: StreamBody::new(frames(pieces)).boxed_unsync() }.boxed_unsync(),
            }
        }
        Body::Live(pieces) => {
            let spoilt = pieces.enumerate().flat_map(move |(place, piece)| {
                let Ok(piece) = piece;
                stream::iter(if place == 0 { vec![Ok(piece)] } else { spoil(piece) })
            });
            StreamBody::new(spoilt.map(|piece| piece.map(Frame::data))).boxed_unsync()
        }
    };
    let mut response = Response::new(body);
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}

/// A body that promises more than it holds.
struct Promised {
    length: usize,
    body: UnsyncBoxBody<Bytes, CutOff>,
}

impl hyper::body::Body for Promised {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(context)
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.length as u64)
    }
}

/// Listens on a free port of this host.
pub(super) async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").await
}
