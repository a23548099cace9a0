//! The API, route by route, as its contract says.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use clinic_core::{
    api::{
        About, Alive, BadBody, BookRequest, BookingPage, BookingView, DeadLetterPage, DeadLetterView, Health, HealthStatus, ProblemCode,
        ReplayView, TimelineEvent, TimelineView,
    },
    booking::{Language, Status},
    dead_letter::{DeadLetterId, DeadLetterKind, LetterCursor, LetterFilter},
    id::BookingId,
    page::{Cursor, DEFAULT_LIMIT, Filter, MAX_LIMIT},
    request::{self, Defaults, IdempotencyKey},
    timeline::Entry,
};
use futures_util::{StreamExt, stream};
use hyper::{
    HeaderMap, Method, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, LOCATION},
};
use tokio::time::{Instant, timeout_at};

use super::{
    ZONE,
    answer::{Answer, Body},
    query::Query,
    state::State,
    ward::{Refused, now},
    webhooks,
};

/// The largest body that is read.
pub(super) const MAX_BODY: usize = 64 * 1024;
const HORIZON: Duration = Duration::from_secs(365 * 86_400);
const MAX_WAIT: u32 = 60;
/// How long a stream of events lasts at most.
const LONGEST: Duration = Duration::from_secs(60);

/// A request, read to its end; without a body when that is too large.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// Whose key it came with.
    pub(super) caller: String,
}

impl From<Refused> for Answer {
    fn from((code, detail): Refused) -> Self {
        Self::problem(code, &detail)
    }
}

impl From<BadBody> for Answer {
    fn from(bad: BadBody) -> Self {
        match bad {
            BadBody::Fields(errors) => Self::invalid(errors),
            BadBody::Syntax(text) => Self::problem(ProblemCode::BadRequest, &text),
            _ => Self::problem(ProblemCode::BadRequest, "the body is no request"),
        }
    }
}

/// Answers a request.
pub(super) async fn answer(state: &Arc<State>, request: &Request) -> Answer {
    let path: Vec<_> = request.path.split('/').skip(1).collect();
    let allow = match path[..] {
        ["book"] | ["dead-letters", _, "replay"] | ["webhooks", _, "test" | "enable" | "secret"] => "POST",
        ["webhooks"] => "GET,HEAD,POST",
        ["booking" | "webhooks", _] => "GET,HEAD,DELETE",
        ["" | "bookings" | "dead-letters" | "health" | "metrics"]
        | ["booking", _, "timeline" | "events"]
        | ["dead-letters", _]
        | ["health", "live" | "ready"] => "GET,HEAD",
        _ => return Answer::problem(ProblemCode::NotFound, "there is no such route"),
    };
    let method = &request.method;
    let is_allowed = allow.split(',').any(|allowed| allowed == method.as_str());
    if method == Method::OPTIONS {
        return Answer::empty(StatusCode::NO_CONTENT).header(ALLOW, allow);
    }
    if !is_allowed {
        return Answer::problem(ProblemCode::MethodNotAllowed, "this route has no such method: see the Allow header").header(ALLOW, allow);
    }
    let mut answer = routed(state, request, &path).await.unwrap_or_else(|refusal| refusal);
    if method == Method::HEAD {
        answer.body = Body::Whole(Bytes::new());
    }
    answer
}

async fn routed(state: &Arc<State>, request: &Request, path: &[&str]) -> Result<Answer, Answer> {
    match *path {
        ["book"] => book(state, request),
        ["booking", id] if request.method == Method::DELETE => cancel(state, request, id),
        ["booking", id] => booking(state, request, id).await,
        ["booking", id, "timeline"] => timeline(state, request, id),
        ["booking", id, _] => events(state, request, id),
        ["bookings"] => bookings(state, request),
        ["dead-letters"] => letters(state, request),
        ["dead-letters", id] => letter(state, request, id),
        ["dead-letters", id, _] => replay(state, request, id),
        ["webhooks", ..] => webhooks::answer(state, request, path),
        ["health"] | ["health", "ready"] => Ok(Answer::ok(&Health::new(HealthStatus::Ok, "ok".into(), "ok".into()))),
        ["health", _] => Ok(Answer::ok(&Alive::new())),
        ["metrics"] => Err(Answer::problem(ProblemCode::NotFound, "this process records no metrics")),
        _ => Ok(Answer::ok(&About::new(env!("CARGO_PKG_VERSION"), &[("book", "POST /book"), ("bookings", "/bookings")]))),
    }
}

