//! `GET /bookings`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use chrono_tz::Tz;
use clinic_core::{
    api::{BookingPage, BookingView},
    booking::Status,
    page::{Cursor, DEFAULT_LIMIT, Filter, MAX_LIMIT},
    request, slot,
};
use http::{StatusCode, Uri};

use super::{App, answer::json, query::Query, refusal::Refusal};

const PARAMETERS: [&str; 7] = ["doctor_id", "patient_id", "status", "from", "to", "limit", "cursor"];

/// List bookings
///
/// In the order of (`datetime`, `id`), those for which every given filter holds.
#[utoipa::path(
    get, path = "/bookings", operation_id = "bookings", tag = "bookings",
    params(
        ("doctor_id" = Option<String>, Query, description = "of this doctor"),
        ("patient_id" = Option<String>, Query, description = "of this patient"),
        ("status" = Option<Status>, Query, description = "in this status"),
        ("from" = Option<String>, Query, description = "starting at or after: RFC 3339, or without offset in the clinic's time zone"),
        ("to" = Option<String>, Query, description = "starting before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "at most so many; 50 when not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "a page of bookings", body = BookingPage)),
)]
pub(super) async fn bookings(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Refusal> {
    let filter = filter(&uri, app.reception.settings().defaults.timezone)?;
    let records = app.reception.list(&filter).await?;
    // A page that is full may be the last: the next one is then empty and says so.
    let full = records.len() >= filter.limit as usize;
    let next = records.last().filter(|_| full).map(|record| Cursor::after(&record.booking).encode());
    let items = records.iter().map(|record| BookingView::new(&record.booking, &record.notices)).collect();
    Ok(json(StatusCode::OK, &BookingPage::new(items, next)))
}

fn filter(uri: &Uri, zone: Tz) -> Result<Filter, Refusal> {
    let mut query = Query::new(uri, &PARAMETERS);
    let mut filter = Filter::default();
    filter.doctor_id = query.get("doctor_id", |id| request::id(id).map_err(str::to_owned));
    filter.patient_id = query.get("patient_id", |id| request::id(id).map_err(str::to_owned));
    filter.status = query.get("status", |code| Status::parse(code).ok_or_else(statuses));
    // An unescaped + of an offset arrives as a space.
    let time =
        |text: &str| slot::parse_time(text, zone).or_else(|error| slot::parse_time(&text.replace(' ', "+"), zone).map_err(|_| error));
    filter.from = query.get("from", |text| time(text).map_err(|error| error.to_string()));
    filter.to = query.get("to", |text| time(text).map_err(|error| error.to_string()));
    if matches!((filter.from, filter.to), (Some(from), Some(to)) if from >= to) {
        query.refuse("to", "must be later than from");
    }
    let in_bounds = |limit: &u32| (1..=MAX_LIMIT).contains(limit);
    let limit = |text: &str| text.parse().ok().filter(in_bounds).ok_or_else(|| format!("must be a whole number from 1 to {MAX_LIMIT}"));
    filter.limit = query.get("limit", limit).unwrap_or(DEFAULT_LIMIT);
    filter.after = query.get("cursor", |text| Cursor::decode(text).ok_or_else(|| "must be a next_cursor of an earlier page".to_owned()));
    query.finish(filter)
}

fn statuses() -> String {
    let all: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
    format!("must be one of {}", all.join(", "))
}
