//! The JSON contract, shared by server and client. The only serialisable twin of the domain.

use chrono::{DateTime, Utc};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    booking::{Booking, Language, Status},
    codes::codes,
    decision::Reason,
    notification::{self, EventKind, NoticeRecord, NoticeState},
    timeline::{Entry, EntryKind},
};

/// Body of `POST /book`. `datetime` and `time_slot` are two names of one field.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BookRequest {
    /// The clinic's id of the patient, 1-64 characters. This or `patient_name` is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// The patient's name, 1-200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_name: Option<String>,
    /// The doctor, 1-64 characters. Without one the clinic's general list decides and no slot is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doctor_id: Option<String>,
    /// When the visit starts: RFC 3339, or without offset in the clinic's own time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datetime: Option<String>,
    /// Another name of `datetime`; exactly one of the two is present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_slot: Option<String>,
    /// How long the visit takes, 5-480 minutes; 30 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_minutes: Option<i64>,
    /// How to reach the patient.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "object")]
    pub contact: Option<ContactBody>,
    /// `es` or `en`; the clinic's language when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl std::fmt::Debug for BookRequest {
    /// Shows no patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BookRequest").finish_non_exhaustive()
    }
}

/// How to reach the patient.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ContactBody {
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Why a body is no request.
#[derive(Debug)]
#[non_exhaustive]
pub enum BadBody {
    /// Not JSON at all; the text says where.
    Syntax(String),
    /// JSON, with these fields wrong.
    Fields(Vec<FieldError>),
}

impl BookRequest {
    /// Reads a body, naming every unknown field and every field of a wrong type.
    ///
    /// # Errors
    /// [`BadBody`].
    pub fn from_json(body: &[u8]) -> Result<Self, BadBody> {
        // The usual request is read in one pass; only a refused one is looked at field by field. Serde would take a list of
        // values in the order of the fields, too; the contract does not.
        if body.trim_ascii_start().starts_with(b"{")
            && let Ok(request) = serde_json::from_slice(body)
        {
            return Ok(request);
        }
        let fields: Map<String, Value> = match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(BadBody::Fields(vec![FieldError::new("body", "must be a JSON object")])),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                return Err(BadBody::Syntax(format!("the body is not JSON: see line {line}, column {column}")));
            }
        };
        let mut errors = Vec::new();
        for (name, value) in &fields {
            match name.as_str() {
                "patient_id" | "patient_name" | "doctor_id" | "datetime" | "time_slot" | "language" => {
                    expect(&mut errors, name, value, Value::is_string, "must be a string");
                }
                "duration_minutes" => expect(&mut errors, name, value, Value::is_i64, "must be a whole number of minutes"),
                "contact" => match value {
                    Value::Object(contact) => {
                        for (part, value) in contact {
                            let name = format!("contact.{part}");
                            match part.as_str() {
                                "email" | "phone" => expect(&mut errors, &name, value, Value::is_string, "must be a string"),
                                _ => errors.push(FieldError::new(&name, "is not a field of contact: use email and phone")),
                            }
                        }
                    }
                    value => expect(&mut errors, name, value, Value::is_object, "must be an object of email and phone"),
                },
                _ => errors.push(FieldError::new(name, "is not a field of a booking request: leave it out")),
            }
        }
        if errors.is_empty() {
            // A field given twice is what remains.
            errors.push(FieldError::new("body", "must name each field once"));
        }
        Err(BadBody::Fields(errors))
    }
}

