//! The booking and its state machine.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    codes::codes,
    decision::{Decision, Reason},
    id::BookingId,
    slot::Slot,
};

codes! {
    /// Where a booking stands: `pending -> confirmed | rejected | cancelled`, `confirmed -> cancelled`, nothing else.
    pub enum Status {
        /// Accepted, holding its slot, not decided yet.
        Pending = "pending",
        /// The visit takes place.
        Confirmed = "confirmed",
        /// The visit does not take place.
        Rejected = "rejected",
        /// Taken back by the patient or the clinic.
        Cancelled = "cancelled",
    }
}

impl Status {
    /// Whether the booking takes up its slot.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Confirmed)
    }

    /// Whether the state machine allows this step.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!((self, next), (Self::Pending, Self::Confirmed | Self::Rejected | Self::Cancelled) | (Self::Confirmed, Self::Cancelled))
    }
}

impl From<Decision> for Status {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Confirmed => Self::Confirmed,
            Decision::Rejected(_) => Self::Rejected,
        }
    }
}

codes! {
    /// The language in which the patient is told.
    pub enum Language {
        /// Spanish.
        Spanish = "es",
        /// English.
        English = "en",
    }
}

/// How the patient can be reached. Never leaves the store except towards a notification channel.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contact {
    /// E-mail address.
    pub email: Option<String>,
    /// Telephone number.
    pub phone: Option<String>,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contact(..)")
    }
}

/// What was asked for, valid by construction: see [`crate::request::parse`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appointment {
    /// The clinic's id of the patient (1-64 characters). This or the name is present.
    pub patient_id: Option<String>,
    /// The patient's name (1-200 characters).
    pub patient_name: Option<String>,
    /// The doctor (1-64 characters, NFC). Without one the clinic's general list decides and nothing is held.
    pub doctor_id: Option<String>,
    /// The time asked for.
    pub slot: Slot,
    /// How to reach the patient.
    pub contact: Contact,
    /// The language to tell the patient in.
    pub language: Language,
    /// The clinic's time zone when the booking was accepted.
    pub timezone: Tz,
}

impl std::fmt::Debug for Appointment {
    /// Shows no patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appointment").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// A booking as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Booking {
    /// Its id.
    pub id: BookingId,
    /// What was asked for; never changes.
    pub appointment: Appointment,
    /// Where it stands.
    pub status: Status,
    /// Why it was rejected.
    pub reason: Option<Reason>,
    /// Attempts spent on deciding it: answers, failures and time-outs of the availability check, not losses.
    pub attempts: u32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it must be decided at the latest.
    pub decide_by: DateTime<Utc>,
    /// When it was decided or, undecided, cancelled.
    pub decided_at: Option<DateTime<Utc>>,
    /// The rejected booking that this one tries again.
    pub replay_of: Option<BookingId>,
    /// The booking that tries this one again.
    pub replayed_as: Option<BookingId>,
}

impl Booking {
    /// A booking as it is when accepted: pending, with its deadline set.
    #[must_use]
    pub fn accepted(
        id: BookingId,
        appointment: Appointment,
        now: DateTime<Utc>,
        decide_within: std::time::Duration,
        replay_of: Option<BookingId>,
    ) -> Self {
        let decide_by = decide_by(appointment.slot.start(), now, decide_within);
        Self {
            id,
            appointment,
            status: Status::Pending,
            reason: None,
            attempts: 0,
            created_at: now,
            decide_by,
            decided_at: None,
            replay_of,
            replayed_as: None,
        }
    }

    /// The booking as the answer to its request showed it.
    #[must_use]
    pub fn as_first_answered(mut self) -> Self {
        self.status = Status::Pending;
        self.reason = None;
        self.attempts = 0;
        self.decided_at = None;
        self.replayed_as = None;
        self
    }

    /// Whether it may be cancelled at `now`.
    ///
    /// # Errors
    /// [`CancelRefused`] when it was rejected or the visit has begun.
    pub fn may_cancel(&self, now: DateTime<Utc>) -> Result<(), CancelRefused> {
        match self.status {
            Status::Rejected => Err(CancelRefused::NotCancellable),
            Status::Cancelled => Ok(()),
            Status::Pending | Status::Confirmed if now >= self.appointment.slot.start() => Err(CancelRefused::AlreadyStarted),
            Status::Pending | Status::Confirmed => Ok(()),
        }
    }
}

/// Why a booking is not cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CancelRefused {
    /// It was rejected.
    #[error("the booking was rejected and holds nothing to cancel")]
    NotCancellable,
    /// The visit has begun.
    #[error("the visit has already started")]
    AlreadyStarted,
}

/// The earlier of the visit's start and acceptance plus `decide_within`.
#[must_use]
pub fn decide_by(start: DateTime<Utc>, accepted: DateTime<Utc>, decide_within: std::time::Duration) -> DateTime<Utc> {
    Duration::from_std(decide_within).ok().and_then(|within| accepted.checked_add_signed(within)).map_or(start, |latest| latest.min(start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_status() -> impl Strategy<Value = Status> {
        prop::sample::select(Status::ALL)
    }

    proptest! {
        #[test]
        fn no_walk_leaves_an_end_or_decides_twice(steps in prop::collection::vec(any_status(), 0..12)) {
            let mut status = Status::Pending;
            let mut decided = 0;
            for next in steps {
                if status.may_become(next) {
                    prop_assert!(status.is_active());
                    decided += usize::from(matches!(next, Status::Confirmed | Status::Rejected));
                    status = next;
                }
            }
            prop_assert!(decided <= 1);
        }

        #[test]
        fn codes_are_read_back(status in any_status()) {
            prop_assert_eq!(Status::parse(status.as_str()), Some(status));
        }
    }

    #[test]
    fn the_deadline_is_the_earlier_of_start_and_limit() {
        let now = DateTime::from_timestamp(0, 0).unwrap();
        let hour = std::time::Duration::from_secs(3600);
        assert_eq!(decide_by(now + Duration::minutes(10), now, hour), now + Duration::minutes(10));
        assert_eq!(decide_by(now + Duration::days(10), now, hour), now + Duration::hours(1));
        assert_eq!(decide_by(now, now, std::time::Duration::MAX), now);
    }
}
