//! What accepting and cancelling takes and gives.

use std::time::Duration;

use crate::{
    booking::{Appointment, Booking, CancelRefused},
    id::{BookingId, JobId},
    request::IdempotencyKey,
    topology::Publication,
};

/// A booking to accept. The ids are made before the transaction, so that an unknown outcome can be looked up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewBooking {
    /// Its id.
    pub id: BookingId,
    /// Its decide job's id.
    pub job: JobId,
    /// What is asked for.
    pub appointment: Appointment,
    /// The caller's key.
    pub key: Option<IdempotencyKey>,
    /// How long deciding may take.
    pub decide_within: Duration,
    /// How many undecided bookings one `patient_id` may have.
    pub pending_per_patient: u32,
    /// When the sweep may pick the job up, from the acceptance: the grace when a message is to follow, zero otherwise.
    pub look_after: Duration,
    /// The rejected booking that this one tries again.
    pub replay_of: Option<BookingId>,
}

impl NewBooking {
    /// A booking to accept under fresh ids.
    #[must_use]
    pub fn new(
        appointment: Appointment,
        key: Option<IdempotencyKey>,
        decide_within: Duration,
        pending_per_patient: u32,
        look_after: Duration,
    ) -> Self {
        Self {
            id: BookingId::generate(),
            job: JobId::generate(),
            appointment,
            key,
            decide_within,
            pending_per_patient,
            look_after,
            replay_of: None,
        }
    }
}

/// What became of a [`NewBooking`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acceptance {
    /// Committed and synced.
    Accepted(Booking),
    /// The key was used for the same request before: that booking, as first answered.
    Replayed(Booking),
    /// The key was used for another request before.
    KeyReused,
    /// Another active booking of the doctor overlaps.
    SlotTaken,
    /// The patient has too many undecided bookings.
    TooManyPending,
}

/// What an idempotency key was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keyed {
    /// The same request: the booking as first answered.
    Same(Box<Booking>),
    /// Another request.
    Other,
}

/// What became of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancellation {
    /// Cancelled now; this is to be published.
    Done(Booking, Vec<Publication>),
    /// Cancelled before.
    Already(Booking),
    /// Refused.
    Refused(CancelRefused),
    /// No such booking.
    NotFound,
}
