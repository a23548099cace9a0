use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

use super::{Followed, NewEndpoint, Progress, Registration, Replay, Replayed, Source};
use crate::{
    booking::{Appointment, Booking, CancelRefused},
    dead_letter::{DeadLetter, DeadLetterId, LetterFilter},
    decision::{AttemptOutcome, Decision},
    id::{BookingId, EndpointId, JobId, Token},
    job::Lease,
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

/// Who claims jobs, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claimant {
    /// The process's name, for timelines.
    pub worker: String,
    /// How long a lease lasts.
    pub lease: Duration,
    /// Whether its availability check reserves something to be released.
    pub reserves: bool,
}

impl Claimant {
    /// A claiming process.
    #[must_use]
    pub const fn new(worker: String, lease: Duration, reserves: bool) -> Self {
        Self { worker, lease, reserves }
    }
}

/// A job heard of through the broker. Its token is made here, before the transaction: a claim whose outcome is not known
/// is asked again with the same request, and is won again when it had been.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// The job.
    pub job: JobId,
    /// Its booking.
    pub booking: BookingId,
    /// Whether the broker says that whoever had this message is gone: a lease that was won by a message is then taken over at
    /// once. One won by the sweep has no message to come back, so that says nothing of its holder.
    pub redelivered: bool,
    /// The fence under which it is claimed.
    pub token: Token,
    /// The fence under which the asker believes to hold it already: its own redelivered messages are no loss.
    pub held: Option<Token>,
}

impl ClaimRequest {
    /// A claim of a job.
    #[must_use]
    pub fn new(job: JobId, booking: BookingId, redelivered: bool) -> Self {
        Self { job, booking, redelivered, token: Token::generate(), held: None }
    }

    /// By one who believes to hold it already.
    #[must_use]
    pub const fn holding(mut self, token: Token) -> Self {
        self.held = Some(token);
        self
    }
}

/// What became of a claim.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Claim {
    /// The job is yours.
    Won(Box<Lease>),
    /// Settled, cancelled or never there: forget the message.
    Gone,
    /// Another holds it: forget the message.
    Held,
    /// You hold it already, as you said: keep the message until you are done.
    Yours,
    /// Not before then: forget the message and publish again when due.
    NotDue(DateTime<Utc>),
    /// Lost once too often, or past its deadline: the claim rejected the booking (`processing_failed`, `deadline_passed`), and this
    /// is to be told.
    Ended(Vec<Publication>),
}

/// What a claim of overdue jobs found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Overdue {
    /// Jobs that are now yours.
    pub leases: Vec<Lease>,
    /// What is to be published, where a job ended by the claim.
    pub publications: Vec<Publication>,
}

/// How a worker leaves a job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Conclusion {
    /// The job, its token, attempt and booking.
    pub lease: Lease,
    /// The process.
    pub worker: String,
    /// How it ends.
    pub ending: Ending,
}

impl Conclusion {
    /// How a worker leaves a job.
    #[must_use]
    pub const fn new(lease: Lease, worker: String, ending: Ending) -> Self {
        Self { lease, worker, ending }
    }
}

/// How a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The booking is decided. Failures ([`crate::decision::Reason::is_failure`]) leave a dead letter.
    Decided(Decision, AttemptOutcome),
    /// The attempt failed; the next follows after the pause. For a release job: try again.
    Retry(AttemptOutcome, Duration),
    /// The attempt was lost: shutdown gives the job back.
    Lost,
    /// A release job succeeded.
    Released,
    /// A release job failed for good: dead letter.
    ReleaseFailed(AttemptOutcome),
}

/// What became of a conclusion.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concluded {
    /// Stored; this is to be published.
    Done(Vec<Publication>),
    /// The token is no longer the job's: nothing was changed.
    Fenced,
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

    /// Claims overdue notices, as many as the claimant has room for; unexpanded overdue tell jobs are expanded, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim_overdue_notices(&self, claimant: &NoticeClaimant, limit: usize) -> Result<Vec<Notice>, StoreError>;

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
    /// Cheap where nothing happened: it is asked once a second of every booking that is followed.
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

    /// Gives an endpoint a new secret; the one before signs too for [`FORMER_SIGNS_FOR`](crate::webhook::FORMER_SIGNS_FOR). `None` when
    /// there is no such endpoint.
    ///
    /// # Errors
    /// [`StoreError`]; the same secret may be given again.
    async fn renew_secret(&self, id: EndpointId, secret: &Secret) -> Result<Option<Endpoint>, StoreError>;

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
