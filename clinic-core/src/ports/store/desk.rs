//! What replaying a dead letter takes and gives.

use std::time::Duration;

use crate::{
    dead_letter::{DeadLetter, DeadLetterId, ReplayRefused},
    id::{BookingId, JobId},
    topology::Publication,
};

/// A dead letter to replay. The ids are made before the transaction: one whose outcome is not known is asked again with the same
/// request, and is answered as the first time when it had been done.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Replay {
    /// The letter.
    pub letter: DeadLetterId,
    /// The new booking's id, where a decision is replayed.
    pub booking: BookingId,
    /// The id of the job that is made of it; also the replay's own.
    pub job: JobId,
    /// How long deciding may take.
    pub decide_within: Duration,
    /// When the sweep may pick the work up: the grace when a message is to follow, zero otherwise.
    pub look_after: Duration,
}

impl Replay {
    /// A replay under fresh ids.
    #[must_use]
    pub fn new(letter: DeadLetterId, decide_within: Duration, look_after: Duration) -> Self {
        Self { letter, booking: BookingId::generate(), job: JobId::generate(), decide_within, look_after }
    }
}

/// What became of a [`Replay`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replayed {
    /// Committed and synced: the letter as it is now, and what is to be published.
    Done(DeadLetter, Publication),
    /// Nothing was changed, as it was only tried; it could be replayed now.
    Possible(DeadLetter),
    /// Nothing was changed: the letter, and why.
    Refused(DeadLetter, ReplayRefused),
    /// No such letter.
    NotFound,
}
