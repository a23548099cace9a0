//! `/booking/{id}/events`: a booking's timeline as it grows, as server-sent events.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::Response,
};
use clinic_core::{
    api::{FieldError, TimelineEvent},
    id::BookingId,
    timeline::Entry,
    watchers::Follower,
};
use futures_util::stream::unfold;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use metrics::gauge;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{App, id::Id, query::Query, refusal::Refusal};

/// How long a stream lasts at most; its client comes again.
const LONGEST: Duration = Duration::from_secs(60);
/// How long nothing may be sent: proxies cut what is silent, and a write shows whether the client is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Where the client says which event it saw last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Proxies of nginx's kind hold answers back unless they are told not to.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Follow a booking
///
/// Its timeline as server-sent events, and what happens from now on as it happens: the event's `id` is the entry's `seq`, its name the
/// entry's `kind`, its data the entry as in the timeline. The stream ends once the booking is decided and each notice was tried once, or
/// after 60 seconds, or when the server stops; a client that comes again with `Last-Event-ID` goes on from there. Where there is
/// nothing more to come, it is answered 204, which tells browsers not to come again.
#[utoipa::path(
    get, path = "/booking/{id}/events", operation_id = "events", tag = "bookings",
    params(
        ("id" = String, Path, format = Uuid, description = "the booking's id"),
        ("Last-Event-ID" = Option<u32>, Header, description = "the id of the last event that was seen: what is later is sent"),
    ),
    responses(
        (status = 200, description = "the stream", body = String, content_type = "text/event-stream"),
        (status = 204, description = "everything was seen, and nothing more is to come"),
    ),
)]
pub(super) async fn events(State(app): State<Arc<App>>, Id(id): Id<BookingId>, uri: Uri, headers: HeaderMap) -> Result<Response, Refusal> {
    Query::none(&uri)?;
    let seen = last_event_id(&headers)?;
    let follower = app.reception.follow(id, seen.unwrap_or(0)).await?.ok_or_else(Refusal::no_booking)?;
    let mut response = Response::new(Body::empty());
    if seen.is_some() && follower.is_over() {
        *response.status_mut() = StatusCode::NO_CONTENT;
    } else {
        *response.body_mut() = Body::from_stream(unfold(Live::open(id, follower, app.shutdown.clone()), Live::next));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response.headers_mut().insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u32>, Refusal> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let seen = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|_| values.next().is_none());
    let wrong =
        || Refusal::invalid(vec![FieldError::new("Last-Event-ID", "must be the id of an event of this stream, once: a whole number")]);
    seen.map(Some).ok_or_else(wrong)
}

/// One open stream. It is asked for more only while its client takes what is sent.
struct Live {
    follower: Follower,
    until: Instant,
    shutdown: CancellationToken,
    /// What is sent before all else.
    hello: Option<Bytes>,
    _counted: Counted,
}

impl Live {
    fn open(id: BookingId, follower: Follower, shutdown: CancellationToken) -> Self {
        let hello = Some(format!("retry: {}\n\n", come_again_after(id).as_millis()).into());
        Self { follower, until: Instant::now() + LONGEST, shutdown, hello, _counted: Counted::new() }
    }

    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(hello) = self.hello.take() {
            return Some((Ok(hello), self));
        }
        let quiet_until = self.until.min(Instant::now() + HEARTBEAT);
        let sent = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return None,
            entries = self.follower.next() => written(&entries?),
            () = sleep_until(quiet_until) => {
                if quiet_until >= self.until {
                    return None;
                }
                Bytes::from_static(b": nothing new\n\n")
            }
        };
        Some((Ok(sent), self))
    }
}

/// From 1 to 3 s, by the booking: so that not everybody comes at once to a server that was started anew.
fn come_again_after(id: BookingId) -> Duration {
    Duration::from_millis(
        1_000 + u64::from(id.to_string().bytes().fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 2_000),
    )
}

/// Entries as events. None of what is written can hold a line break: JSON escapes them.
fn written(entries: &[Entry]) -> Bytes {
    let mut text = Vec::with_capacity(entries.len() * 192);
    for entry in entries {
        text.extend_from_slice(format!("id: {}\nevent: {}\ndata: ", entry.seq, entry.kind).as_bytes());
        serde_json::to_writer(&mut text, &TimelineEvent::from(entry))
            .expect("events are made of strings and numbers, which always serialise");
        text.extend_from_slice(b"\n\n");
    }
    text.into()
}

/// Counts open streams.
struct Counted;

impl Counted {
    fn new() -> Self {
        gauge!("clinic_event_streams").increment(1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!("clinic_event_streams").decrement(1);
    }
}
