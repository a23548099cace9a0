//! Notices: what a patient is told, rendered from an immutable event.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    booking::{Appointment, Language, Status},
    codes::codes,
    decision::Reason,
    id::{BookingId, JobId, NoticeId, Token},
    webhook::Endpoint,
};

codes! {
    /// What a patient is told of.
    pub enum EventKind {
        /// The visit takes place.
        Confirmed = "confirmed",
        /// It does not.
        Rejected = "rejected",
        /// It was taken back.
        Cancelled = "cancelled",
        /// It is near.
        Reminder = "reminder",
    }
}

codes! {
    /// Where a notice stands.
    pub enum NoticeState {
        /// Waiting, being sent, or waiting for its next try.
        Pending = "pending",
        /// The channel took it.
        Sent = "sent",
        /// Every try failed; on the dead-letter desk.
        Failed = "failed",
        /// Never to be sent; the code says why.
        Skipped = "skipped",
    }
}

/// The code of a notice that a later event of its booking overtook.
pub const SUPERSEDED: &str = "superseded";
/// The code of a reminder that could not be sent before its visit began.
pub const TOO_LATE: &str = "too_late";

/// An event of a booking that is to be told. Never changes once stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Its place in the booking's timeline.
    pub seq: u32,
    /// What happened.
    pub kind: EventKind,
    /// Why, for a rejection.
    pub reason: Option<Reason>,
    /// When it happened.
    pub at: DateTime<Utc>,
}

impl Event {
    /// An event, as store adapters read it.
    #[must_use]
    pub const fn new(seq: u32, kind: EventKind, reason: Option<Reason>, at: DateTime<Utc>) -> Self {
        Self { seq, kind, reason, at }
    }
}

/// One event to be told on one channel, taken by a notifier.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Notice {
    /// The stable id: the same over all tries.
    pub id: NoticeId,
    /// The tell job it came from.
    pub job: JobId,
    /// The fence of this try.
    pub token: Token,
    /// The booking.
    pub booking: BookingId,
    /// What was asked for.
    pub appointment: Appointment,
    /// What to tell.
    pub event: Event,
    /// Where to tell it.
    pub channel: String,
    /// Failed tries so far.
    pub tries: u32,
    /// Until when this notifier may keep it, on the store's clock.
    pub until: DateTime<Utc>,
    /// The endpoint it is for, where its channel is one of webhooks.
    pub endpoint: Option<Box<Endpoint>>,
}

impl Notice {
    /// A notice, as store adapters make them.
    #[must_use]
    #[allow(clippy::too_many_arguments, reason = "one argument a column")]
    pub const fn new(
        id: NoticeId,
        job: JobId,
        token: Token,
        booking: BookingId,
        appointment: Appointment,
        event: Event,
        channel: String,
        tries: u32,
        until: DateTime<Utc>,
    ) -> Self {
        Self { id, job, token, booking, appointment, event, channel, tries, until, endpoint: None }
    }

    /// The same, for an endpoint.
    #[must_use]
    pub fn for_endpoint(mut self, endpoint: Option<Endpoint>) -> Self {
        self.endpoint = endpoint.map(Box::new);
        self
    }

    /// The text for a person. Equal for equal id, whenever it is rendered.
    #[must_use]
    pub fn text(&self) -> Text {
        event_text(self.event.kind, self.event.reason, &self.appointment)
    }
}

/// A ledger row: how one notice stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoticeRecord {
    /// The stable id.
    pub id: NoticeId,
    /// The event's kind.
    pub event: EventKind,
    /// The channel.
    pub channel: String,
    /// Where it stands.
    pub state: NoticeState,
    /// Tries made.
    pub tries: u32,
    /// The last failure's or the skip's code, one of ours.
    pub code: Option<String>,
    /// What the provider gave as receipt.
    pub receipt: Option<String>,
    /// When it was settled.
    pub settled_at: Option<DateTime<Utc>>,
}

impl NoticeRecord {
    /// A ledger row, as store adapters read it: pending, untried.
    #[must_use]
    pub const fn pending(id: NoticeId, event: EventKind, channel: String) -> Self {
        Self { id, event, channel, state: NoticeState::Pending, tries: 0, code: None, receipt: None, settled_at: None }
    }
}

