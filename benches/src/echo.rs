//! The limit: a bare axum server that decodes the request and encodes an answer of the same types, and does nothing else.

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use chrono::{DateTime, Utc};
use clinic_core::{
    api::{BookRequest, BookingView},
    booking::{Booking, Language},
    id::BookingId,
    request::{self, Defaults},
};

/// A router whose `POST /book` answers with what it was sent.
pub fn router(now: DateTime<Utc>) -> Router {
    Router::new().route("/book", post(echo)).with_state(blank(now))
}

async fn echo(State(mut view): State<BookingView>, Json(request): Json<BookRequest>) -> (StatusCode, Json<BookingView>) {
    view.id = BookingId::generate().uuid();
    view.patient_id = request.patient_id;
    view.doctor_id = request.doctor_id;
    (StatusCode::ACCEPTED, Json(view))
}

/// An answer as the clinic's are: the echo spends no time on working its fields out.
fn blank(now: DateTime<Utc>) -> BookingView {
    let tomorrow = (now + chrono::Days::new(1)).to_rfc3339();
    let request = BookRequest { patient_id: Some("P".into()), datetime: Some(tomorrow), ..BookRequest::default() };
    let appointment = request::parse(&request, Defaults::new(chrono_tz::UTC, Language::Spanish)).expect("the request above is valid");
    BookingView::new(&Booking::accepted(BookingId::generate(), appointment, now, std::time::Duration::from_secs(86_400), None), &[])
}
