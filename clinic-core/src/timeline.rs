//! The timeline: everything that happened to one booking, in order.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::codes::codes;

codes! {
    /// What an entry says.
    pub enum EntryKind {
        /// The booking was accepted.
        Accepted = "accepted",
        /// An attempt to decide ended; `code` is its outcome, `next_try` when it is tried again.
        Attempt = "attempt",
        /// An attempt was lost: its worker died, was overtaken or shut down. It is made again under the same number.
        AttemptLost = "attempt_lost",
        /// Decided: it takes place.
        Confirmed = "confirmed",
        /// Decided: it does not; `code` is the reason.
        Rejected = "rejected",
        /// Taken back.
        Cancelled = "cancelled",
        /// A reminder fell due.
        Reminder = "reminder",
        /// A notice was taken by its channel.
        NoticeSent = "notice_sent",
        /// A try to send a notice failed; `next_try` says when it is tried again.
        NoticeRetry = "notice_retry",
        /// A notice failed for good; it is on the dead-letter desk.
        NoticeFailed = "notice_failed",
        /// A notice is not sent; `code` says why.
        NoticeSkipped = "notice_skipped",
        /// What the availability check reserved was given back.
        Released = "released",
        /// It could not be given back; it is on the dead-letter desk.
        ReleaseFailed = "release_failed",
        /// The booking is tried again as another.
        Replayed = "replayed",
    }
}

/// One entry. Fields that do not belong to its kind are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its place, from 1, ever rising; gaps may occur.
    pub seq: u32,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    pub kind: EntryKind,
    /// The attempt's or try's number.
    pub attempt: Option<u32>,
    /// The process that made the attempt.
    pub worker: Option<String>,
    /// Outcome, reason or error: a code of our own.
    pub code: Option<String>,
    /// When it is tried again.
    pub next_try: Option<DateTime<Utc>>,
    /// The notice's channel.
    pub channel: Option<String>,
    /// The notice's id.
    pub notice: Option<String>,
    /// The provider's receipt.
    pub receipt: Option<String>,
}

impl Entry {
    /// An entry with nothing but its place, time and kind.
    #[must_use]
    pub const fn new(seq: u32, at: DateTime<Utc>, kind: EntryKind) -> Self {
        Self { seq, at, kind, attempt: None, worker: None, code: None, next_try: None, channel: None, notice: None, receipt: None }
    }
}