/// Subject and body of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text {
    /// One line.
    pub subject: String,
    /// The whole.
    pub body: String,
}

/// The text of an event for a person, in the booking's language and the clinic's time zone.
#[must_use]
pub fn event_text(kind: EventKind, reason: Option<Reason>, appointment: &Appointment) -> Text {
    let when = local_time(appointment);
    let (subject, body) = match (appointment.language, kind) {
        (Language::Spanish, EventKind::Confirmed) => ("Cita confirmada".into(), format!("Su cita del {when} está confirmada.")),
        (Language::Spanish, EventKind::Rejected) => {
            ("Cita no disponible".into(), format!("Su cita del {when} no se ha podido dar. {}", why(reason, Language::Spanish)))
        }
        (Language::Spanish, EventKind::Cancelled) => ("Cita cancelada".into(), format!("Su cita del {when} está cancelada.")),
        (Language::Spanish, EventKind::Reminder) => ("Recordatorio de cita".into(), format!("Le recordamos su cita del {when}.")),
        (Language::English, EventKind::Confirmed) => ("Appointment confirmed".into(), format!("Your appointment on {when} is confirmed.")),
        (Language::English, EventKind::Rejected) => (
            "Appointment not available".into(),
            format!("Your appointment on {when} could not be given. {}", why(reason, Language::English)),
        ),
        (Language::English, EventKind::Cancelled) => ("Appointment cancelled".into(), format!("Your appointment on {when} is cancelled.")),
        (Language::English, EventKind::Reminder) => {
            ("Appointment reminder".into(), format!("This is a reminder of your appointment on {when}."))
        }
    };
    Text { subject, body: body.trim_end().to_owned() }
}

/// What a status means, for a person, in the booking's language.
#[must_use]
pub fn status_text(status: Status, reason: Option<Reason>, appointment: &Appointment) -> String {
    let kind = match status {
        Status::Pending => {
            let when = local_time(appointment);
            return match appointment.language {
                Language::Spanish => format!("Hemos recibido su solicitud para el {when}. Le avisaremos en cuanto se decida."),
                Language::English => format!("We have received your request for {when}. You will be told as soon as it is decided."),
            };
        }
        Status::Confirmed => EventKind::Confirmed,
        Status::Rejected => EventKind::Rejected,
        Status::Cancelled => EventKind::Cancelled,
    };
    event_text(kind, reason, appointment).body
}

fn local_time(appointment: &Appointment) -> String {
    let local = appointment.slot.start().with_timezone(&appointment.timezone);
    let format = match appointment.language {
        Language::Spanish => "%d/%m/%Y a las %H:%M",
        Language::English => "%d %B %Y at %H:%M",
    };
    format!("{} ({})", local.format(format), appointment.timezone)
}

const fn why(reason: Option<Reason>, language: Language) -> &'static str {
    match (language, reason) {
        (_, None) => "",
        (Language::Spanish, Some(Reason::Unavailable)) => "El profesional no está disponible a esa hora: elija otra, por favor.",
        (Language::Spanish, Some(Reason::AvailabilityRefused)) => "La agenda no ha admitido la solicitud: llame a la clínica, por favor.",
        (Language::Spanish, Some(Reason::DeadlinePassed)) => "No se ha podido decidir a tiempo: pida otra hora, por favor.",
        (Language::Spanish, Some(Reason::AvailabilityUnreachable | Reason::ProcessingFailed)) => {
            "No hemos podido consultar la agenda: vuelva a intentarlo, por favor."
        }
        (Language::English, Some(Reason::Unavailable)) => "The doctor is not available at that time: please choose another.",
        (Language::English, Some(Reason::AvailabilityRefused)) => "The calendar did not admit the request: please call the clinic.",
        (Language::English, Some(Reason::DeadlinePassed)) => "It could not be decided in time: please ask for another time.",
        (Language::English, Some(Reason::AvailabilityUnreachable | Reason::ProcessingFailed)) => {
            "We could not reach the calendar: please try again."
        }
    }
}
