mod accepting;
mod claiming;
mod desk;
mod progress;
mod telling;
mod webhooks;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

pub use self::{
    accepting::{Acceptance, Cancellation, Keyed, NewBooking},
    claiming::{Claim, ClaimRequest, Claimant, Concluded, Conclusion, Ending, Overdue},
    desk::{Replay, Replayed},
    progress::{Followed, PROGRESS_PAGE, Progress},
    telling::{NoticeClaimant, NoticeEnding, NoticeResult, NoticeSettled, OverdueNotices},
    webhooks::{NewEndpoint, Registration},
};
use super::Source;
use crate::{
    booking::Booking,
    dead_letter::{DeadLetter, DeadLetterId, LetterFilter},
    id::{BookingId, EndpointId, JobId},
    notification::{Notice, NoticeRecord},
    page::Filter,
    request::IdempotencyKey,
    timeline::Entry,
    topology::Publication,
    webhook::{Endpoint, Secret},
};

/// Why the store did not do it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// More waits than it can take. Surely not done.
    #[error("the store has too much to do; try again in a moment")]
    Busy,
    /// It is full, read-only, locked or gone. Surely not done.
    #[error("the store cannot be written or read now; look at its disk and its log")]
    Unavailable(#[source] Source),
    /// It failed at the commit: done or not, [`Store::recall`] tells.
    #[error("the store failed while committing; the outcome is not known yet")]
    Unknown(#[source] Source),
    /// A read took longer than a second.
    #[error("the store took too long to answer; ask for less or later")]
    TooSlow,
    /// What it holds cannot be understood.
    #[error("the store holds something this release cannot read")]
    Corrupt(#[source] Source),
}

/// A booking and the ledger of its notices.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The booking.
    pub booking: Booking,
    /// Its notices, in event order.
    pub notices: Vec<NoticeRecord>,
}

impl Record {
    /// A booking and its notices.
    #[must_use]
    pub const fn new(booking: Booking, notices: Vec<NoticeRecord>) -> Self {
        Self { booking, notices }
    }
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// When the oldest undecided booking was accepted.
    pub oldest_undecided: Option<DateTime<Utc>>,
    /// Jobs and notices that are overdue, counted to 10,000 at most.
    pub overdue: u64,
    /// Bytes of write-ahead log not yet moved into the store's file.
    pub wal_bytes: u64,
    /// Commands waiting for the writer.
    pub writer_queue: u64,
}

/// The durable truth: bookings, jobs, timelines, the notice ledger.
///
/// Every method is all-or-nothing and durable on return; an adapter may share a commit between callers. Dropping a
/// future never half-applies it, though it may still commit. Times are those of the store's clock.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Accepts a booking: the booking holding its slot, its key and its decide job, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::Unknown`], [`recall`](Self::recall) says whether it is there.
    async fn accept(&self, new: &NewBooking) -> Result<Acceptance, StoreError>;

    /// Looks an id up behind a durable write: what it answers cannot be changed by an earlier commit in doubt.
    ///
    /// # Errors
    /// [`StoreError`] while the store cannot be written.
    async fn recall(&self, id: BookingId) -> Result<Option<Booking>, StoreError>;

    /// What a key was used for.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn keyed(&self, key: &IdempotencyKey) -> Result<Option<Keyed>, StoreError>;

    /// Claims jobs heard of through the broker, one answer each.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is claimed then.
    async fn claim(&self, claimant: &Claimant, requests: &[ClaimRequest]) -> Result<Vec<Claim>, StoreError>;

    /// Claims at most `limit` decide and release jobs that are overdue, oldest first, without hearing of them.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim_overdue(&self, claimant: &Claimant, limit: usize) -> Result<Overdue, StoreError>;

    /// Settles jobs, one answer each, each guarded by its token and, for a decision, by `status = pending`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn conclude(&self, conclusions: &[Conclusion]) -> Result<Vec<Concluded>, StoreError>;

    /// Makes a release job for a booking that ended other than confirmed; does nothing for one that did not.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn release_if_ended(&self, id: BookingId) -> Result<Vec<Publication>, StoreError>;

    /// Marks jobs as due at once, because the broker did not take their messages.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn hasten(&self, jobs: &[JobId]) -> Result<(), StoreError>;

    /// Cancels a booking, settles its decide job and revokes its token, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn cancel(&self, id: BookingId) -> Result<Cancellation, StoreError>;

    /// Rejects at most `limit` pending bookings past their `decide_by`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn expire(&self, limit: usize) -> Result<Vec<Publication>, StoreError>;

    /// Makes events to be told of at most `limit` reminders that are due: a confirmed booking has one each of the times before its
    /// start that the store was opened with, those that lie ahead when it is confirmed. Of several that fell due since the last
    /// call it tells one; of a visit that has begun none.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn remind(&self, limit: usize) -> Result<Vec<Publication>, StoreError>;

    /// Claims the notices of tell jobs heard of; an unexpanded job becomes ledger rows first. One list each. A notice for an endpoint
    /// comes with it; one whose endpoint is switched off or gone is skipped (`endpoint_disabled`, `endpoint_removed`).
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim_notices(&self, claimant: &NoticeClaimant, requests: &[ClaimRequest]) -> Result<Vec<Vec<Notice>>, StoreError>;

    /// Claims overdue notices, as many as the claimant has room for; unexpanded overdue tell jobs are expanded, to about `limit` rows.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim_overdue_notices(&self, claimant: &NoticeClaimant, limit: usize) -> Result<OverdueNotices, StoreError>;

    /// Settles tries to send, one answer each, each guarded by its token. One that failed as `endpoint_gone` switches its endpoint off.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn settle_notices(&self, results: &[NoticeResult]) -> Result<Vec<NoticeSettled>, StoreError>;

    /// Reads bookings and their ledgers; ids that are not there are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn bookings(&self, ids: &[BookingId]) -> Result<Vec<Record>, StoreError>;

    /// Reads a timeline, oldest first; `None` when there is no such booking.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn timeline(&self, id: BookingId) -> Result<Option<Vec<Entry>>, StoreError>;

    /// Reads what happened to bookings since their followers looked last, one answer each; those that are not there are left out.
    /// At most [`PROGRESS_PAGE`](super::PROGRESS_PAGE) entries of each come at once; the rest is there for the next look. Cheap where
    /// nothing happened: it is asked once a second of every booking that is followed.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn progress(&self, followed: &[Followed]) -> Result<Vec<Progress>, StoreError>;

    /// Lists bookings in the order of (start, id).
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list(&self, filter: &Filter) -> Result<Vec<Record>, StoreError>;

    /// Lists dead letters in the order of (time, id).
    ///
    /// # Errors
    /// [`StoreError`].
    async fn dead_letters(&self, filter: &LetterFilter) -> Result<Vec<DeadLetter>, StoreError>;

    /// Reads a dead letter.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError>;

    /// Says what replaying a dead letter would come to, and changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn try_replay(&self, id: DeadLetterId) -> Result<Replayed, StoreError>;

    /// Replays a dead letter, in one transaction and once: a decision as a new booking that takes its slot anew, a notice under its own
    /// id, a release as another job. The old booking's status stays.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::Unknown`] the same request asked again is answered by what was done.
    async fn replay(&self, replay: &Replay) -> Result<Replayed, StoreError>;

    /// Registers an endpoint.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::Unknown`] the same request asked again is answered by what was done.
    async fn add_endpoint(&self, new: &NewEndpoint) -> Result<Registration, StoreError>;

    /// Reads the endpoints, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError>;

    /// Reads an endpoint.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// Removes an endpoint; whether there is or was one of this id.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn remove_endpoint(&self, id: EndpointId) -> Result<bool, StoreError>;

    /// Gives an endpoint a new secret; those before, a few at most, sign too for [`FORMER_SIGNS_FOR`](crate::webhook::FORMER_SIGNS_FOR)
    /// from when they were replaced. `None` when there is no such endpoint.
    ///
    /// # Errors
    /// [`StoreError`]; the same secret may be given again.
    async fn renew_secret(&self, id: EndpointId, secret: &Secret) -> Result<Option<Endpoint>, StoreError>;

    /// Switches an endpoint on again. `None` when there is no such endpoint.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn enable_endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// Writes and syncs something small: whether a booking could be accepted now.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Figures for metrics.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn stats(&self) -> Result<StoreStats, StoreError>;

    /// Waits for what is under way and closes; later calls fail.
    async fn close(&self);
}
