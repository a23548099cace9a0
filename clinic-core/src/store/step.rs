use super::millis::Millis;
use crate::{
    booking::Status,
    decision::{AttemptOutcome, Reason},
    id::BookingId,
};

/// An attempt and how it ended.
#[derive(Clone, Copy)]
pub(super) struct Attempted<'a> {
    pub(super) attempt: u32,
    pub(super) worker: &'a str,
    pub(super) outcome: AttemptOutcome,
}

/// A step of the state machine.
pub(super) struct Step<'a> {
    pub(super) booking: BookingId,
    pub(super) to: Status,
    pub(super) reason: Option<Reason>,
    /// The attempt that led to it.
    pub(super) attempt: Option<Attempted<'a>>,
    /// Whether something was reserved for it.
    pub(super) reserves: bool,
    /// Not before then is a reservation released: somebody may still be asking for it.
    pub(super) release_at: Millis,
    /// When the patient is to be reminded of it.
    pub(super) remind_at: Option<Millis>,
}
