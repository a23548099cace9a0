//! `/dead-letters`: the desk.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use chrono_tz::Tz;
use clinic_core::{
    api::{DeadLetterPage, DeadLetterView, PoisonView, ReplayView},
    dead_letter::{DeadLetterId, DeadLetterKind, LetterCursor, LetterFilter},
    page::{DEFAULT_LIMIT, MAX_LIMIT},
    slot,
};
use http::{StatusCode, Uri};

use super::{App, answer::json, id::Id, query::Query, refusal::Refusal};

const PARAMETERS: [&str; 7] = ["code", "kind", "older_than", "newer_than", "replayed", "limit", "cursor"];
/// The longest code that is looked for.
const LONGEST_CODE: usize = 64;

/// List dead letters
///
/// What failed for good, oldest first, those for which every given filter holds; beside the first page, poison: messages that nobody
/// could understand.
#[utoipa::path(
    get, path = "/dead-letters", operation_id = "deadLetters", tag = "dead letters",
    params(
        ("code" = Option<String>, Query, description = "that failed with this code"),
        ("kind" = Option<DeadLetterKind>, Query, description = "of this kind"),
        ("older_than" = Option<String>, Query, description = "failed before: RFC 3339, or without offset in the clinic's time zone"),
        ("newer_than" = Option<String>, Query, description = "failed then or later"),
        ("replayed" = Option<bool>, Query, description = "replayed, or not"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "at most so many; 50 when not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "a page of dead letters", body = DeadLetterPage)),
)]
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Refusal> {
    let filter = filter(&uri, app.reception.settings().defaults.timezone)?;
    let letters = app.reception.dead_letters(&filter).await?;
    // A page that is full may be the last: the next one is then empty and says so.
    let full = letters.len() >= filter.limit as usize;
    let next = letters.last().filter(|_| full).map(|letter| LetterCursor::after(letter).encode());
    let mut page = DeadLetterPage::new(letters.iter().map(DeadLetterView::from).collect(), next);
    if filter.after.is_none() {
        page.poison = app.reception.poison().await.map(|poison| poison.iter().map(PoisonView::from).collect());
    }
    Ok(json(StatusCode::OK, &page))
}

/// Show a dead letter
#[utoipa::path(
    get, path = "/dead-letters/{id}", operation_id = "deadLetter", tag = "dead letters",
    params(("id" = i64, Path, description = "the letter's id")),
    responses((status = 200, description = "the letter", body = DeadLetterView)),
)]
pub(super) async fn one(State(app): State<Arc<App>>, Id(id): Id<DeadLetterId>, uri: Uri) -> Result<Response, Refusal> {
    Query::none(&uri)?;
    let letter = app.reception.dead_letter(id).await?.ok_or_else(Refusal::no_letter)?;
    Ok(json(StatusCode::OK, &DeadLetterView::from(&letter)))
}

/// Replay a dead letter
///
/// Once. A decision is never taken back: a new booking is made for the same visit, which takes its slot anew, whatever number of
/// undecided bookings the patient has. A notice is sent again under its own id. With `dry_run` nothing is changed and the answer is the
/// one that a replay would get now.
#[utoipa::path(
    post, path = "/dead-letters/{id}/replay", operation_id = "replay", tag = "dead letters",
    params(
        ("id" = i64, Path, description = "the letter's id"),
        ("dry_run" = Option<bool>, Query, description = "only say what would come of it"),
    ),
    responses((status = 200, description = "replayed, or could be", body = ReplayView)),
)]
pub(super) async fn replay(State(app): State<Arc<App>>, Id(id): Id<DeadLetterId>, uri: Uri) -> Result<Response, Refusal> {
    let mut query = Query::new(&uri, &["dry_run"]);
    let dry_run = query.get("dry_run", boolean).unwrap_or(false);
    let dry_run = query.finish(dry_run)?;
    let letter = if dry_run { app.reception.try_replay(id).await? } else { app.reception.replay(id).await? };
    Ok(json(StatusCode::OK, &ReplayView::new(dry_run, DeadLetterView::from(&letter))))
}

fn filter(uri: &Uri, zone: Tz) -> Result<LetterFilter, Refusal> {
    let mut query = Query::new(uri, &PARAMETERS);
    let mut filter = LetterFilter::default();
    filter.code = query.get("code", |code| {
        let ours = !code.is_empty() && code.len() <= LONGEST_CODE && code.bytes().all(|byte| byte.is_ascii_graphic());
        ours.then(|| code.to_owned()).ok_or_else(|| "must be a code of 1 to 64 characters".to_owned())
    });
    filter.kind = query.get("kind", |code| DeadLetterKind::parse(code).ok_or_else(kinds));
    // An unescaped + of an offset arrives as a space.
    let time =
        |text: &str| slot::parse_time(text, zone).or_else(|error| slot::parse_time(&text.replace(' ', "+"), zone).map_err(|_| error));
    filter.before = query.get("older_than", |text| time(text).map_err(|error| error.to_string()));
    filter.since = query.get("newer_than", |text| time(text).map_err(|error| error.to_string()));
    filter.replayed = query.get("replayed", boolean);
    let in_bounds = |limit: &u32| (1..=MAX_LIMIT).contains(limit);
    let limit = |text: &str| text.parse().ok().filter(in_bounds).ok_or_else(|| format!("must be a whole number from 1 to {MAX_LIMIT}"));
    filter.limit = query.get("limit", limit).unwrap_or(DEFAULT_LIMIT);
    filter.after =
        query.get("cursor", |text| LetterCursor::decode(text).ok_or_else(|| "must be a next_cursor of an earlier page".to_owned()));
    query.finish(filter)
}

fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

fn kinds() -> String {
    let all: Vec<_> = DeadLetterKind::ALL.iter().map(|kind| kind.as_str()).collect();
    format!("must be one of {}", all.join(", "))
}
