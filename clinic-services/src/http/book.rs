//! `POST /book`.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use clinic_core::api::{BadBody, BookRequest, BookingView, FieldError, ProblemCode};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{App, Caller, answer::json, query::Query, refusal::Refusal};

/// The largest body that is read.
pub const MAX_BODY: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// How much of a body that is too large is read, in bytes and in time, so that its sender hears why it is refused.
const PASSED_OVER: usize = 1024 * 1024;
const PASSED_OVER_WITHIN: Duration = Duration::from_secs(1);

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
    expect_json(&parts.headers)?;
    let key = idempotency_key(&parts.headers)?;
    let body = read(&parts.headers, body).await?;
    let request = BookRequest::from_json(&body).map_err(|bad| match bad {
        BadBody::Fields(errors) => Refusal::invalid(errors),
        BadBody::Syntax(text) => Refusal::new(ProblemCode::BadRequest, &text),
        _ => Refusal::new(ProblemCode::BadRequest, "the body is no booking request"),
    })?;
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

/// `application/json` or `application/...+json`, with any parameters, and no content coding.
fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map_or("", |value| {
        let essence = value.split_once(';').map_or(value, |(essence, _)| essence);
        essence.trim()
    });
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || essence.get(..12).is_some_and(|start| start.eq_ignore_ascii_case("application/"))
            && essence.len() > 17
            && essence.get(essence.len() - 5..).is_some_and(|end| end.eq_ignore_ascii_case("+json"));
    if !is_json {
        return Err(Refusal::new(ProblemCode::UnsupportedMediaType, "send the body with Content-Type: application/json"));
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::new(ProblemCode::UnsupportedMediaType, "send the body as it is, without Content-Encoding"));
    }
    Ok(())
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

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(ProblemCode::BodyTooLarge, "the body is larger than 64 KiB");
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        pass_over(body).await;
        return Err(too_large());
    }
    // A body that is already there costs no timer: the time-out registers one only once it has to wait.
    match tokio::time::timeout(BODY_WITHIN, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(ProblemCode::BadRequest, "the body ended before it was whole")),
        Err(_) => Err(Refusal::new(ProblemCode::BadRequest, "the body did not arrive within 10 seconds")),
    }
}

/// Reads what a client insists on sending, up to a bound: a connection closed on unread bytes is reset, and the reset may
/// overtake the answer.
async fn pass_over(mut body: Body) {
    let mut left = PASSED_OVER;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(PASSED_OVER_WITHIN, reading).await;
}
