//! Bookings and their notices as answers show them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Code, utc};
use crate::{
    booking::{Booking, Language, Status},
    decision::Reason,
    id::{BookingId, EndpointId},
    notification::{self, EventKind, NoticeRecord, NoticeState},
    webhook,
};

/// A booking, as every answer shows it. Times are UTC.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct BookingView {
    /// Its id.
    pub id: Uuid,
    /// Where it stands.
    #[cfg_attr(feature = "openapi", schema(value_type = Status))]
    pub status: Code<Status>,
    /// Why it was rejected.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Reason>))]
    pub reason: Option<Code<Reason>>,
    /// The status, said to a person in the booking's language.
    pub message: String,
    /// The clinic's id of the patient.
    pub patient_id: Option<String>,
    /// The patient's name.
    pub patient_name: Option<String>,
    /// The doctor.
    pub doctor_id: Option<String>,
    /// When the visit starts.
    #[serde(with = "utc")]
    pub datetime: DateTime<Utc>,
    /// When it ends.
    #[serde(with = "utc")]
    pub end: DateTime<Utc>,
    /// Its length.
    pub duration_minutes: u16,
    /// The clinic's time zone, an IANA name.
    pub timezone: String,
    /// The language the patient is told in.
    #[cfg_attr(feature = "openapi", schema(value_type = Language))]
    pub language: Code<Language>,
    /// Attempts spent on deciding.
    pub attempts: u32,
    /// When it was accepted.
    #[serde(with = "utc")]
    pub created_at: DateTime<Utc>,
    /// When it must be decided at the latest.
    #[serde(with = "utc")]
    pub decide_by: DateTime<Utc>,
    /// When it was decided.
    #[serde(with = "utc::option")]
    pub decided_at: Option<DateTime<Utc>>,
    /// The booking that this one tries again.
    pub replay_of: Option<Uuid>,
    /// The booking that tries this one again.
    pub replayed_as: Option<Uuid>,
    /// What the patient is told, and how it stands.
    pub notices: Vec<NoticeView>,
}

impl BookingView {
    /// A booking and its notices.
    #[must_use]
    pub fn new(booking: &Booking, notices: &[NoticeRecord]) -> Self {
        let appointment = &booking.appointment;
        Self {
            id: booking.id.uuid(),
            status: booking.status.into(),
            reason: booking.reason.map(Code::from),
            message: notification::status_text(booking.status, booking.reason, appointment),
            patient_id: appointment.patient_id.clone(),
            patient_name: appointment.patient_name.clone(),
            doctor_id: appointment.doctor_id.clone(),
            datetime: appointment.slot.start(),
            end: appointment.slot.end(),
            duration_minutes: appointment.slot.minutes(),
            timezone: appointment.timezone.to_string(),
            language: appointment.language.into(),
            attempts: booking.attempts,
            created_at: booking.created_at,
            decide_by: booking.decide_by,
            decided_at: booking.decided_at,
            replay_of: booking.replay_of.map(BookingId::uuid),
            replayed_as: booking.replayed_as.map(BookingId::uuid),
            notices: notices.iter().map(NoticeView::from).collect(),
        }
    }
}

impl std::fmt::Debug for BookingView {
    /// Shows no patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BookingView")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// How one notice stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct NoticeView {
    /// Its stable id.
    pub id: Uuid,
    /// What it tells.
    #[cfg_attr(feature = "openapi", schema(value_type = EventKind))]
    pub event: Code<EventKind>,
    /// Where.
    pub channel: String,
    /// Of a webhook, the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Uuid>,
    /// How it stands.
    #[cfg_attr(feature = "openapi", schema(value_type = NoticeState))]
    pub state: Code<NoticeState>,
    /// Tries made.
    pub tries: u32,
    /// The last failure's or the skip's code.
    pub code: Option<String>,
    /// The provider's receipt.
    pub receipt: Option<String>,
    /// When it was settled.
    #[serde(with = "utc::option")]
    pub settled_at: Option<DateTime<Utc>>,
}

impl From<&NoticeRecord> for NoticeView {
    fn from(record: &NoticeRecord) -> Self {
        let (channel, endpoint) = webhook::split(&record.channel);
        Self {
            id: record.id.uuid(),
            event: record.event.into(),
            channel: channel.to_owned(),
            endpoint: endpoint.map(EndpointId::uuid),
            state: record.state.into(),
            tries: record.tries,
            code: record.code.clone(),
            receipt: record.receipt.clone(),
            settled_at: record.settled_at,
        }
    }
}

/// Answer of `GET /bookings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct BookingPage {
    /// In the order of (`datetime`, `id`).
    pub items: Vec<BookingView>,
    /// Hand it back as `cursor` for the next page; null at the end.
    pub next_cursor: Option<String>,
}

impl BookingPage {
    /// A page.
    #[must_use]
    pub const fn new(items: Vec<BookingView>, next_cursor: Option<String>) -> Self {
        Self { items, next_cursor }
    }
}
