//! What claiming jobs and concluding them takes and gives.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    decision::{AttemptOutcome, Decision},
    id::{BookingId, JobId, Token},
    job::Lease,
    topology::Publication,
};

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
