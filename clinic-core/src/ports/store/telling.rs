//! What claiming notices and settling them takes and gives.

use std::time::Duration;

use crate::{
    id::{BookingId, JobId},
    notification::Notice,
};

/// A notifier, its channels and how many notices it has room for on each.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NoticeClaimant {
    /// The process's name.
    pub worker: String,
    /// How long a lease lasts.
    pub lease: Duration,
    /// Every configured channel with its room; an expanded job gets a ledger row on each. Where one is `webhook`, it gets one for each
    /// endpoint instead, on a channel `webhook:ENDPOINT` of its own; the room of `webhook` is that of each endpoint without an entry.
    pub rooms: Vec<(String, usize)>,
}

impl NoticeClaimant {
    /// A claiming notifier.
    #[must_use]
    pub const fn new(worker: String, lease: Duration, rooms: Vec<(String, usize)>) -> Self {
        Self { worker, lease, rooms }
    }
}

/// What a claim of overdue notices found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OverdueNotices {
    /// Notices that are now yours.
    pub notices: Vec<Notice>,
    /// Whether the limit, and not the room or what there was, ended it: ask again.
    pub more: bool,
}

impl OverdueNotices {
    /// What a claim found.
    #[must_use]
    pub const fn new(notices: Vec<Notice>, more: bool) -> Self {
        Self { notices, more }
    }
}

/// How a try to send a notice ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NoticeResult {
    /// The notice, with its token.
    pub notice: Notice,
    /// How it ended.
    pub ending: NoticeEnding,
}

impl NoticeResult {
    /// How a try ended.
    #[must_use]
    pub const fn new(notice: Notice, ending: NoticeEnding) -> Self {
        Self { notice, ending }
    }
}

/// How a try to send a notice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoticeEnding {
    /// The channel took it.
    Sent(Option<String>),
    /// It did not; the next try follows after the pause.
    Retry(&'static str, Duration),
    /// It never will: dead letter.
    Failed(&'static str),
    /// There is nothing to send.
    Skipped(&'static str),
    /// Given back untried: shutdown, or the lease ran out before the send began.
    Returned,
}

/// What became of a [`NoticeResult`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoticeSettled {
    /// Stored. These notices of the same booking and channel waited for it and are due now: claim them.
    Done(Vec<(JobId, BookingId)>),
    /// The token is no longer the notice's: nothing was changed.
    Fenced,
}