/// Reads an object, and no list of values in the order of its fields.
fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ContactBody>, D::Error> {
    struct Object;

    impl<'de> Visitor<'de> for Object {
        type Value = Option<ContactBody>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of email and phone")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            ContactBody::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }

    deserializer.deserialize_any(Object)
}

fn expect(errors: &mut Vec<FieldError>, name: &str, value: &Value, is: fn(&Value) -> bool, message: &str) {
    if !value.is_null() && !is(value) {
        errors.push(FieldError::new(name, message));
    }
}

/// A booking, as every answer shows it. Times are UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct BookingView {
    /// Its id.
    pub id: Uuid,
    /// Where it stands.
    pub status: Status,
    /// Why it was rejected.
    pub reason: Option<Reason>,
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
    pub language: Language,
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
            status: booking.status,
            reason: booking.reason,
            message: notification::status_text(booking.status, booking.reason, appointment),
            patient_id: appointment.patient_id.clone(),
            patient_name: appointment.patient_name.clone(),
            doctor_id: appointment.doctor_id.clone(),
            datetime: appointment.slot.start(),
            end: appointment.slot.end(),
            duration_minutes: appointment.slot.minutes(),
            timezone: appointment.timezone.to_string(),
            language: appointment.language,
            attempts: booking.attempts,
            created_at: booking.created_at,
            decide_by: booking.decide_by,
            decided_at: booking.decided_at,
            replay_of: booking.replay_of.map(crate::id::BookingId::uuid),
            replayed_as: booking.replayed_as.map(crate::id::BookingId::uuid),
            notices: notices.iter().map(NoticeView::from).collect(),
        }
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
    pub event: EventKind,
    /// Where.
    pub channel: String,
    /// How it stands.
    pub state: NoticeState,
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
        Self {
            id: record.id.uuid(),
            event: record.event,
            channel: record.channel.clone(),
            state: record.state,
            tries: record.tries,
            code: record.code.clone(),
            receipt: record.receipt.clone(),
            settled_at: record.settled_at,
        }
    }
}

/// Answer of `GET /booking/{id}/timeline`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TimelineView {
    /// Oldest first.
    pub events: Vec<TimelineEvent>,
}

impl TimelineView {
    /// A timeline from its entries.
    #[must_use]
    pub fn new(entries: &[Entry]) -> Self {
        Self { events: entries.iter().map(TimelineEvent::from).collect() }
    }
}

/// One entry of a timeline; fields that do not belong to its kind are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TimelineEvent {
    /// Its place.
    pub seq: u32,
    /// When it happened.
    #[serde(with = "utc")]
    pub at: DateTime<Utc>,
    /// What happened.
    pub kind: EntryKind,
    /// The attempt's or try's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The process that made the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Outcome of an attempt, reason of a decision, error of a notice: one of our codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "utc::option")]
    pub next_try: Option<DateTime<Utc>>,
    /// The notice's channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The notice's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// The provider's receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

impl From<&Entry> for TimelineEvent {
    fn from(entry: &Entry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
            kind: entry.kind,
            attempt: entry.attempt,
            worker: entry.worker.clone(),
            code: entry.code.clone(),
            next_try: entry.next_try,
            channel: entry.channel.clone(),
            notice: entry.notice.clone(),
            receipt: entry.receipt.clone(),
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

codes! {
    /// What went wrong, as a stable code.
    pub enum ProblemCode {
        /// 400: the body is no JSON, or the request no HTTP of ours.
        BadRequest = "bad_request",
        /// 401: no key was given.
        Unauthorized = "unauthorized",
        /// 403: the key does not open this.
        Forbidden = "forbidden",
        /// 404: no such route or id.
        NotFound = "not_found",
        /// 405: the route has no such method.
        MethodNotAllowed = "method_not_allowed",
        /// 409: another active booking of the doctor overlaps.
        SlotTaken = "slot_taken",
        /// 409: a rejected booking holds nothing to cancel.
        NotCancellable = "not_cancellable",
        /// 409: the visit has begun.
        AlreadyStarted = "already_started",
        /// 413: over 64 KiB.
        BodyTooLarge = "body_too_large",
        /// 415: the body is not declared as JSON.
        UnsupportedMediaType = "unsupported_media_type",
        /// 422: fields or query parameters are wrong; `errors` names them.
        InvalidRequest = "invalid_request",
        /// 422: the key came with another body before.
        IdempotencyKeyReused = "idempotency_key_reused",
        /// 429: the patient has too many undecided bookings.
        TooManyPending = "too_many_pending",
        /// 500: a fault of ours.
        Internal = "internal",
        /// 503: surely not done; ask again after `Retry-After` seconds.
        Unavailable = "unavailable",
        /// 504: done or not, we cannot know; ask again with the same key.
        OutcomeUnknown = "outcome_unknown",
    }
}

/// An error answer: `application/problem+json` as RFC 9457 says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Problem {
    /// `about:blank`: the code says all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code, in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code, one of [`ProblemCode`]; newer servers may know more.
    pub code: String,
    /// What happened and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What is wrong with which field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem under its usual status and title.
    #[must_use]
    pub fn new(code: ProblemCode, detail: &str) -> Self {
        let (status, title) = code.status_and_title();
        Self {
            kind: "about:blank".into(),
            title: title.into(),
            status,
            code: code.as_str().into(),
            detail: Some(detail.into()),
            errors: Vec::new(),
        }
    }

    /// A 422 naming fields.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(ProblemCode::InvalidRequest, "correct the fields listed in errors") }
    }

