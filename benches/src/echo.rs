//! The limit: a bare axum server that decodes the request and encodes an answer of the same types, and does nothing else.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use clinic_core::{
    api::{BookRequest, BookingPage, BookingView, Health, HealthStatus},
    booking::{Booking, Language},
    id::BookingId,
    request::{self, Defaults},
};
use tokio::time::sleep;

/// A router whose `POST /book` answers with what it was sent, so much later. It is always well, and keeps no booking.
pub fn router(now: DateTime<Utc>, latency: Duration) -> Router {
    let health = || async { Json(Health::new(HealthStatus::Ok, "ok".into(), "ok".into())) };
    let list = || async { Json(BookingPage::new(Vec::new(), None)) };
    Router::new().route("/book", post(echo)).route("/health", get(health)).route("/bookings", get(list)).with_state((blank(now), latency))
}

async fn echo(
    State((mut view, latency)): State<(BookingView, Duration)>,
    Json(request): Json<BookRequest>,
) -> (StatusCode, Json<BookingView>) {
    if !latency.is_zero() {
        sleep(latency).await;
    }
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
    BookingView::new(&Booking::accepted(BookingId::generate(), appointment, now, Duration::from_secs(86_400), None), &[])
}