fn book(state: &State, request: &Request) -> Result<Answer, Answer> {
    Query::none(request.query.as_deref())?;
    expect_json(&request.headers)?;
    let mut keys = request.headers.get_all("idempotency-key").iter();
    let key = match (keys.next(), keys.next()) {
        (Some(_), Some(_)) => return Err(Answer::wrong("Idempotency-Key", "is given twice: send one key")),
        (Some(key), None) => Some(key.to_str().map_err(|_| Answer::wrong("Idempotency-Key", "must be visible ASCII characters"))?),
        (None, _) => None,
    };
    let body = BookRequest::from_json(body(request)?)?;
    let appointment = request::parse(&body, Defaults::new(ZONE, Language::Spanish)).map_err(Answer::invalid)?;
    let key = key.map(|key| IdempotencyKey::parse(&request.caller, key, &appointment)).transpose();
    let key = key.map_err(|error| Answer::invalid(vec![error]))?;

    let mut ward = state.ward();
    if let Some(booking) = key.as_ref().map_or(Ok(None), |key| ward.keyed(key))? {
        let answer = Answer::json(StatusCode::ACCEPTED, &BookingView::new(&booking, &[]));
        let replayed = HeaderName::from_static("idempotency-replayed");
        return Ok(answer.header(LOCATION, &format!("/booking/{}", booking.id)).header(replayed, "true"));
    }
    request::check_time(&appointment.slot, now(), HORIZON).map_err(|mut error| {
        if body.time_slot.is_some() {
            error.field = "time_slot".into();
        }
        Answer::invalid(vec![error])
    })?;
    let booking = ward.accept(appointment, key, None)?;
    let view = BookingView::new(&booking, &[]);
    state.decide_new(&mut ward, booking.id);
    Ok(Answer::json(StatusCode::ACCEPTED, &view).header(LOCATION, &format!("/booking/{}", booking.id)))
}

/// The body, unless it was too large.
pub(super) fn body(request: &Request) -> Result<&Bytes, Answer> {
    request.body.as_ref().ok_or_else(|| Answer::problem(ProblemCode::BodyTooLarge, "the body is larger than 64 KiB"))
}

/// `application/json` or `application/...+json`, with any parameters, and no content coding.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Answer> {
    let refuse = |detail| Err(Answer::problem(ProblemCode::UnsupportedMediaType, detail));
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let subtype = given.split(';').next().unwrap_or_default().trim().strip_prefix("application/").unwrap_or_default();
    if subtype != "json" && subtype.strip_suffix("+json").is_none_or(str::is_empty) {
        return refuse("send the body with Content-Type: application/json");
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return refuse("send the body as it is, without Content-Encoding");
    }
    Ok(())
}

fn no_booking() -> Answer {
    Answer::problem(ProblemCode::NotFound, "there is no booking with this id")
}

fn booking_id(text: &str) -> Result<BookingId, Answer> {
    text.parse().map_err(|_| no_booking())
}

async fn booking(state: &State, request: &Request, id: &str) -> Result<Answer, Answer> {
    let id = booking_id(id)?;
    let mut query = Query::new(request.query.as_deref(), &["wait"]);
    let wait = query.number("wait", 0..=MAX_WAIT);
    let until = Instant::now() + Duration::from_secs(query.finish(wait)?.unwrap_or(0).into());
    let mut changes = state.changes();
    loop {
        changes.mark_unchanged();
        let booking = state.ward().find(id).ok_or_else(no_booking)?.booking.clone();
        let is_answer = booking.status != Status::Pending || Instant::now() >= until;
        if is_answer || timeout_at(until, changes.changed()).await.is_ok_and(|changed| changed.is_err()) {
            return Ok(Answer::ok(&BookingView::new(&booking, &[])));
        }
    }
}

fn cancel(state: &State, request: &Request, id: &str) -> Result<Answer, Answer> {
    let id = booking_id(id)?;
    Query::none(request.query.as_deref())?;
    let booking = state.change(|ward| ward.cancel(id))?;
    Ok(Answer::ok(&BookingView::new(&booking, &[])))
}

fn timeline(state: &State, request: &Request, id: &str) -> Result<Answer, Answer> {
    let id = booking_id(id)?;
    Query::none(request.query.as_deref())?;
    let ward = state.ward();
    Ok(Answer::ok(&TimelineView::new(&ward.find(id).ok_or_else(no_booking)?.entries)))
}

fn events(state: &Arc<State>, request: &Request, id: &str) -> Result<Answer, Answer> {
    let id = booking_id(id)?;
    Query::none(request.query.as_deref())?;
    let mut given = request.headers.get_all("last-event-id").iter();
    let wrong = || Answer::wrong("Last-Event-ID", "must be the id of an event of this stream, once: a whole number");
    let seen = match (given.next(), given.next()) {
        (None, _) => None,
        (Some(seen), None) => Some(seen.to_str().ok().and_then(|text| text.parse::<u32>().ok()).ok_or_else(wrong)?),
        (Some(_), Some(_)) => return Err(wrong()),
    };
    let ward = state.ward();
    let kept = ward.find(id).ok_or_else(no_booking)?;
    let last = kept.entries.last().map_or(0, |entry| entry.seq);
    if kept.is_over() && seen.is_some_and(|seen| seen >= last) {
        return Ok(Answer::empty(StatusCode::NO_CONTENT).header(CACHE_CONTROL, "no-store"));
    }
    let hello = stream::once(std::future::ready(Ok(Bytes::from_static(b"retry: 100\n\n"))));
    let live = hello.chain(follow(Arc::clone(state), id, seen.unwrap_or(0))).boxed();
    let answer = Answer::new(StatusCode::OK, Body::Live(live)).header(CONTENT_TYPE, "text/event-stream");
    Ok(answer.header(CACHE_CONTROL, "no-store").header(HeaderName::from_static("x-accel-buffering"), "no"))
}