    /// The code, if this release knows it.
    #[must_use]
    pub fn known_code(&self) -> Option<ProblemCode> {
        ProblemCode::parse(&self.code)
    }
}

impl ProblemCode {
    /// The HTTP status and the title of the code.
    #[must_use]
    pub const fn status_and_title(self) -> (u16, &'static str) {
        match self {
            Self::BadRequest => (400, "Bad request"),
            Self::Unauthorized => (401, "API key required"),
            Self::Forbidden => (403, "Forbidden"),
            Self::NotFound => (404, "Not found"),
            Self::MethodNotAllowed => (405, "Method not allowed"),
            Self::SlotTaken => (409, "Slot taken"),
            Self::NotCancellable => (409, "Not cancellable"),
            Self::AlreadyStarted => (409, "Already started"),
            Self::BodyTooLarge => (413, "Body too large"),
            Self::UnsupportedMediaType => (415, "Unsupported media type"),
            Self::InvalidRequest => (422, "Invalid request"),
            Self::IdempotencyKeyReused => (422, "Idempotency key reused"),
            Self::TooManyPending => (429, "Too many pending bookings"),
            Self::Internal => (500, "Internal error"),
            Self::Unavailable => (503, "Temporarily unavailable"),
            Self::OutcomeUnknown => (504, "Outcome unknown"),
        }
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct FieldError {
    /// The field, query parameter or header.
    pub field: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl FieldError {
    /// An error of a field.
    #[must_use]
    pub fn new(field: &str, message: &str) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

codes! {
    /// How well the clinic is.
    pub enum HealthStatus {
        /// All is well.
        Ok = "ok",
        /// It serves, slower or less than it should.
        Degraded = "degraded",
        /// It cannot serve.
        Down = "down",
    }
}

/// Answer of `GET /health` and `/health/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Health {
    /// `ok` or `degraded`; `down` from `/health/ready` alone.
    pub status: HealthStatus,
    /// The store: `ok` or what is wrong.
    pub store: String,
    /// The broker: `ok` or what is wrong.
    pub broker: String,
}

impl Health {
    /// How well it is.
    #[must_use]
    pub const fn new(status: HealthStatus, store: String, broker: String) -> Self {
        Self { status, store, broker }
    }
}

/// RFC 3339 in UTC, ending in `Z`, with milliseconds only where there are some.
mod utc {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        DateTime::deserialize(deserializer)
    }

    pub(super) mod option {
        use super::{DateTime, Deserialize, Deserializer, Serializer, Utc};

        #[allow(clippy::ref_option, reason = "serde's signature")]
        pub(in super::super) fn serialize<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
            Option::deserialize(deserializer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> Vec<String> {
        match BookRequest::from_json(body.as_bytes()) {
            Err(BadBody::Fields(errors)) => errors.into_iter().map(|error| error.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_named() {
        assert_eq!(refused(r#"{"doctor":"D","patient_id":7,"contact":{"fax":"1"}}"#), ["contact.fax", "doctor", "patient_id"]);
        assert_eq!(refused(r#"{"duration_minutes":30.5}"#), ["duration_minutes"]);
        assert_eq!(refused(r#"[1]"#), ["body"]);
        assert_eq!(refused(r#" ["PAC001",null,null,"2027-03-21T15:30:00Z"]"#), ["body"]);
        assert_eq!(refused(r#"{"contact":["ana@example.org",null]}"#), ["contact"]);
        assert_eq!(refused(r#"{"patient_id":"a","patient_id":"b"}"#), ["body"]);
    }

    #[test]
    fn broken_json_is_told_from_bad_fields() {
        assert!(matches!(BookRequest::from_json(b"{\"patient_id\":"), Err(BadBody::Syntax(_))));
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let request = BookRequest::from_json(br#"{"contact":null,"doctor_id":null}"#).unwrap();
        assert!(request == BookRequest::default());
    }

    #[test]
    fn debug_shows_no_patient() {
        let request = BookRequest { patient_name: Some("Juan".into()), ..BookRequest::default() };
        assert!(!format!("{request:?}").contains("Juan"));
    }
}
