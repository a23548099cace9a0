//! `/booking/{id}`: one booking, its timeline, its cancellation.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use clinic_core::{
    api::{BookingView, TimelineView},
    id::BookingId,
};
use http::{StatusCode, Uri};

use super::{App, answer::json, id::Id, query::Query, refusal::Refusal};

/// The longest wait for a decision, in seconds.
const MAX_WAIT: u64 = 60;

/// Show a booking
///
/// With `wait` the answer comes once the booking is decided or cancelled, or, still pending, when the time is over.
#[utoipa::path(
    get, path = "/booking/{id}", operation_id = "booking", tag = "bookings",
    params(
        ("id" = String, Path, format = Uuid, description = "the booking's id"),
        ("wait" = Option<u64>, Query, minimum = 0, maximum = 60, description = "seconds to wait for a decision"),
    ),
    responses((status = 200, description = "the booking as it stands", body = BookingView)),
)]
pub(super) async fn booking(State(app): State<Arc<App>>, Id(id): Id<BookingId>, uri: Uri) -> Result<Response, Refusal> {
    let mut query = Query::new(&uri, &["wait"]);
    let wait = query.get("wait", |text| {
        text.parse().ok().filter(|wait| *wait <= MAX_WAIT).ok_or_else(|| "must be a whole number of seconds from 0 to 60".to_owned())
    });
    let wait = query.finish(Duration::from_secs(wait.unwrap_or(0)))?;

    let record = if wait.is_zero() {
        app.reception.find(id).await?
    } else {
        tokio::select! {
            found = app.reception.find_decided(id, wait) => found?,
            () = app.shutdown.cancelled() => app.reception.find(id).await?,
        }
    };
    let record = record.ok_or_else(Refusal::no_booking)?;
    Ok(json(StatusCode::OK, &BookingView::new(&record.booking, &record.notices)))
}

/// Show what happened to a booking
///
/// Everything, oldest first: its acceptance, each attempt, losses, the decision and its reason, each notice.
#[utoipa::path(
    get, path = "/booking/{id}/timeline", operation_id = "timeline", tag = "bookings",
    params(("id" = String, Path, format = Uuid, description = "the booking's id")),
    responses((status = 200, description = "its timeline", body = TimelineView)),
)]
pub(super) async fn timeline(State(app): State<Arc<App>>, Id(id): Id<BookingId>, uri: Uri) -> Result<Response, Refusal> {
    Query::none(&uri)?;
    let entries = app.reception.timeline(id).await?.ok_or_else(Refusal::no_booking)?;
    Ok(json(StatusCode::OK, &TimelineView::new(&entries)))
}

/// Cancel a booking
///
/// Its slot is free again and the patient is told. Cancelling again changes nothing and answers the same.
#[utoipa::path(
    delete, path = "/booking/{id}", operation_id = "cancel", tag = "bookings",
    params(("id" = String, Path, format = Uuid, description = "the booking's id")),
    responses((status = 200, description = "cancelled, now or before", body = BookingView)),
)]
pub(super) async fn cancel(State(app): State<Arc<App>>, Id(id): Id<BookingId>, uri: Uri) -> Result<Response, Refusal> {
    Query::none(&uri)?;
    let booking = app.reception.cancel(id).await?;
    // The cancellation stands whether or not its notices can be read just now.
    let notices = app.reception.find(id).await.ok().flatten().map_or_else(Vec::new, |record| record.notices);
    Ok(json(StatusCode::OK, &BookingView::new(&booking, &notices)))
}
