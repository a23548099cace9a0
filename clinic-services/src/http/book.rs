//! `POST /book`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use clinic_core::api::{BookRequest, BookingView, FieldError};
use http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION};

use super::{App, Caller, answer::json, body, query::Query, refusal::Refusal};

/// Accept an appointment request
///
/// Answers at once with the booking as `pending`; it is decided later. The answer is sent only after the booking is committed
/// and synced to disk. With an `Idempotency-Key` a repeated request gets the first answer again.
#[utoipa::path(
    post, path = "/book", operation_id = "book", tag = "bookings",
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters; kept as long as its booking, scoped to the caller")),
    request_body(content = BookRequest, content_type = "application/json"),
    responses((status = 202, description = "accepted: pending", body = BookingView, headers(
        ("Location" = String, description = "where the booking is"),
        ("Idempotency-Replayed" = Option<String>, description = "`true` when an earlier request with the same key made the booking"),
    ))),
)]
pub(super) async fn book(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    Query::none(&parts.uri)?;
    body::expect_json(&parts.headers)?;
    let key = idempotency_key(&parts.headers)?;
    let request = BookRequest::from_json(&body::read(&parts.headers, body).await?)?;
    let caller = parts.extensions.get::<Caller>().map_or("", |caller| &caller.0);
    let booked = app.reception.book_keyed(&request, caller, key).await?;

    let mut response = json(StatusCode::ACCEPTED, &BookingView::new(&booked.booking, &[]));
    let location = format!("/booking/{}", booked.booking.id);
    let location = HeaderValue::try_from(location).expect("an id is letters, digits and hyphens");
    response.headers_mut().insert(LOCATION, location);
    if booked.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let wrong = |message| Refusal::invalid(vec![FieldError::new("Idempotency-Key", message)]);
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => key.to_str().map(Some).map_err(|_| wrong("must be 1 to 255 visible ASCII characters")),
        (Some(_), Some(_)) => Err(wrong("is given twice: send one key")),
    }
}
