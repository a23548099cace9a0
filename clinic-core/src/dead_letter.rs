//! Dead letters: what failed for good, kept for staff to see, mend and replay.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    codes::codes,
    id::{BookingId, NoticeId},
    topology::Queue,
};

/// Names one dead letter: counted by the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(pub i64);

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DeadLetterId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

codes! {
    /// What failed.
    pub enum DeadLetterKind {
        /// Deciding a booking: it was rejected for want of an answer.
        Decide = "decide",
        /// Sending a notice.
        Notice = "notice",
        /// Giving back what an availability check had reserved.
        Release = "release",
    }
}

codes! {
    /// Why a dead letter is not replayed.
    pub enum ReplayRefused {
        /// Another active booking of the doctor took the time meanwhile.
        SlotTaken = "slot_taken",
        /// The visit has begun.
        AlreadyStarted = "already_started",
        /// It was replayed before, which is done once.
        AlreadyReplayed = "already_replayed",
        /// Something later is to be told, or was, where this notice failed.
        Superseded = "superseded",
        /// The webhook that the notice was for is gone.
        EndpointRemoved = "endpoint_removed",
        /// The webhook that the notice was for is switched off.
        EndpointDisabled = "endpoint_disabled",
    }
}

impl ReplayRefused {
    /// Why, said to staff.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::SlotTaken => "another booking of this doctor overlaps the time now",
            Self::AlreadyStarted => "the visit has already started",
            Self::AlreadyReplayed => "it was replayed before, which is done once",
            Self::Superseded => "something later is to be told on this channel, or was: an older notice would mislead",
            Self::EndpointRemoved => "the webhook that this notice was for is gone",
            Self::EndpointDisabled => "the webhook that this notice was for is switched off",
        }
    }
}

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its id.
    pub id: DeadLetterId,
    /// The booking it is about.
    pub booking: BookingId,
    /// What failed.
    pub kind: DeadLetterKind,
    /// Why: a code of our own, or of the channel's.
    pub code: String,
    /// Attempts or tries spent.
    pub attempts: u32,
    /// The notice that failed.
    pub notice: Option<NoticeId>,
    /// Its channel.
    pub channel: Option<String>,
    /// When it failed for good.
    pub at: DateTime<Utc>,
    /// When it was replayed.
    pub replayed_at: Option<DateTime<Utc>>,
    /// The booking that a replayed decision became.
    pub replayed_as: Option<BookingId>,
}

impl DeadLetter {
    /// A dead letter, as store adapters make them; what belongs to its kind and to its replay is to be added.
    #[must_use]
    pub const fn new(id: DeadLetterId, booking: BookingId, kind: DeadLetterKind, code: String, attempts: u32, at: DateTime<Utc>) -> Self {
        Self { id, booking, kind, code, attempts, notice: None, channel: None, at, replayed_at: None, replayed_as: None }
    }
}

/// Which dead letters to list. All parts that are present must hold.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LetterFilter {
    /// With this code.
    pub code: Option<String>,
    /// Of this kind.
    pub kind: Option<DeadLetterKind>,
    /// Failed before.
    pub before: Option<DateTime<Utc>>,
    /// Failed at or after.
    pub since: Option<DateTime<Utc>>,
    /// Replayed, or not.
    pub replayed: Option<bool>,
    /// Behind this place.
    pub after: Option<LetterCursor>,
    /// At most so many (1-200); 50 when zero.
    pub limit: u32,
}

/// A place in the order of (time, id).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LetterCursor {
    /// When the last letter seen failed.
    pub at: DateTime<Utc>,
    /// Its id.
    pub id: DeadLetterId,
}

impl LetterCursor {
    /// The place just behind a letter.
    #[must_use]
    pub const fn after(letter: &DeadLetter) -> Self {
        Self { at: letter.at, id: letter.id }
    }

    /// The cursor as clients hand it back: opaque, safe in a URL.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{}.{}", self.at.timestamp_millis(), self.id)
    }

    /// Reads a cursor; `None` when it is none of ours.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('.')?;
        Some(Self { at: DateTime::from_timestamp_millis(at.parse().ok()?)?, id: id.parse().ok()? })
    }
}

/// A message that nobody could understand, in the `.dead` queue of a broker. Its content is not shown: whoever put it there may have
/// written anything into it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Poison {
    /// The queue it was meant for.
    pub queue: Queue,
    /// Its id, if that is one such as ours.
    pub message: Option<Uuid>,
    /// How large its body is.
    pub bytes: u64,
}

impl Poison {
    /// How many of each queue are shown at most.
    pub const SHOWN: usize = 100;

    /// Poison, as broker adapters find it. An id that is none of ours is left out.
    #[must_use]
    pub fn new(queue: Queue, message_id: Option<&str>, bytes: u64) -> Self {
        Self { queue, message: message_id.and_then(|id| Uuid::try_parse(id).ok()), bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_others_is_not_shown() {
        let id = Uuid::from_u128(7);
        assert_eq!(Poison::new(Queue::Bookings, Some(&id.to_string()), 3).message, Some(id));
        for other in [None, Some("Ana Pérez"), Some("")] {
            assert_eq!(Poison::new(Queue::Bookings, other, 3).message, None);
        }
    }
}
