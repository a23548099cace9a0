//! The invitation: a visit as a calendar keeps it (RFC 5545, RFC 5546, RFC 6047).

use icalendar::{Calendar, Component as _, Event, EventLike as _, EventStatus, Property};
use lettre::Address;

use crate::{
    booking::Language,
    notification::{EventKind, Notice},
};

/// What a calendar is to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Keep it.
    Request,
    /// Strike it out.
    Cancel,
}

impl Method {
    /// What an event calls for; nothing for a visit that never was.
    pub(super) const fn of(event: EventKind) -> Option<Self> {
        match event {
            EventKind::Confirmed | EventKind::Reminder => Some(Self::Request),
            EventKind::Cancelled => Some(Self::Cancel),
            EventKind::Rejected => None,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// The iCalendar object of a notice: one UID a booking, and nothing in it that another try would change.
///
/// Times are UTC, which every calendar shows in its owner's zone and which no change of clocks can shift.
pub(super) fn invitation(notice: &Notice, method: Method, from: &Address, to: &Address) -> String {
    let appointment = &notice.appointment;
    let summary = match appointment.language {
        Language::Spanish => "Cita médica",
        Language::English => "Medical appointment",
    };
    // A booking's time never changes: there is the visit, and there is its cancellation.
    let (sequence, status) = match method {
        Method::Request => (0, EventStatus::Confirmed),
        Method::Cancel => (1, EventStatus::Cancelled),
    };
    // A bare UUID, as RFC 7986, section 5.3, wants it: another sender strikes out what this one invited to.
    let event = Event::with_uid(&notice.booking.to_string())
        .timestamp(notice.event.at)
        .starts(appointment.slot.start())
        .ends(appointment.slot.end())
        .summary(summary)
        .description(&notice.text().body)
        .sequence(sequence)
        .status(status)
        .append_property(Property::new("ORGANIZER", format!("mailto:{from}")))
        .append_property(Property::new("ATTENDEE", format!("mailto:{to}")).add_parameter("RSVP", "FALSE").done())
        .done();
    Calendar::empty()
        .append_property(("VERSION", "2.0"))
        .append_property(("PRODID", "-//clinic//clinic//EN"))
        .append_property(("METHOD", method.as_str()))
        .push(event)
        .done()
        .to_string()
}