/// The entries after one, as they come, until the booking is decided.
fn follow(state: Arc<State>, id: BookingId, seen: u32) -> impl stream::Stream<Item = Result<Bytes, Infallible>> + Send {
    let (changes, until) = (state.changes(), Instant::now() + LONGEST);
    stream::unfold((state, changes, Some(seen)), move |(state, mut changes, seen)| async move {
        let seen = seen?;
        loop {
            changes.mark_unchanged();
            let (entries, is_over) = {
                let ward = state.ward();
                let kept = ward.find(id)?;
                let new: Vec<_> = kept.entries.iter().filter(|entry| entry.seq > seen).cloned().collect();
                (new, kept.is_over())
            };
            if let Some(last) = entries.last().map(|entry| entry.seq) {
                return Some((Ok(written(&entries)), (state, changes, (!is_over).then_some(last))));
            }
            let changed = timeout_at(until, changes.changed()).await;
            if is_over || !matches!(changed, Ok(Ok(()))) {
                return None;
            }
        }
    })
}

fn written(entries: &[Entry]) -> Bytes {
    let event = |entry: &Entry| {
        let data = serde_json::to_string(&TimelineEvent::from(entry)).expect("an entry is strings and numbers, which always serialise");
        format!("id: {}\nevent: {}\ndata: {data}\n\n", entry.seq, entry.kind)
    };
    entries.iter().map(event).collect::<String>().into()
}

fn bookings(state: &State, request: &Request) -> Result<Answer, Answer> {
    let known = ["doctor_id", "patient_id", "status", "from", "to", "limit", "cursor"];
    let mut query = Query::new(request.query.as_deref(), &known);
    let mut filter = Filter::default();
    filter.doctor_id = query.get("doctor_id", |id| request::id(id).ok(), "must be an id");
    filter.patient_id = query.get("patient_id", |id| request::id(id).ok(), "must be an id");
    filter.status = query.get("status", Status::parse, "must be a status");
    (filter.from, filter.to) = (query.time("from"), query.time("to"));
    if matches!((filter.from, filter.to), (Some(from), Some(to)) if from >= to) {
        query.refuse("to", "must be later than from");
    }
    filter.limit = query.number("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
    filter.after = query.get("cursor", Cursor::decode, "must be a next_cursor of an earlier page");
    let filter = query.finish(filter)?;
    let found = state.ward().list(&filter);
    let next = found.last().filter(|_| found.len() >= filter.limit as usize).map(|booking| Cursor::after(booking).encode());
    Ok(Answer::ok(&BookingPage::new(found.iter().map(|booking| BookingView::new(booking, &[])).collect(), next)))
}

fn letters(state: &State, request: &Request) -> Result<Answer, Answer> {
    let known = ["code", "kind", "older_than", "newer_than", "replayed", "limit", "cursor"];
    let mut query = Query::new(request.query.as_deref(), &known);
    let mut filter = LetterFilter::default();
    let code = |code: &str| {
        Some(code.to_owned()).filter(|code| (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic()))
    };
    filter.code = query.get("code", code, "must be a code of 1 to 64 characters");
    filter.kind = query.get("kind", DeadLetterKind::parse, "must be a kind");
    (filter.before, filter.since) = (query.time("older_than"), query.time("newer_than"));
    filter.replayed = query.boolean("replayed");
    filter.limit = query.number("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
    filter.after = query.get("cursor", LetterCursor::decode, "must be a next_cursor of an earlier page");
    let filter = query.finish(filter)?;
    let found = state.ward().letters(&filter);
    let next = found.last().filter(|_| found.len() >= filter.limit as usize).map(|letter| LetterCursor::after(letter).encode());
    let mut page = DeadLetterPage::new(found.iter().map(DeadLetterView::from).collect(), next);
    // No broker, no poison, which the first page says.
    page.poison = filter.after.is_none().then(Vec::new);
    Ok(Answer::ok(&page))
}

fn letter_id(text: &str) -> Result<DeadLetterId, Answer> {
    text.parse().map_err(|_| Answer::problem(ProblemCode::NotFound, "there is no dead letter with this id"))
}

fn letter(state: &State, request: &Request, id: &str) -> Result<Answer, Answer> {
    let id = letter_id(id)?;
    Query::none(request.query.as_deref())?;
    Ok(Answer::ok(&DeadLetterView::from(&state.ward().letter(id)?)))
}

fn replay(state: &State, request: &Request, id: &str) -> Result<Answer, Answer> {
    let id = letter_id(id)?;
    let mut query = Query::new(request.query.as_deref(), &["dry_run"]);
    let dry_run = query.boolean("dry_run").unwrap_or(false);
    let dry_run = query.finish(dry_run)?;
    let letter = state.change(|ward| {
        let (letter, booking) = ward.replay(id, dry_run)?;
        if let Some(booking) = booking {
            state.decide_new(ward, booking);
        }
        Ok::<_, Refused>(letter)
    })?;
    Ok(Answer::ok(&ReplayView::new(dry_run, DeadLetterView::from(&letter))))
}
